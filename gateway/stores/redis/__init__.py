"""Redis: counters that every process shares, over a protocol of our own for what happens per request."""

from gateway.stores.redis.address import RedisAddress
from gateway.stores.redis.bell import Bell
from gateway.stores.redis.counters import RedisCounters
from gateway.stores.redis.encoding import encode
from gateway.stores.redis.faults import ErrorReply, RedisUnusable, Refused, Reply
from gateway.stores.redis.link import Link
from gateway.stores.redis.peers import Peers

__all__ = [
    "Bell",
    "ErrorReply",
    "Link",
    "Peers",
    "RedisAddress",
    "RedisCounters",
    "RedisUnusable",
    "Refused",
    "Reply",
    "encode",
]
