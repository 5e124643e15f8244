"""Request ids: UUIDs that begin with the time (RFC 9562 version 7).

They grow with time, so an index on them is only ever appended to; with random ids every audit record would
dirty a page of its own. Random bytes are fetched for many ids at once.
"""

import os

_AT_ONCE = 16 * 256
_RANDOM = 10
"""Bytes of an id that are random, but for the version and the variant."""


class _Supply:
    __slots__ = ("random", "used")

    def __init__(self) -> None:
        self.random = b""
        self.used = 0

    def empty(self) -> None:
        self.random, self.used = b"", 0


_supply = _Supply()
# A forked child must not hand out the ids of its parent.
os.register_at_fork(after_in_child=_supply.empty)


def request_id(now: float) -> str:
    """Return a UUID in canonical text for a request received at a time, in seconds since the epoch."""
    supply = _supply
    used = supply.used
    if used + _RANDOM > len(supply.random):
        supply.random, used = os.urandom(_AT_ONCE), 0
    supply.used = used + _RANDOM
    digits = supply.random[used : used + _RANDOM].hex()
    time = f"{int(now * 1000):012x}"
    variant = "89ab"[int(digits[3], 16) & 3]
    return f"{time[:8]}-{time[8:]}-7{digits[:3]}-{variant}{digits[4:7]}-{digits[7:19]}"
