"""One look through the trail: which records of its chunks match, and which of these come first."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple

from gateway.model import time_of, with_persons
from gateway.ports import AuditQuery, Place
from gateway.stores.sql.audit_asked import Asked
from gateway.stores.sql.audit_opening import Said, said_of
from gateway.stores.sql.audit_personal import Part
from gateway.stores.sql.audit_stored import (
    PERSONAL,
    StoredChunk,
    commitments,
    fields_of,
    gap,
    stray,
)


class Candidate(NamedTuple):
    """A record that may be wanted."""

    place: Place
    day: int
    """Under which what it says of persons is kept."""
    body: bytes

    def fields(self) -> dict[str, object]:
        """Return what it says itself."""
        fields = fields_of(self.body) or fields_of(gap(self.place.time)) or {}
        return {**fields, "writer": self.place.writer, "seq": self.place.seq}

    def parts(self) -> Mapping[str, Part]:
        """Return where what it says of persons is kept, by subject."""
        return self.parts_in(fields_of(self.body) or {}) if PERSONAL in self.body else {}

    def parts_in(self, fields: Mapping[str, object]) -> Mapping[str, Part]:
        """Return the same, of what it says itself."""
        return {subject: Part(self.day, text) for subject, text in commitments(fields).items()}


class Look:
    """Goes through chunks in the order that is asked for, and keeps the first of the records that match.

    `writers`: their names, by number.
    """

    def __init__(self, query: AuditQuery, asked: Sequence[Asked], writers: Mapping[int, str]) -> None:
        self._query = query
        self._asked = [one for one in asked if not one.may_be_apart]
        self._apart = [one for one in asked if one.may_be_apart]
        self._writers = writers
        self._kept: list[Candidate] = []
        """The first ones, in order."""

    @property
    def first(self) -> Sequence[Candidate]:
        """The first that were found, in order."""
        return self._kept

    def is_over(self, chunk_since: str, chunk_until: str) -> bool:
        """Say whether a chunk between two times, and all behind it, cannot add anything any more."""
        if len(self._kept) < self._query.limit:
            return False
        last = self._kept[-1].place.time
        return chunk_since > last if self._query.oldest_first else chunk_until < last

    def into(self, chunks: Sequence[StoredChunk]) -> Sequence[Candidate]:
        """Look into chunks, and return those records of which only `decide` can tell, with what is kept apart
        from them."""
        undecided: list[Candidate] = []
        for chunk in chunks:
            if self.is_over(chunk.since, chunk.until):
                break
            text = chunk.text()
            if text is None:
                self._keep(self._damage(chunk))
            elif self._apart:
                undecided += self._candidates(chunk, text)
            else:
                self._keep(self._candidates(chunk, text))
        return undecided

    def decide(self, undecided: Iterable[Candidate], said: Mapping[Part, Said]) -> None:
        """Keep those that match together with what is said of persons, by where that is kept."""
        self._keep(one for one in undecided if self._is_met(one, said))

    def _keep(self, found: Iterable[Candidate]) -> None:
        kept = sorted((*self._kept, *found), key=itemgetter(0), reverse=not self._query.oldest_first)
        self._kept = kept[: self._query.limit]

    def _damage(self, chunk: StoredChunk) -> Iterator[Candidate]:
        """Give what is shown of a damaged chunk: to everybody, whatever is asked for."""
        found = Candidate(Place(chunk.until, self._writer(chunk), chunk.last), chunk.day, chunk.damage())
        if self._is_wanted_at(found.place):
            yield found

    def _candidates(self, chunk: StoredChunk, text: bytes) -> Iterator[Candidate]:
        """Give the records that match as far as they say themselves."""
        if not all(one.may_be_in(text) for one in self._asked):
            return
        writer = self._writer(chunk)
        records = list(enumerate(chunk.bodies(text), chunk.first))
        for one in self._asked:
            records = one.possible(records)
        for seq, body in records:
            found = Candidate(Place(time_of(body) or chunk.until, writer, seq), chunk.day, body)
            if self._is_wanted_at(found.place) and self._says(found):
                yield found

    def _writer(self, chunk: StoredChunk) -> str:
        return self._writers.get(chunk.number) or stray(chunk.number)

    def _is_wanted_at(self, place: Place) -> bool:
        """Say whether a record that is there would be among the first."""
        query = self._query
        if (query.since is not None and place.time < query.since) or (
            query.until is not None and place.time >= query.until
        ):
            return False
        worst = self._kept[-1].place if len(self._kept) >= query.limit else None
        older, newer = (query.beyond, worst) if query.oldest_first else (worst, query.beyond)
        return (older is None or place > older) and (newer is None or place < newer)

    def _says(self, candidate: Candidate) -> bool:
        if not self._asked:
            return True
        fields = candidate.fields()
        return all(one.is_met_by(fields) for one in self._asked)

    def _is_met(self, candidate: Candidate, said: Mapping[Part, Said]) -> bool:
        fields = candidate.fields()
        whole = with_persons(fields, said_of(candidate.parts_in(fields), said))
        return all(one.is_met_by(whole) for one in self._apart)
