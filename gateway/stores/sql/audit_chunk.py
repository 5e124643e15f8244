"""A chunk: records of one writer in one piece, and what is noted of them so that they are found again.

What is noted only says where to look. Whoever looks reads the records and compares, so the notes may say too
much, never too little.

All records of a chunk belong to one day: where a run goes beyond midnight, a chunk ends.
"""

import hashlib
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, Self

import orjson

from gateway.crypto import HEAD_BYTES
from gateway.model import time_of
from gateway.ports import Run
from gateway.stores.sql.audit_notes import Actor, Notes, taken

MARK_BYTES: Final = 8
_AT_MOST: Final = 1024
"""Records in one chunk: what has to be read to see one of them."""
_LEVEL: Final = 1
_DATE: Final = len("2026-01-01")
_LONGEST: Final = 200
"""Characters of what is noted. PostgreSQL's index takes entries of up to 2704 bytes, and two of these."""

_NEAR: Final = timedelta(minutes=1)
"""How far from the end of its chunk a request may have begun, by its id, to be within the chunk's range of
ids. One that took longer is noted by itself, so that a long download does not widen the range."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_TIMED: Final = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-.*", re.DOTALL)
_DAY_ZERO: Final = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """The chain through the records of a chunk, as it was written down with them.

    With the marks, the first record that was changed can be named.
    """

    before: bytes
    """The head before the first record."""
    head: bytes
    """The head after the last record."""
    marks: tuple[bytes, ...]
    """The first bytes of the head after each record, the last one's too."""

    @classmethod
    def of(cls, run: Run) -> Self:
        """Return those of a run."""
        return cls(
            before=run.before, head=run.heads[-1], marks=tuple(head[:MARK_BYTES] for head in run.heads)
        )

    def packed(self) -> bytes:
        """Return the form in which they are stored."""
        return b"".join((self.before, self.head, *self.marks))

    @classmethod
    def unpacked(cls, chain: bytes, count: int) -> Self | None:
        """Return those of a chunk of so many records, None when they were damaged where they are stored."""
        if len(chain) != 2 * HEAD_BYTES + count * MARK_BYTES:
            return None
        marks = range(2 * HEAD_BYTES, len(chain), MARK_BYTES)
        return cls(
            before=chain[:HEAD_BYTES],
            head=chain[HEAD_BYTES : 2 * HEAD_BYTES],
            marks=tuple(chain[start : start + MARK_BYTES] for start in marks),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """What is stored of some records."""

    first: int
    last: int
    day: int
    """That of the latest record, as days since 1970."""
    since: str
    until: str
    """Times of the earliest and of the latest record."""
    first_request: str | None
    last_request: str | None
    """Range of the ids of requests, as JSON has them; None when all of them are among the terms."""
    terms: frozenset[str]
    """Ids of actors, and of the requests outside of the range; like all that is looked for, as `noted`."""
    actors: frozenset[Actor]
    personal: frozenset[bytes]
    """What the records say of persons, sealed as in the run, each once."""
    chain: bytes
    """`Links`, packed."""
    records: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """Under what a chunk is found, as `Chunk` has it."""

    since: str
    until: str
    first_request: str | None
    last_request: str | None
    terms: frozenset[str]

    @classmethod
    def of(cls, notes: Notes) -> Self:
        """Return those of records."""
        low, high = _range_at(notes.until)
        requests = notes.requests
        near, far = requests, frozenset[bytes]()
        if requests and not (low <= min(requests) and max(requests) < high):
            near = [request for request in requests if low <= request < high]
            far = frozenset(requests).difference(near)
        ids = {actor.id for actor in notes.actors}
        return cls(
            since=_text(notes.since),
            until=_text(notes.until),
            first_request=min(near).decode() if near else None,
            last_request=max(near).decode() if near else None,
            terms=frozenset(map(noted, ids.union(request.decode() for request in far))),
        )


def chunks(run: Run) -> Iterator[Chunk]:
    """Give the records of a run as chunks. Raise `RecordRefused` when one of them is no audit record."""
    for start in range(0, len(run.bodies), _AT_MOST):
        part = run.part(start, start + _AT_MOST)
        notes = taken(part)
        if notes.since.date() == notes.until.date():
            yield _chunk(part, notes)
        else:
            yield from (_chunk(day, taken(day)) for day in _days(part))


def _days(run: Run) -> Iterator[Run]:
    """Divide a run where a day begins, or where a clock was set back into another: readers rely on it that a
    chunk's times lie within one day."""
    start, latest = 0, ""
    for index, body in enumerate(run.bodies):
        day = time_of(body)[:_DATE]
        if day != latest:
            if index:
                yield run.part(start, index)
            start, latest = index, day
    yield run.part(start, len(run.bodies))


def _chunk(run: Run, notes: Notes) -> Chunk:
    entries = Entries.of(notes)
    lengths = struct.pack(f"<{len(run.bodies)}I", *map(len, run.bodies))
    return Chunk(
        first=run.first,
        last=run.last,
        day=notes.until.toordinal() - _DAY_ZERO,
        since=entries.since,
        until=entries.until,
        first_request=entries.first_request,
        last_request=entries.last_request,
        terms=entries.terms,
        actors=notes.actors,
        personal=frozenset(run.personal) - {b""},
        chain=Links.of(run).packed(),
        # The interpreter's lock is free meanwhile, and what is written to disk twice is a tenth of the size.
        records=zlib.compress(b"".join((lengths, *run.bodies)), _LEVEL),
    )


def noted(text: str) -> str:
    """Return a text as it is noted and looked for: itself; when it is long, its beginning and its hash."""
    if len(text) <= _LONGEST:
        return text
    return text[: _LONGEST - 64] + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def unshortened(text: str) -> str:
    """Return what the text surely begins with that was `noted` like this: all of it, unless it is long."""
    return text if len(text) < _LONGEST else text[: _LONGEST - 64]


def opened(records: bytes) -> bytes | None:
    """Return the text of a chunk's records, None when it was damaged where it is stored."""
    try:
        return zlib.decompress(records)
    except zlib.error:
        return None


def divided(data: bytes, count: int) -> list[bytes]:
    """Return the records in the text of a chunk."""
    found, end = [], 4 * count
    for length in struct.unpack_from(f"<{count}I", data):
        start, end = end, end + length
        found.append(data[start:end])
    return found


def request_text(request: str) -> str:
    """Return a request's id as chunks have it."""
    return orjson.dumps(request)[1:-1].decode()


def until_of(request: str) -> tuple[str, str] | None:
    """Return between which `until` the chunks are that may have a request's id in their range; None: any."""
    match = _TIMED.fullmatch(request)
    if match is None:
        return None
    try:
        began = _EPOCH + int(match[1] + match[2], 16) * _MILLISECOND
        return _text(began - _NEAR), _text(began + _NEAR + _MILLISECOND)
    except OverflowError:
        return None


def _range_at(until: datetime) -> tuple[bytes, bytes]:
    """Return between which ids a chunk that ends at a time may have its range: from the first, below the
    second. Nothing is between two empty ones."""
    try:
        return _beginning(until - _NEAR), _beginning(until + _NEAR)
    except OverflowError:
        return b"", b""


def _beginning(moment: datetime) -> bytes:
    """Return how the ids of requests that come at a time begin."""
    milliseconds = (moment - _EPOCH) // _MILLISECOND
    if milliseconds < 0:
        raise OverflowError
    digits = f"{milliseconds:012x}"
    return f"{digits[:8]}-{digits[8:]}".encode()


def _text(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
