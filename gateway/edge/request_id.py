"""Request ids: UUIDs that begin with the time (RFC 9562 version 7).

They grow with time, so an index on them is only ever appended to; with random ids every audit record would
dirty a page of its own. Random bytes are fetched for many ids at once.
"""

import os

_AT_ONCE = 16 * 256
_RANDOM = 20
"""Digits of an id that are random, but for the version and the variant."""
_VARIANTS = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
"""What the digit becomes that says how the id is built, with the two bits of it that are random."""


class _Supply:
    __slots__ = ("millisecond", "random", "time", "used")

    def __init__(self) -> None:
        self.random = ""
        self.used = 0
        self.millisecond = -1
        self.time = ""
        """How ids of this millisecond begin."""

    def empty(self) -> None:
        self.random, self.used = "", 0


_supply = _Supply()
# A forked child must not hand out the ids of its parent.
os.register_at_fork(after_in_child=_supply.empty)


def request_id(now: float) -> str:
    """Return a UUID in canonical text for a request received at a time, in seconds since the epoch."""
    supply = _supply
    used = supply.used
    if used + _RANDOM > len(supply.random):
        supply.random, used = os.urandom(_AT_ONCE).hex(), 0
    supply.used = used + _RANDOM
    digits = supply.random[used : used + _RANDOM]
    millisecond = int(now * 1000)
    if millisecond != supply.millisecond:
        time = f"{millisecond:012x}"
        supply.millisecond, supply.time = millisecond, f"{time[:8]}-{time[8:]}-7"
    return f"{supply.time}{digits[:3]}-{_VARIANTS[digits[3]]}{digits[4:7]}-{digits[7:19]}"
