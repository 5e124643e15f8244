"""How many processes share the counters: each says every second that it lives."""

import asyncio
import contextlib
from collections import deque
from typing import Final

from redis.asyncio import Redis

from gateway.stores.redis.address import RedisAddress
from gateway.stores.redis.outage import FAULTS, Outage, close, end_if_cancelled
from gateway.stores.redis.spread import about

KEY: Final = "gateway:processes"
BEAT_SECONDS: Final = 1.0
FORGET_SECONDS: Final = 5.0
"""A process that has not been heard of for this long has gone."""
LEAVE_SECONDS: Final = 0.5
"""How long a clean end may take to say so."""
_REMEMBERED: Final = 3
"""Beats over which the highest count holds: a Redis that restarts empty knows nobody for a moment, and a
process alone would allow itself everybody's share."""

# Only the server's clock is the same for all. What lies in the future was written before it was set back.
_BEAT: Final = """\
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], now + ARGV[2], '+inf')
redis.call('PEXPIRE', KEYS[1], 2 * ARGV[2])
return redis.call('ZCARD', KEYS[1])
"""


class Peers:
    """The processes that use one Redis, this one included. `name` must be this process's alone.

    `at_least` are known to be without asking: a Redis that is away from the start names none of them.
    """

    def __init__(self, address: RedisAddress, *, name: str, at_least: int = 1) -> None:
        self._address = address
        self._name = name
        self._at_least = at_least
        self._counts: deque[int] = deque(maxlen=_REMEMBERED)
        self._count = at_least
        self._outage = Outage("count of processes", address)

    @property
    def count(self) -> int:
        """How many live, never fewer than `at_least`; the last known number while Redis is away."""
        return self._count

    async def run(self) -> None:
        """Say for ever that this process lives, and that it has gone when cancelled. Raises nothing else."""
        client = self._address.client(max_connections=1)
        try:
            while True:
                try:
                    self._hear(await self._beat(client))
                except FAULTS as fault:
                    self._outage.began(fault)
                else:
                    self._outage.ended()
                end_if_cancelled()
                await asyncio.sleep(about(BEAT_SECONDS, by=0.1))
        finally:
            with contextlib.suppress(*FAULTS):
                async with asyncio.timeout(LEAVE_SECONDS):
                    await client.zrem(KEY, self._name)
            await close(client)

    async def _beat(self, client: Redis) -> int:
        return int(await client.eval(_BEAT, 1, KEY, self._name, str(int(FORGET_SECONDS * 1000))))

    def _hear(self, count: int) -> None:
        self._counts.append(max(self._at_least, count))
        self._count = max(self._counts)
