"""Logs of the spool, made without a writer: in the form of today, and in the first one."""

from collections.abc import Sequence
from pathlib import Path
from struct import pack
from uuid import UUID
from zlib import crc32

from gateway.crypto import beginning, link
from gateway.ports import Run
from gateway.stores.spool.segment import frames_of, header, name_of

WRITER = UUID("0198f3c2-7d1e-4abc-8def-0123456789ab")


def chain(bodies: Sequence[bytes], *, writer: UUID = WRITER, first: int = 1) -> list[bytes]:
    """Return the head before the first of some records, and that after each."""
    heads = [beginning(str(writer))]
    for number, body in enumerate(bodies, first):
        heads.append(link(heads[-1], number, body))
    return heads


def framed(bodies: Sequence[bytes], first: int, before: bytes, personal: Sequence[bytes] = ()) -> bytes:
    """Return records as they stand in a segment."""
    return frames_of(WRITER).write(bodies, personal or [b""] * len(bodies), first=first, before=before)[0]


def write_segment(
    root: Path,
    bodies: Sequence[bytes],
    first: int,
    last: int,
    *,
    acknowledged: int | None = None,
    personal: Sequence[bytes] = (),
) -> Path:
    """Write the records from number `first` to `last` of a log whose records are `bodies`."""
    directory = root / str(WRITER)
    directory.mkdir(exist_ok=True)
    before = chain(bodies)[first - 1]
    path = directory / name_of(first)
    path.write_bytes(
        header(
            WRITER,
            first=first,
            acknowledged=first - 1 if acknowledged is None else acknowledged,
            before=before,
        )
        + framed(bodies[first - 1 : last], first, before, personal[first - 1 : last])
    )
    return path


def run(bodies: Sequence[bytes], first: int, last: int, *, lost: int = 0) -> Run:
    """Return what is read of records that say nothing of persons."""
    heads = chain(bodies)
    return Run(
        writer=str(WRITER),
        first=first,
        bodies=tuple(bodies[first - 1 : last]),
        before=heads[first - 1],
        heads=tuple(heads[first : last + 1]),
        personal=(b"",) * (last - first + 1),
        lost=lost,
    )


def first_form_frame(number: int, body: bytes) -> bytes:
    """Return one record as version 1 wrote it."""
    return pack("<IIQ", len(body), crc32(body, number), number) + body


def write_first_form(
    root: Path, bodies: Sequence[bytes], first: int, last: int, *, acknowledged: int | None = None
) -> Path:
    """Write records as version 1 did."""
    directory = root / str(WRITER)
    directory.mkdir(exist_ok=True)
    known = first - 1 if acknowledged is None else acknowledged
    head = pack("<8sI16sQQ", b"GWSPOOL\n", 1, WRITER.bytes, first, known)
    frames = (first_form_frame(number, bodies[number - 1]) for number in range(first, last + 1))
    path = directory / name_of(first)
    path.write_bytes(head + pack("<I", crc32(head)) + b"".join(frames))
    return path
