"""Reading one writer's log, record after record, while it may still be written."""

import os
from itertools import pairwise
from pathlib import Path
from typing import Final
from uuid import UUID

from gateway.ports import Run
from gateway.stores.spool.room import segments_in
from gateway.stores.spool.segment import (
    HEADER_SIZE,
    SEARCHED,
    Header,
    Scanned,
    name_of,
    read_header,
    resume,
    scan,
)

_CHUNK: Final = 256 << 10


class Log:
    """A reader's place in a log. Files are open only while it reads: segments come and go."""

    def __init__(self, directory: Path, *, dead: bool) -> None:
        self._directory = directory
        self._id = UUID(directory.name)
        self._dead = dead
        self._segment: int | None = None
        self._offset = HEADER_SIZE
        self._next = 1
        """Number of the record that is expected at the offset."""
        self._lost = 0

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
            try:
                return self._read(after, limit)
            except FileNotFoundError:
                return None

    def drop(self, *, upto: int) -> None:
        """Remove the segments that hold nothing above a number."""
        segments = segments_in(self._directory)
        for segment, following in pairwise(segments):
            if following - 1 <= upto:
                (self._directory / name_of(segment)).unlink(missing_ok=True)

    def _read(self, after: int, limit: int) -> Run | None:
        if (self._segment is None or after + 1 < self._next) and not self._begin(after):
            return None
        bodies: list[bytes] = []
        first = lost = 0
        while len(bodies) < limit:
            found = self._scan(limit - len(bodies))
            if found.bodies:
                known = min(len(found.bodies), max(0, after + 1 - self._next))
                if not bodies:
                    first = self._next + known
                    lost, self._lost = self._lost, 0
                bodies += found.bodies[known:]
                self._next += len(found.bodies)
                self._offset += found.consumed
            elif not self._advance(after):
                break
            elif bodies and self._next != first + len(bodies):
                # The numbers of a run follow each other, so whatever comes behind a hole is the next run.
                break
        if not bodies:
            return None
        return Run(writer=self._directory.name, first=first, bodies=tuple(bodies), lost=lost)

    def _begin(self, after: int) -> bool:
        segments = segments_in(self._directory)
        if not segments:
            return False
        before = [first for first in segments if first <= after + 1]
        return self._enter(before[-1] if before else segments[0], after, known=after)

    def _advance(self, after: int) -> bool:
        """Pass by what is not a good frame; False when one may still come to be there."""
        current = self._segment or 0
        later = [first for first in segments_in(self._directory) if first > current]
        if not later and not self._dead:
            return False
        # The writer may have gone on between our reading and its turning to the next segment.
        if self._scan(1).bodies:
            return True
        found = resume(self._bytes(SEARCHED), self._next)
        if found is not None:
            offset, number = found
            self._offset += offset
            self._lost += number - max(self._next, min(after + 1, number))
            self._next = number
            return True
        return any(self._enter(first, after, known=self._next - 1) for first in later)

    def _enter(self, segment: int, after: int, *, known: int) -> bool:
        """Go to the beginning of a segment; False when it is not there yet."""
        data = self._bytes(HEADER_SIZE, segment=segment, offset=0)
        if len(data) < HEADER_SIZE:
            return False
        # The name says what the header does, should that be damaged.
        head = read_header(data, self._id) or Header(segment, segment - 1)
        self._segment, self._offset, self._next = segment, HEADER_SIZE, segment
        self._lost += max(0, min(head.acknowledged, segment - 1) - max(known, after))
        return True

    def _scan(self, limit: int) -> Scanned:
        data = self._bytes(_CHUNK)
        found = scan(data, self._next, limit)
        if not found.bodies and found.wanted > len(data) == _CHUNK:
            return scan(self._bytes(found.wanted), self._next, limit)
        return found

    def _bytes(self, size: int, *, segment: int | None = None, offset: int | None = None) -> bytes:
        path = self._directory / name_of(self._segment or 0 if segment is None else segment)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(descriptor, size, self._offset if offset is None else offset)
        finally:
            os.close(descriptor)
