"""The logs read to be checked: what is on the disk, and what of it is not as it was written."""

import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import UUID

from gateway.crypto import beginning, link
from gateway.ports import Damage, Run
from gateway.stores.spool.form import MAX_BODY, Form, Scanned
from gateway.stores.spool.pieces import NO_HEAD, form_in, is_torn
from gateway.stores.spool.room import quarantined, segments_in, writers_in
from gateway.stores.spool.segment import (
    HEADER_SIZE,
    VERSION,
    Header,
    UnknownFormatError,
    form_of,
    name_of,
    read_header,
)
from gateway.stores.spool.unchained import UnchainedFrames

_PORTION: Final = MAX_BODY
"""Bytes that are read at once as long as all is well."""
_PIECE: Final = 5 * MAX_BODY
"""Bytes that are looked at together: more than the longest frame has."""
_OVERLAP: Final = 3 * MAX_BODY
"""Bytes that are looked at twice, lest a frame be missed that lies across: more than the longest has, too."""
_AT_ONCE: Final = 1024


class ExaminedSpool:
    """The logs below `DATA_DIR/spool`, read to be checked. Implements `ports.SpoolEvidence`."""

    def __init__(self, spool: Path) -> None:
        self._spool = spool

    def writers(self) -> Sequence[str]:
        """Return whose logs are here."""
        return writers_in(self._spool)

    def examine(self, writer: str) -> Iterator[Run | Damage]:
        """Give all records of a log that are on the disk, and in its place what is wrong. Raise `OSError`.

        Which records were shipped and cleared away from its beginning the log does not say; nor does it show
        that its end was cut off.
        """
        return _Examination(self._spool / writer).findings()

    def withheld(self, writer: str, seq: int) -> bytes | None:
        """Return the text of a record that was put in quarantine, None when it is not there. Raise
        `OSError`."""
        try:
            return quarantined(self._spool, writer, seq).read_bytes()
        except FileNotFoundError:
            return None


