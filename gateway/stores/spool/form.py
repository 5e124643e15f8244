"""What all forms of frames have in common: records come off the front, and are found again behind damage."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

MAX_BODY: Final = 1 << 20
"""Bytes of one record, and of what it says of persons; a length above it is damage."""
NUMBER_BYTES: Final = 8

_AHEAD_BYTES: Final = 2
_HIGH_BYTES: Final = NUMBER_BYTES - _AHEAD_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """What a piece of a segment holds."""

    bodies: Sequence[bytes]
    heads: Sequence[bytes]
    """The chain's head after each record."""
    personal: Sequence[bytes]
    """What each says of persons, sealed."""
    consumed: int
    """Bytes up to the end of the last good frame."""
    wanted: int
    """Bytes, from `consumed` on, that the next frame needs; 0 when the next bytes are not a frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The next good frame behind a damaged place."""

    offset: int
    number: int
    before: bytes | None
    """The chain's head before it; None when the frame that says so is not readable."""


class Prefix(NamedTuple):
    """What a frame says of its record, ahead of it."""

    body_size: int
    personal_size: int
    number: int
    head: bytes
    """The chain's head after the record."""
    check: int
    """Checksum of the record and what is sealed beside it."""


class Form(Protocol):
    """How frames are written in one version of a segment."""

    @property
    def header_size(self) -> int:
        """Bytes before the first frame."""

    @property
    def prefix_size(self) -> int:
        """Bytes of a frame before its record."""

    def prefix(self, data: bytes, offset: int = 0) -> Prefix | None:
        """Return what the frame at an offset says of its record; None when nothing there can be trusted."""

    def scan(self, data: bytes, *, expected: int, limit: int, before: bytes) -> Scanned:
        """Take up to `limit` good frames off the front of `data`, whose numbers count up from `expected`."""

    def resume(self, data: bytes, expected: int) -> Found | None:
        """Find the first good frame whose number is `expected` or somewhat above, or None."""


def numbers_in(data: bytes, expected: int) -> Iterator[tuple[int, int]]:
    """Give the places in `data` that hold the number of one of the next records, and that number.

    A number ends with NULs, which JSON text does not have; heads and what is sealed hold it once in 2^48
    bytes. So there are hardly more places than frames, and one pass finds them all.
    """
    high = expected >> 8 * _AHEAD_BYTES
    pattern = re.compile(b"|".join(map(_ending, (high, high + 1))), re.DOTALL)
    place = 0
    while match := pattern.search(data, place):
        number = int.from_bytes(match.group(), "little")
        if expected <= number < expected + (1 << 8 * _AHEAD_BYTES):
            yield match.start(), number
        place = match.start() + 1


def _ending(high: int) -> bytes:
    # Zero is no record's number, so that a stretch of NULs, however long, has no place that fits.
    low = b".." if high else rb"(?:[^\0].|\0[^\0])"
    return low + re.escape(high.to_bytes(_HIGH_BYTES, "little"))
