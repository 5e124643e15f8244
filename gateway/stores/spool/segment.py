"""A segment: one file of a writer's log. It begins with a header, and frames follow.

The header, little-endian: magic, version u32, writer, number of its first record u64, number of the newest
record that had been acknowledged when it was made u64, the chain's head before its first record (not in
version 1), crc32 u32 of all that.
"""

from dataclasses import dataclass
from struct import Struct
from typing import Final
from uuid import UUID
from zlib import crc32

from gateway.crypto import HEAD_BYTES
from gateway.stores.spool.form import Form
from gateway.stores.spool.frame import Frames
from gateway.stores.spool.unchained import UnchainedFrames

VERSION: Final = 2
VERSIONS: Final = (2, 1)
"""Those that are read."""
SUFFIX: Final = ".segment"

_MAGIC: Final = b"GWSPOOL\n"
_COMMON: Final = Struct("<8sI16sQQ")
_CHECK: Final = Struct("<I")
_SIZE_1: Final = _COMMON.size + _CHECK.size
HEADER_SIZE: Final = _SIZE_1 + HEAD_BYTES


class UnknownFormatError(Exception):
    """The file is whole, but another version of the gateway wrote it. It must be left alone."""


def name_of(first: int) -> str:
    """Return the file name of the segment that begins with a number; names sort in the order of numbers."""
    return f"{first:020d}{SUFFIX}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a segment says of itself."""

    first: int
    """Number of its first record."""
    acknowledged: int
    """Somebody may have been told that records up to this number are durable. The numbers between it and
    `first` were given out, but nobody was: if they are missing, nothing is lost."""
    before: bytes | None
    """The chain's head before its first record; None in version 1."""
    version: int = VERSION


def header(writer: UUID, *, first: int, acknowledged: int, before: bytes) -> bytes:
    """Return the bytes a segment begins with."""
    head = _COMMON.pack(_MAGIC, VERSION, writer.bytes, first, acknowledged) + before
    return head + _CHECK.pack(crc32(head))


def read_header(data: bytes, writer: UUID) -> Header | None:
    """Return what a segment says of itself; None when it was cut short while it was made, or is damaged.

    Raise `UnknownFormatError` when it begins well, in a version that is not ours.
    """
    if len(data) < _SIZE_1 or not data.startswith(_MAGIC):
        return None
    _, version, owner, first, acknowledged = _COMMON.unpack_from(data)
    if version > VERSION:
        msg = f"spool format {version} is newer than {VERSION}, the newest that this program reads"
        raise UnknownFormatError(msg)
    size = _SIZE_1 if version == 1 else HEADER_SIZE
    end = size - _CHECK.size
    if len(data) < size or _CHECK.unpack_from(data, end)[0] != crc32(data[:end]):
        return None
    if owner != writer.bytes:
        return None
    before = None if version == 1 else data[_COMMON.size : end]
    return Header(first=first, acknowledged=acknowledged, before=before, version=version)


def frames_of(writer: UUID) -> Frames:
    """Return the form in which a writer's records are written."""
    return Frames(writer, header_size=HEADER_SIZE)


def form_of(version: int, writer: UUID) -> Form:
    """Return the form of a version that `read_header` knows."""
    return UnchainedFrames(header_size=_SIZE_1) if version == 1 else frames_of(writer)