class _Examination:
    """One pass through one log, while it may be written, shipped and cleared away."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._writer = directory.name
        self._form: Form = form_of(VERSION, UUID(directory.name))
        self._expected: int | None = None
        """Number of the next record; None when whatever comes first will do."""
        self._head = NO_HEAD
        """The chain's head before it."""
        self._sure = False
        """Whether the next record must follow from that head."""

    def findings(self) -> Iterator[Run | Damage]:
        """Give runs and damage, in the order of the numbers."""
        segments = segments_in(self._directory)
        try:
            self._form = form_in(self._directory, segments) or self._form
        except UnknownFormatError as error:
            yield self._damage(segments[0], 0, f"{error}; nothing was checked", first=segments[0])
            return
        except FileNotFoundError:
            # Whoever ships the log has just cleared it away, or the beginning of it.
            segments = segments_in(self._directory)
        while segments:
            segment = segments[0]
            with suppress(FileNotFoundError), (self._directory / name_of(segment)).open("rb") as file:
                yield from self._segment(segment, file.fileno())
            there = segments_in(self._directory)
            if segment not in there:
                # It has been cleared away by now, maybe with others that came next.
                self._expected = None
            segments = [first for first in there if first > segment]

    def _segment(self, segment: int, descriptor: int) -> Iterator[Run | Damage]:
        size = self._form.header_size
        data = os.pread(descriptor, HEADER_SIZE, 0)
        if len(data) < size and self._following(segment) is None:
            # Its writer was about to make it.
            return
        yield from self._begin(segment, data)
        offset = size
        while True:
            data = os.pread(descriptor, _PORTION, offset)
            found = self._form.scan(data, expected=self._next, limit=_AT_ONCE, before=self._head)
            if not found.bodies and len(data) == _PORTION:
                data = os.pread(descriptor, _PIECE, offset)
                found = self._form.scan(data, expected=self._next, limit=_AT_ONCE, before=self._head)
            if found.bodies:
                yield from self._follow(segment, offset, found)
                offset += found.consumed
                continue
            following = self._following(segment)
            if len(data) < len(os.pread(descriptor, _PIECE, offset)):
                # Its writer has gone on.
                continue
            if len(data) < _PIECE and is_torn(data, offset, self._form, found.wanted):
                if data and following is not None and not self._unchained:
                    yield self._damage(segment, offset, "the record is cut short", last=following - 1)
                    self._sure = self._next >= following
                return
            past = yield from self._pass_by(segment, descriptor, offset, data)
            if past is None:
                return
            offset = past

    def _begin(self, segment: int, data: bytes) -> Iterator[Damage]:
        """Look at the header of a segment, and whether it follows from what was before it."""
        head = _header(data, UUID(self._writer))
        if head is None:
            yield self._damage(segment, 0, "the header of the segment was changed", first=segment)
            head = Header(first=segment, acknowledged=segment - 1, before=None)
        elif head.first != segment:
            yield self._damage(segment, 0, "the file has another segment's name", first=segment)
        first, before, expected = head.first, head.before, self._expected
        self._expected = first
        if expected is None:
            own = beginning(self._writer) if first == 1 or self._unchained else None
            if own is not None and before not in (None, own):
                yield self._damage(segment, 0, "the chain does not begin as this writer's does")
            self._head, self._sure = before or own or NO_HEAD, (before or own) is not None
        elif before is not None:
            if self._sure and before != self._head:
                problem = "records before this segment are missing or were changed"
                yield self._damage(segment, 0, problem, first=expected, last=first - 1)
            self._head, self._sure = before, True
        elif self._unchained and min(head.acknowledged, first - 1) >= expected:
            problem = "records before this segment are missing"
            yield self._damage(segment, 0, problem, first=expected, last=first - 1)

    def _follow(self, segment: int, offset: int, found: Scanned) -> Iterator[Run | Damage]:
        """Look at good frames, and whether each head follows from the one before it and the record."""
        start, before, first = 0, self._head, self._next
        for index, (body, head) in enumerate(zip(found.bodies, found.heads, strict=True)):
            if self._sure and link(self._head, first + index, body) != head:
                if index > start:
                    yield self._run(found, first, start, index, before)
                self._expected = first + index
                yield self._damage(segment, offset, "the record was changed, or its place in the chain")
                start, before = index, self._head
            self._head, self._sure = head, True
            offset += self._form.prefix_size + len(body) + len(found.personal[index])
        yield self._run(found, first, start, len(found.bodies), before)
        self._expected = first + len(found.bodies)

    def _pass_by(
        self, segment: int, descriptor: int, offset: int, data: bytes
    ) -> Generator[Damage, None, int | None]:
        """Name what stands where the next record should, and return where to go on, None for nowhere."""
        expected, prefix = self._next, self._form.prefix(data)
        if prefix is not None:
            end = offset + self._form.prefix_size + prefix.body_size + prefix.personal_size
            if prefix.number > expected:
                yield self._damage(segment, offset, "records are missing here", last=prefix.number - 1)
                self._expected, self._sure = prefix.number, False
                return offset
            if prefix.number < expected:
                problem = "the record is not in its place, or here a second time"
                yield self._damage(segment, offset, problem, first=prefix.number)
                return end
            yield self._damage(segment, offset, "the record was changed")
            self._expected, self._head, self._sure = expected + 1, prefix.head, True
            return end
        place = offset
        while (found := self._form.resume(data, expected)) is None and len(data) == _PIECE:
            place += _PIECE - _OVERLAP
            data = os.pread(descriptor, _PIECE, place)
        self._sure = False
        if found is None:
            following = self._following(segment) or 0
            problem = "what is here to the end of the segment is not a record"
            yield self._damage(segment, offset, problem, last=following - 1)
            return None
        place += found.offset
        problem = f"{place - offset} bytes here are not a record"
        yield self._damage(segment, offset, problem, last=found.number - 1)
        self._expected = found.number
        self._head, self._sure = found.before or self._head, found.before is not None
        return place

    @property
    def _next(self) -> int:
        return self._expected or 1

    @property
    def _unchained(self) -> bool:
        return isinstance(self._form, UnchainedFrames)

    def _following(self, segment: int) -> int | None:
        return next((first for first in segments_in(self._directory) if first > segment), None)

    def _run(self, found: Scanned, first: int, start: int, stop: int, before: bytes) -> Run:
        return Run(
            writer=self._writer,
            first=first + start,
            bodies=tuple(found.bodies[start:stop]),
            before=before,
            heads=tuple(found.heads[start:stop]),
            personal=tuple(found.personal[start:stop]),
        )

    def _damage(
        self, segment: int, offset: int, problem: str, *, first: int | None = None, last: int = 0
    ) -> Damage:
        first = self._next if first is None else first
        file = self._directory.relative_to(self._directory.parents[1]) / name_of(segment)
        return Damage(
            writer=self._writer,
            first=first,
            last=max(first, last),
            place=f"{file} byte {offset}",
            problem=problem,
        )


def _header(data: bytes, writer: UUID) -> Header | None:
    try:
        return read_header(data, writer)
    except UnknownFormatError:
        # Other segments of the log are in a form that we know, and all of a log is written in one.
        return None
