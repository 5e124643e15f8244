"""Pieces of a log as they are on the disk."""

import os
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Final
from uuid import UUID

from gateway.crypto import HEAD_BYTES
from gateway.stores.spool.form import MAX_BODY, Form
from gateway.stores.spool.segment import (
    HEADER_SIZE,
    VERSIONS,
    Header,
    UnknownFormatError,
    form_of,
    name_of,
    read_header,
)

_SECTOR: Final = 512
"""Disks write at least so much at once, or nothing of it."""
NO_HEAD: Final = bytes(HEAD_BYTES)
"""Stands for a head that can be read nowhere any more: no record follows from it."""


def read_piece(directory: Path, segment: int, offset: int, size: int) -> bytes:
    """Return up to `size` bytes of a segment from an offset on. Raise `OSError`."""
    descriptor = os.open(directory / name_of(segment), os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(descriptor, size, offset)
    finally:
        os.close(descriptor)


def header_in(directory: Path, segment: int) -> Header | None:
    """Return what a segment says of itself; None when it is cut short or damaged.

    Raise `UnknownFormatError`, `OSError`.
    """
    return read_header(read_piece(directory, segment, 0, HEADER_SIZE), UUID(directory.name))


def form_in(directory: Path, segments: Sequence[int]) -> Form | None:
    """Return how a log is written: all of it in the same way. None when nothing of it says so yet.

    Raise `UnknownFormatError`, `OSError`.
    """
    writer = UUID(directory.name)
    unknown: UnknownFormatError | None = None
    for segment in segments:
        try:
            head = header_in(directory, segment)
        except UnknownFormatError as error:
            unknown = error
            continue
        if head is not None:
            return form_of(head.version, writer)
    if unknown is not None:
        raise unknown
    for segment, form in product(segments, [form_of(version, writer) for version in VERSIONS]):
        data = read_piece(directory, segment, form.header_size, form.prefix_size + 2 * MAX_BODY)
        if form.scan(data, expected=segment, limit=1, before=NO_HEAD).bodies:
            return form
    return None


def is_torn(data: bytes, offset: int, form: Form, wanted: int) -> bool:
    """Say whether `data`, the end of a file from an offset on, is what a writer leaves there when it, or the
    machine's power, goes away: `wanted` as of `Form.scan`, which found no good frame.

    Then the last frame is not all there, or NULs are in place of what was not on the disk yet: from where the
    file ended before, or from where a sector begins.
    """
    if wanted > len(data):
        return True
    text = len(data.rstrip(b"\0"))
    nuls = -((offset + text) // -_SECTOR) * _SECTOR - offset
    prefix = form.prefix(data)
    size = form.prefix_size + (prefix.body_size + prefix.personal_size if prefix else 0)
    return not text or (nuls < min(len(data), size))
