"""The form of a segment: one file of a writer's log.

A segment is a header (magic, version, writer, number of its first record, number of the newest record that
had been acknowledged when it was made, checksum) and frames `length u32 | crc32 u32 | seq u64 | payload`, all
little-endian. The checksum covers the payload and is seeded with the number, so that a frame in the wrong
place does not pass for a good one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Final
from uuid import UUID
from zlib import crc32

VERSION: Final = 1
MAX_BODY: Final = 1 << 20
"""Bytes of one record; a length above it is damage."""
SUFFIX: Final = ".segment"

_MAGIC: Final = b"GWSPOOL\n"
_HEADER: Final = Struct("<8sI16sQQ")
_CHECKSUM: Final = Struct("<I")
FRAME: Final = Struct("<IIQ")
HEADER_SIZE: Final = _HEADER.size + _CHECKSUM.size

_NUMBER: Final = Struct("<Q")
_LOW: Final = 0xFFFFFFFF
_LOST_AT_MOST: Final = 256
"""How many frames in a row may be damaged before the search for the next good one gives up."""
SEARCHED: Final = 4 << 20

_pack: Final[Callable[[int, int, int], bytes]] = FRAME.pack


class UnknownFormatError(Exception):
    """The file is whole, but another version of the gateway wrote it. It must be left alone."""


def name_of(first: int) -> str:
    """Return the file name of the segment that begins with a number; names sort in the order of numbers."""
    return f"{first:020d}{SUFFIX}"


@dataclass(frozen=True, slots=True)
class Header:
    """What a segment says of itself."""

    first: int
    """Number of its first record."""
    acknowledged: int
    """Somebody may have been told that records up to this number are durable. The numbers between it and
    `first` were given out, but nobody was: if they are missing, nothing is lost."""


def header(writer: UUID, first: int, acknowledged: int) -> bytes:
    """Return the bytes a segment begins with."""
    head = _HEADER.pack(_MAGIC, VERSION, writer.bytes, first, acknowledged)
    return head + _CHECKSUM.pack(crc32(head))


def read_header(data: bytes, writer: UUID) -> Header | None:
    """Return what a segment says of itself; None when it was cut short while it was made, or is damaged.

    Raise `UnknownFormatError` when it begins well, in a version that is not ours.
    """
    if len(data) < HEADER_SIZE or not data.startswith(_MAGIC):
        return None
    version = int.from_bytes(data[len(_MAGIC) : len(_MAGIC) + 4], "little")
    if version > VERSION:
        msg = f"spool format {version} is newer than {VERSION}, the newest that this program reads"
        raise UnknownFormatError(msg)
    if _CHECKSUM.unpack_from(data, _HEADER.size)[0] != crc32(data[: _HEADER.size]):
        return None
    _, _, owner, first, acknowledged = _HEADER.unpack_from(data)
    return Header(first, acknowledged) if owner == writer.bytes else None


def frames(bodies: Sequence[bytes], first: int) -> bytes:
    """Return the frames of records whose numbers count up from `first`."""
    parts: list[bytes] = []
    for seq, body in enumerate(bodies, first):
        parts += (_pack(len(body), crc32(body, seq & _LOW), seq), body)
    return b"".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """What a piece of a segment holds."""

    bodies: list[bytes]
    consumed: int
    """Bytes up to the end of the last good frame."""
    wanted: int
    """Bytes, from `consumed` on, that the next frame needs; 0 when the next bytes are not a frame."""


def scan(data: bytes, expected: int, limit: int) -> Scanned:
    """Take up to `limit` good frames off the front of `data`, whose numbers count up from `expected`."""
    bodies: list[bytes] = []
    offset, size, start = 0, len(data), FRAME.size
    unpack = FRAME.unpack_from
    wanted = start
    while len(bodies) < limit:
        if size - offset < start:
            wanted = start
            break
        length, check, seq = unpack(data, offset)
        if seq != expected or length > MAX_BODY:
            wanted = 0
            break
        end = offset + start + length
        if end > size:
            wanted = start + length
            break
        body = data[offset + start : end]
        if crc32(body, seq & _LOW) != check:
            wanted = 0
            break
        bodies.append(body)
        offset, expected = end, expected + 1
    return Scanned(bodies=bodies, consumed=offset, wanted=wanted)


def resume(data: bytes, expected: int) -> tuple[int, int] | None:
    """Find the next good frame behind a damaged one: its offset and number, or None.

    Its number is looked for as bytes. A payload cannot hold them: JSON text has no NUL.
    """
    for seq in range(expected, expected + _LOST_AT_MOST):
        number = _NUMBER.pack(seq)
        place = data.find(number, 0, SEARCHED)
        while place != -1:
            offset = place - (FRAME.size - _NUMBER.size)
            if offset >= 0 and scan(data[offset : offset + FRAME.size + MAX_BODY], seq, 1).bodies:
                return offset, seq
            place = data.find(number, place + 1, SEARCHED)
    return None
