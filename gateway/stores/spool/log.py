"""Reading one writer's log, record after record, while it may still be written."""

from bisect import bisect_right
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

from gateway.crypto import beginning
from gateway.ports import Run
from gateway.stores.spool.form import Form, Found, Scanned
from gateway.stores.spool.pieces import NO_HEAD, form_in, header_in, is_torn, read_piece
from gateway.stores.spool.room import segments_in
from gateway.stores.spool.segment import (
    HEADER_SIZE,
    VERSION,
    Header,
    UnknownFormatError,
    form_of,
    name_of,
)
from gateway.stores.spool.unchained import UnchainedFrames

_CHUNK: Final = 256 << 10
_SEARCHED: Final = 4 << 20
"""Bytes that are searched for the next good frame."""


class _Place(NamedTuple):
    """Where a record is."""

    number: int
    segment: int
    offset: int
    head: bytes
    """The chain's head before it."""


class Log:
    """A reader's place in a log. Files are open only while it reads: segments come and go."""

    def __init__(
        self, directory: Path, *, dead: bool, form: Form | None = None, remembers: bool = False
    ) -> None:
        """`form` is how the log is written, if that is known. One that `remembers` goes back to where it has
        been without reading what is before."""
        self._directory = directory
        self._id = UUID(directory.name)
        self._dead = dead
        self._form = form
        """How the log is written; None as long as no header of it was read."""
        self._segment: int | None = None
        self._offset = HEADER_SIZE
        self._next = 1
        """Number of the record that is expected at the offset."""
        self._head = NO_HEAD
        """The chain's head before it."""
        self._lost = 0
        self._places: list[_Place] | None = [] if remembers else None
        """Where it has been, in their order."""

    def read(self, *, after: int, limit: int) -> Run | None:
        """Return up to `limit` records after a number, None when there are none for now.

        A record that is cut short at the end of a living writer's log is still being written; at the end of a
        dead writer's log nobody was told that it is durable. Damage anywhere else is passed by, and counted
        as lost. Raise `UnknownFormatError`, `OSError`.
        """
        try:
            return self._read(after, limit)
        except FileNotFoundError:
            # Whoever ships the log has removed the segment since; what follows it is still there.
            self._segment = None
            if self._places:
                self._places.clear()
            try:
                return self._read(after, limit)
            except FileNotFoundError:
                return None

    def damaged(self) -> int | None:
        """Return the number of the record that is here and cannot be read, with all that comes behind it;
        None when nothing is here but what a writer leaves when it goes away. Raise `OSError`."""
        if self._segment is None:
            return None
        form, data = self._form_known(), self._bytes(_SEARCHED)
        found = form.scan(data, expected=self._next, limit=1, before=self._head)
        if not data or found.bodies or is_torn(data, self._offset, form, found.wanted):
            return None
        return self._next

    def drop(self, *, upto: int) -> None:
        """Remove the segments that hold nothing above a number. Raise `UnknownFormatError`, `OSError`."""
        segments = segments_in(self._directory)
        form = self._form or (form_in(self._directory, segments) if segments else None)
        if isinstance(form, UnchainedFrames):
            # The chain is made from the first record that is there, and must come out the same each time.
            return
        for segment, following in pairwise(segments):
            if following - 1 <= upto:
                (self._directory / name_of(segment)).unlink(missing_ok=True)

    def _read(self, after: int, limit: int) -> Run | None:
        if not (self._go_to(after + 1) or self._begin(after)):
            return None
        bodies: list[bytes] = []
        heads: list[bytes] = []
        personal: list[bytes] = []
        first = lost = 0
        before = self._head
        while len(bodies) < limit:
            found = self._scan(limit - len(bodies))
            if found.bodies:
                known = min(len(found.bodies), max(0, after + 1 - self._next))
                if not bodies:
                    first = self._next + known
                    before = found.heads[known - 1] if known else self._head
                    lost, self._lost = self._lost, 0
                bodies += found.bodies[known:]
                heads += found.heads[known:]
                personal += found.personal[known:]
                self._next += len(found.bodies)
                self._offset += found.consumed
                self._head = found.heads[-1]
            elif not self._advance(after):
                break
            elif bodies and self._next != first + len(bodies):
                # The numbers of a run follow each other, so whatever comes behind a hole is the next run.
                break
        if not bodies:
            return None
        return Run(
            writer=self._directory.name,
            first=first,
            bodies=tuple(bodies),
            before=before,
            heads=tuple(heads),
            personal=tuple(personal),
            lost=lost,
        )

    def _go_to(self, number: int) -> bool:
        """Go to where a record is, or before it, if that is known; False when it is not."""
        here = self._segment is not None and self._next <= number
        if self._places is None:
            return here
        index = bisect_right(self._places, number, key=itemgetter(0))
        if index and not (here and self._places[index - 1].number <= self._next):
            self._next, self._segment, self._offset, self._head = self._places[index - 1]
            self._lost = 0
        elif not here:
            return False
        if self._segment is not None and (not self._places or self._places[-1].number < self._next):
            self._places.append(_Place(self._next, self._segment, self._offset, self._head))
        return True

    def _begin(self, after: int) -> bool:
        segments = segments_in(self._directory)
        if not segments:
            return False
        if self._form is None:
            self._form = form_in(self._directory, segments)
        self._lost, self._head = 0, NO_HEAD
        if segments[0] == 1 or isinstance(self._form, UnchainedFrames):
            self._head = beginning(self._directory.name)
        # A header that does not say where the chain is makes us come from farther back.
        earlier = (first for first in reversed(segments) if first <= after + 1)
        start = next((first for first in earlier if self._head_before(first) is not None), segments[0])
        return self._enter(start, after, known=after)

    def _advance(self, after: int) -> bool:
        """Pass by what is not a good frame; False when one may still come to be there."""
        current = self._segment or 0
        later = [first for first in segments_in(self._directory) if first > current]
        if not later and not self._dead:
            return False
        # The writer may have gone on between our reading and its turning to the next segment.
        if self._scan(1).bodies:
            return True
        found = self._search()
        if found is not None:
            self._offset += found.offset
            self._lost += found.number - max(self._next, min(after + 1, found.number))
            self._next = found.number
            self._head = found.before or self._head
            return True
        return any(self._enter(first, after, known=self._next - 1) for first in later)

    def _enter(self, segment: int, after: int, *, known: int) -> bool:
        """Go to the beginning of a segment; False when it is not there yet."""
        form = self._form_known()
        if len(read_piece(self._directory, segment, 0, form.header_size)) < form.header_size:
            return False
        # The name says what the header does, should that be damaged.
        head = self._header(segment) or Header(first=segment, acknowledged=segment - 1, before=None)
        self._segment, self._offset, self._next = segment, form.header_size, segment
        self._head = head.before or self._head
        self._lost += max(0, min(head.acknowledged, segment - 1) - max(known, after))
        return True

    def _form_known(self) -> Form:
        return self._form or form_of(VERSION, self._id)

    def _header(self, segment: int) -> Header | None:
        try:
            return header_in(self._directory, segment)
        except UnknownFormatError:
            if self._form is None:
                raise
            # The others say how the log is written, so this one is damaged.
            return None

    def _head_before(self, segment: int) -> bytes | None:
        head = self._header(segment)
        return None if head is None else head.before

    def _search(self) -> Found | None:
        form = self._form_known()
        near = form.resume(self._bytes(_CHUNK), self._next)
        return near or form.resume(self._bytes(_SEARCHED), self._next)

    def _scan(self, limit: int) -> Scanned:
        form, data = self._form_known(), self._bytes(_CHUNK)
        found = form.scan(data, expected=self._next, limit=limit, before=self._head)
        if not found.bodies and found.wanted > len(data) == _CHUNK:
            data = self._bytes(found.wanted)
            return form.scan(data, expected=self._next, limit=limit, before=self._head)
        return found

    def _bytes(self, size: int) -> bytes:
        return read_piece(self._directory, self._segment or 0, self._offset, size)
