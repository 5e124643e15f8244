"""What waits in the spool, found again: page after page without reading all of it for each."""

import heapq
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from threading import Lock
from typing import Final, NamedTuple

import orjson

from gateway.audit.places import place_of
from gateway.audit.record import decode
from gateway.crypto import SealBroken, Sealer, open_parts
from gateway.model import time_of
from gateway.ports import AuditQuery, Place, Run, StoredRecord, Unshipped

_KEPT: Final = 4096
"""How much that is said of persons again and again is opened only once."""
_BLOCK: Final = 1024
"""Records whose times are noted together."""


class Opening:
    """Opens what waiting records say of persons, but for those who were erased."""

    def __init__(self, sealer: Sealer, erased: Collection[str] = ()) -> None:
        self.subjects: set[str] = set()
        """Of whom something was said."""
        self._sealer = sealer
        self._erased = erased
        self._opened: dict[bytes, bytes] = {}

    def opened(self, sealed: bytes) -> bytes:
        """Return what a record says of persons; nothing when that was damaged, as if it had been erased."""
        if not sealed:
            return b""
        found = self._opened.get(sealed)
        if found is None:
            if len(self._opened) >= _KEPT:
                self._opened.clear()
            found = self._opened[sealed] = self._open(sealed)
        return found

    def _open(self, sealed: bytes) -> bytes:
        try:
            parts = open_parts(self._sealer, sealed)
            self.subjects.update(part.subject for part in parts)
            said = {part.subject: part.fields for part in parts if part.subject not in self._erased}
        except (SealBroken, ValueError):
            return b""
        return orjson.dumps(said) if said else b""


class _Block(NamedTuple):
    """Records of a writer that are read together."""

    first: int
    last: int
    since: str
    until: str
    """Times of the earliest and of the latest."""

    def may_hold(self, query: AuditQuery) -> bool:
        """Say whether any of them may be at a time that is wanted."""
        if query.since is not None and self.until < query.since:
            return False
        if query.until is not None and self.since >= query.until:
            return False
        beyond = query.beyond
        if beyond is None:
            return True
        return self.until >= beyond.time if query.oldest_first else self.since <= beyond.time


class Waiting:
    """The records of all logs on this machine that are not shipped. Its times are noted when a record is seen
    first, so that whoever asks for the next page reads little more than that.

    Every method blocks, and may be called in any thread: one asks after the other.
    """

    def __init__(self, unshipped: Unshipped) -> None:
        self._unshipped = unshipped
        self._blocks: dict[str, list[_Block]] = {}
        self._turn = Lock()

    def writers(self) -> Collection[str]:
        """Return whose records may wait."""
        with self._turn:
            return self._unshipped.writers()

    def first(self, cursors: Mapping[str, int], query: AuditQuery, opening: Opening) -> list[StoredRecord]:
        """Return what waits behind the cursors and matches, as many as are wanted, in their order."""
        best = _Best(query, opening)
        with self._turn:
            for writer, block in self._in_order(cursors, query):
                if best.is_before(block):
                    break
                for run in self._unshipped.read(writer, after=max(block.first - 1, cursors[writer])):
                    best.take(run, upto=block.last)
                    if run.last >= block.last:
                        break
        return best.all()

    def after(self, starts: Mapping[str, int], limit: int, opening: Opening) -> list[StoredRecord]:
        """Return the first records of each writer behind a number, up to so many."""
        with self._turn:
            return [
                record
                for writer, start in starts.items()
                for record in islice(self._records(writer, start, opening), limit)
            ]

    def ends(self, cursors: Mapping[str, int]) -> Mapping[str, int]:
        """Return the number of each writer's newest record, that of its cursor when nothing is behind it."""
        ends = dict(cursors)
        with self._turn:
            self._look(cursors)
            return ends | {writer: blocks[-1].last for writer, blocks in self._blocks.items() if blocks}

    def _in_order(self, cursors: Mapping[str, int], query: AuditQuery) -> list[tuple[str, _Block]]:
        """Return the blocks that may hold what is wanted, the one with the first in that order first."""
        self._look(cursors)
        found = [
            (writer, block)
            for writer, blocks in self._blocks.items()
            for block in blocks
            if block.may_hold(query)
        ]
        if query.oldest_first:
            return sorted(found, key=lambda one: one[1].since)
        return sorted(found, key=lambda one: one[1].until, reverse=True)

    def _look(self, cursors: Mapping[str, int]) -> None:
        """Note the times of what has come since the last look, and forget what is shipped."""
        known, self._blocks = self._blocks, {}
        for writer, acked in cursors.items():
            blocks = [block for block in known.get(writer, ()) if block.last > acked]
            for run in self._unshipped.read(writer, after=blocks[-1].last if blocks else acked):
                _note(blocks, run)
            self._blocks[writer] = blocks

    def _records(self, writer: str, after: int, opening: Opening) -> Iterator[StoredRecord]:
        for run in self._unshipped.read(writer, after=after):
            for seq, (body, sealed) in enumerate(zip(run.bodies, run.personal, strict=True), run.first):
                yield StoredRecord(writer=writer, seq=seq, body=body, personal=opening.opened(sealed))


class _Best:
    """Keeps the first of the records that match, hardly more than are wanted."""

    def __init__(self, query: AuditQuery, opening: Opening) -> None:
        self._query = query
        self._opening = opening
        self._choose = heapq.nsmallest if query.oldest_first else heapq.nlargest
        self._found: list[StoredRecord] = []
        self._chosen = True
        """Whether what was found is in order, and not more than is wanted."""

    def all(self) -> list[StoredRecord]:
        """Return them in their order."""
        if not self._chosen:
            self._found = self._choose(self._query.limit, self._found, key=place_of)
            self._chosen = True
        return self._found

    def is_before(self, block: _Block) -> bool:
        """Say whether there are enough, all of them before any of a block."""
        if len(self._found) < self._query.limit:
            return False
        found = self.all()
        if not found:
            return True
        worst = time_of(found[-1].body)
        return worst < block.since if self._query.oldest_first else worst > block.until

    def take(self, run: Run, *, upto: int) -> None:
        """Take those of a run that match, up to a number."""
        numbers = range(run.first, upto + 1)
        for seq, body, sealed in zip(numbers, run.bodies, run.personal, strict=False):
            if not self._is_wanted(Place(time_of(body), run.writer, seq)):
                continue
            record = StoredRecord(
                writer=run.writer, seq=seq, body=body, personal=self._opening.opened(sealed)
            )
            if self._query.terms:
                read = decode(record)
                if not all(term.is_met_by(read) for term in self._query.terms):
                    continue
            self._found.append(record)
            self._chosen = False

    def _is_wanted(self, place: Place) -> bool:
        query = self._query
        if query.since is not None and place.time < query.since:
            return False
        if query.until is not None and place.time >= query.until:
            return False
        beyond = query.beyond
        return beyond is None or (place > beyond if query.oldest_first else place < beyond)


def _note(blocks: list[_Block], run: Run) -> None:
    """Note the times of records that come behind those of the blocks."""
    times = [time_of(body) for body in run.bodies]
    block = _Block(run.first, run.last, min(times), max(times))
    if blocks and block.last - blocks[-1].first < _BLOCK:
        before = blocks.pop()
        block = _Block(
            before.first, block.last, min(before.since, block.since), max(before.until, block.until)
        )
    blocks.append(block)
