"""The script that counts, and requests and limits as it reads them."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Final, TypeGuard

from gateway.model import Algorithm, Limit
from gateway.model.rate import LARGEST_LOG, SLOTS
from gateway.stores.redis.encoding import bulk
from gateway.stores.redis.faults import Reply

SCRIPT: Final = Path(__file__).with_name("take.lua").read_bytes()

_SHA: Final = hashlib.sha1(SCRIPT, usedforsecurity=False).hexdigest().encode()
_GCRA, _WINDOW = 0, 1
_LETTER: Final = {Algorithm.WINDOW: "w", Algorithm.GCRA: "g"}
_READABLE: Final = frozenset({"principal", "client_ip", "api_key", "route", "all"})
"""What a key of Redis may show. Anything else came from the client, and may be a secret."""
_LONGEST_PART: Final = 64
_HASHED: Final = "~"
_ARGUMENTS: Final = 4
"""Words of a command besides the key and the argument of each limit."""


TAKE: Final = bulk(b"t")
DEBIT: Final = bulk(b"f")
GIVE_BACK: Final = bulk(b"b")


@cache
def head(limits: int) -> bytes:
    """Return how a call with this many limits begins: their keys, the order and their arguments follow."""
    words = (b"EVALSHA", _SHA, b"%d" % limits)
    return b"*%d\r\n" % (_ARGUMENTS + 2 * limits) + b"".join(map(bulk, words))


def is_answer(reply: Reply, limits: int) -> TypeGuard[list[int]]:
    """Say whether this is how the script answers; something that only looks like Redis may say anything."""
    return isinstance(reply, list) and len(reply) == 1 + 3 * limits and reply[0] in (0, 1)


class EncodedLimit:
    """A limit as the script reads it. `secret` keys the digests of what Redis must not show."""

    __slots__ = ("_prefix", "_secret", "_share", "_shows", "argument", "limit")

    def __init__(self, limit: Limit, secret: bytes) -> None:
        self.limit: Final = limit
        self.argument: Final = bulk(_packed(limit, limit.cost))
        # No id holds a slash, so no key of one limit is a key of another.
        self._prefix: Final = f"gateway:rl:{limit.id}/{_LETTER[limit.algorithm]}/".encode()
        self._secret: Final = secret
        self._shows: Final = _READABLE.issuperset(limit.per)
        self._share: tuple[int, Limit] = (1, limit)

    def key(self, part: str) -> bytes:
        """Return the key of a part, as a word of a command."""
        data = part.encode("utf-8", "surrogatepass")
        if not self._shows or len(data) > _LONGEST_PART or part.startswith(_HASHED):
            digest = hashlib.blake2b(data, key=self._secret, digest_size=16).hexdigest()
            data = f"{_HASHED}{digest}".encode()
        return bulk(self._prefix + data)

    def debit(self, amount: int) -> bytes:
        """Return the argument that charges this much."""
        return bulk(_packed(self.limit, amount))

    def share(self, processes: int) -> Limit:
        """Return the limit that one of so many processes counts by itself; at least one request fits in that
        fits into the whole."""
        if self._share[0] != processes:
            self._share = (processes, _share(self.limit, processes))
        return self._share[1]


def _packed(limit: Limit, cost: int) -> bytes:
    if limit.algorithm is Algorithm.GCRA:
        interval = -(-limit.window_us // limit.quota)
        burst_us = limit.burst * interval
        return _words(_GCRA, cost, burst_us, limit.window_us, interval, burst_us)
    if limit.quota <= LARGEST_LOG:
        return _words(_WINDOW, cost, limit.window_us, limit.window_us, limit.quota, 0)
    width = -(-limit.window_us // SLOTS)
    return _words(_WINDOW, cost, (SLOTS + 1) * width, limit.window_us, limit.quota, width)


def _words(kind: int, cost: int, longest_us: int, *numbers: int) -> bytes:
    """Pack an argument; a key lives a millisecond longer than anything in it can matter."""
    words = (cost, longest_us // 1000 + 2, *numbers)
    return bytes([kind]) + b"".join([word.to_bytes(7, "big") for word in words])


def _share(limit: Limit, processes: int) -> Limit:
    quota, burst = -(-limit.quota // processes), -(-limit.burst // processes)
    if limit.algorithm is Algorithm.WINDOW:
        quota = max(quota, min(limit.cost, limit.quota))
    return Limit(
        id=limit.id,
        place=limit.place,
        algorithm=limit.algorithm,
        per=limit.per,
        quota=quota,
        window_us=limit.window_us,
        burst=max(burst, min(limit.cost, limit.burst)),
        cost=limit.cost,
        on_store_error=limit.on_store_error,
    )
