"""One look through the trail: which records of its chunks match, and which of these are the newest."""

import heapq
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import orjson

from gateway.ports import AuditQuery
from gateway.stores.sql.audit_chunk import divided, noted, opened, time_of, unshortened

_MEMBERS: Final = ("decision", "route", "request_id", "kind")


class StoredChunk(NamedTuple):
    """A chunk as it is stored."""

    key: int
    last: int
    """Key of its last record; those of the others lie between the two."""
    until: str
    records: bytes

    def keyed(self) -> list[tuple[int, bytes]]:
        """Return its records with their keys; when it is damaged, one that says so in place of all."""
        data = opened(self.records)
        return [(self.last, self._damage())] if data is None else self._keyed(data)

    def _keyed(self, data: bytes) -> list[tuple[int, bytes]]:
        return list(enumerate(divided(data, self.last - self.key + 1), self.key))

    def _damage(self) -> bytes:
        attributes = {"unreadable": True, "count": self.last - self.key + 1}
        gap = {"time": self.until, "kind": "event", "action": "audit.gap", "attributes": attributes}
        return orjson.dumps(gap)

    def matching(self, look: "Look") -> Iterator[tuple[str, int, bytes]]:
        """Give time, key and body of the records that are wanted. Damage is shown to everybody."""
        data = opened(self.records)
        if data is None:
            yield self.until, self.last, self._damage()
        elif look.may_be_in(data):
            for key, body in self._keyed(data):
                time = look.time_if_wanted(body)
                if time is not None:
                    yield time, key, body


class Look:
    """Goes through chunks, and keeps the newest of the records that match a query.

    `ids` are those of the actors that are wanted, as `noted`, None for any.
    """

    def __init__(self, query: AuditQuery, ids: frozenset[str] | None) -> None:
        self._query = query
        self._ids = ids
        members = [(name, getattr(query, name)) for name in _MEMBERS]
        self._members = [(name, value) for name, value in members if value is not None]
        self._texts = [orjson.dumps(value) for _, value in self._members]
        self._id_texts = [] if ids is None else [_text(value) for value in ids]
        self._newest: list[tuple[str, int, bytes]] = []
        """A heap: the oldest of them is the first."""

    def is_over(self, until: str) -> bool:
        """Say whether chunks that end at a time, or before, cannot add anything any more."""
        return len(self._newest) >= self._query.limit and until < self._newest[0][0]

    def into(self, chunks: Sequence[StoredChunk]) -> None:
        """Look into chunks."""
        newest, limit = self._newest, self._query.limit
        for chunk in sorted(chunks, key=lambda chunk: (chunk.until, chunk.key), reverse=True):
            if self.is_over(chunk.until):
                break
            for record in chunk.matching(self):
                if len(newest) < limit:
                    heapq.heappush(newest, record)
                elif record > newest[0]:
                    heapq.heapreplace(newest, record)

    def newest(self) -> list[tuple[int, bytes]]:
        """Return key and body of the newest that were found, newest first."""
        return [(key, body) for _, key, body in sorted(self._newest, reverse=True)]

    def may_be_in(self, data: bytes) -> bool:
        """Say whether something that is wanted may be in the text of records. Quick, and never wrongly no."""
        if not all(text in data for text in self._texts):
            return False
        return self._ids is None or any(text in data for text in self._id_texts)

    def time_if_wanted(self, body: bytes) -> str | None:
        """Return the time of a record that is wanted, None of any other."""
        if not self.may_be_in(body):
            return None
        query, time = self._query, time_of(body)
        if (query.since is not None and time < query.since) or (
            query.until is not None and time >= query.until
        ):
            return None
        if self._members or self._ids is not None:
            try:
                fields = orjson.loads(body)
                if not all(fields.get(name) == value for name, value in self._members):
                    return None
                if self._ids is not None and noted(fields["actor"]["id"]) not in self._ids:
                    return None
            except (ValueError, LookupError, TypeError, AttributeError):
                return None
        return time


def _text(id_: str) -> bytes:
    """Return what is in the JSON of every record of an actor: the id, or its beginning when it is long."""
    return orjson.dumps(unshortened(id_))[:-1]
