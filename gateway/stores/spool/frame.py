"""The frames of a segment, and the chain through them.

A frame is a prefix, a record and, sealed, what the record says of persons. The prefix, little-endian:
`length u32 | length of what is sealed u32 | number u64 | chain's head after this record, 32 bytes |
crc32 u32 of both texts | crc32 u32 of the prefix so far`. The last is seeded with the writer, so that a frame
of another log does not pass for one of this. It lets a reader trust the prefix of a record that is damaged,
and pass by that record alone.
"""

from collections.abc import Callable, Sequence
from itertools import count
from struct import Struct
from typing import Final
from uuid import UUID
from zlib import crc32

from gateway.crypto import HEAD_BYTES, link
from gateway.stores.spool.form import MAX_BODY, Found, Prefix, Scanned, numbers_in

_PREFIX: Final = Struct(f"<IIQ{HEAD_BYTES}sI")
_CHECK: Final = Struct("<I")
_NUMBER_AT: Final = 8
PREFIX_SIZE: Final = _PREFIX.size + _CHECK.size

_pack: Final[Callable[[int, int, int, bytes, int], bytes]] = _PREFIX.pack
_pack_check: Final[Callable[[int], bytes]] = _CHECK.pack


class Frames:
    """The frames of one writer. Implements `Form`."""

    prefix_size = PREFIX_SIZE

    def __init__(self, writer: UUID, *, header_size: int) -> None:
        self.header_size = header_size
        self._seed = crc32(writer.bytes)

    def write(
        self, bodies: Sequence[bytes], personal: Sequence[bytes], *, first: int, before: bytes
    ) -> tuple[bytes, list[bytes]]:
        """Return the frames of records whose numbers count up from `first`, and the head after each.

        `personal` is as long as `bodies`; `before` is the head before the first.
        """
        seed, head = self._seed, before
        parts: list[bytes] = []
        heads: list[bytes] = []
        for number, body, sealed in zip(count(first), bodies, personal, strict=False):
            head = link(head, number, body)
            check = crc32(body)
            if sealed:
                check = crc32(sealed, check)
            prefix = _pack(len(body), len(sealed), number, head, check)
            parts += (prefix, _pack_check(crc32(prefix, seed)), body, sealed)
            heads.append(head)
        return b"".join(parts), heads

    def prefix(self, data: bytes, offset: int = 0) -> Prefix | None:
        """Return what the frame at an offset says of its record; None when nothing there can be trusted."""
        end = offset + _PREFIX.size
        if len(data) < offset + PREFIX_SIZE:
            return None
        if _CHECK.unpack_from(data, end)[0] != crc32(data[offset:end], self._seed):
            return None
        found = Prefix._make(_PREFIX.unpack_from(data, offset))
        return found if found.body_size <= MAX_BODY and found.personal_size <= MAX_BODY else None

    def scan(self, data: bytes, *, expected: int, limit: int, before: bytes) -> Scanned:  # noqa: ARG002 - the frames say it
        """Take up to `limit` good frames off the front of `data`, whose numbers count up from `expected`.

        Whether the heads follow from the records is not looked at.
        """
        bodies: list[bytes] = []
        heads: list[bytes] = []
        personal: list[bytes] = []
        offset = 0
        wanted = PREFIX_SIZE
        while len(bodies) < limit:
            prefix = self.prefix(data, offset)
            if prefix is None:
                wanted = 0 if len(data) - offset >= PREFIX_SIZE else PREFIX_SIZE
                break
            if prefix.number != expected:
                wanted = 0
                break
            size = PREFIX_SIZE + prefix.body_size + prefix.personal_size
            if offset + size > len(data):
                wanted = size
                break
            texts = _texts(data, offset, prefix)
            if texts is None:
                wanted = 0
                break
            bodies.append(texts[0])
            personal.append(texts[1])
            heads.append(prefix.head)
            offset, expected = offset + size, expected + 1
        return Scanned(bodies=bodies, heads=heads, personal=personal, consumed=offset, wanted=wanted)

    def resume(self, data: bytes, expected: int) -> Found | None:
        """Find the first good frame whose number is `expected` or somewhat above, or None."""
        passed: Prefix | None = None
        for place, number in numbers_in(data, expected):
            offset = place - _NUMBER_AT
            prefix = self.prefix(data, offset) if offset >= 0 else None
            if prefix is None:
                continue
            if _texts(data, offset, prefix) is not None:
                before = passed.head if passed is not None and passed.number == number - 1 else None
                return Found(offset=offset, number=number, before=before)
            passed = prefix
        return None


def _texts(data: bytes, offset: int, prefix: Prefix) -> tuple[bytes, bytes] | None:
    """Return the record of a frame and what is sealed beside it; None when they are damaged or cut short."""
    start = offset + PREFIX_SIZE
    middle = start + prefix.body_size
    end = middle + prefix.personal_size
    if len(data) < end:
        return None
    body, sealed = data[start:middle], data[middle:end]
    return (body, sealed) if crc32(sealed, crc32(body)) == prefix.check else None
