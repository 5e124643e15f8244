"""The whole trail: what has been shipped, and what still waits in the spool, each record once."""

import heapq
from asyncio import to_thread
from collections.abc import Mapping, Sequence
from itertools import islice

import orjson

from gateway.ports import AuditQuery, AuditSink, AuditTrail, Position, StoredRecord, Unshipped


class WholeTrail:
    """Reads both places. Implements `ports.AuditTrail`.

    Records only ever move from the spool to the shipped trail, so reading the spool first misses none.
    """

    def __init__(self, shipped: AuditTrail, sink: AuditSink, unshipped: Unshipped) -> None:
        self._shipped = shipped
        self._sink = sink
        self._unshipped = unshipped

    async def find(self, query: AuditQuery) -> Sequence[StoredRecord]:
        """Return the newest records that match, newest first. Raise `StoreUnavailable`."""
        cursors = await self._cursors()
        waiting = await to_thread(_newest, self._unshipped, cursors, query)
        found = {(record.writer, record.seq): record for record in waiting}
        for record in await self._shipped.find(query):
            found.setdefault((record.writer, record.seq), record)
        return sorted(found.values(), key=_order, reverse=True)[: query.limit]

    async def end(self) -> Position:
        """Return where the trail ends now. Raise `StoreUnavailable`."""
        cursors = await self._cursors()
        waiting = await to_thread(_ends, self._unshipped, cursors)
        # What waited may have been shipped since, and cleared away.
        shipped = dict(await self._shipped.end())
        return shipped | {writer: max(end, shipped.get(writer, 0)) for writer, end in waiting.items()}

    async def after(self, position: Position, *, limit: int) -> Sequence[StoredRecord]:
        """Return records that came after a position, those of each writer without a gap, about as many as
        asked for, by time. Raise `StoreUnavailable`."""
        cursors = await self._cursors()
        starts = {writer: max(acked, position.get(writer, 0)) for writer, acked in cursors.items()}
        waiting = await to_thread(_after, self._unshipped, starts, limit)
        shipped = await self._shipped.after(position, limit=limit)
        if len(shipped) >= limit:
            # What waits comes behind records that were not read yet.
            waiting = []
        found = {(record.writer, record.seq): record for record in (*waiting, *shipped)}
        return sorted(found.values(), key=_order)

    async def _cursors(self) -> Mapping[str, int]:
        writers = await to_thread(self._unshipped.writers)
        return {writer: await self._sink.cursor(writer) for writer in writers}


def _newest(unshipped: Unshipped, cursors: Mapping[str, int], query: AuditQuery) -> list[StoredRecord]:
    """Return what waits and matches, as many as are wanted, in one pass that keeps no more than that."""
    matching = (
        record
        for writer, acked in cursors.items()
        for record in unshipped.read(writer, after=acked)
        if _matches(record, query)
    )
    return heapq.nlargest(query.limit, matching, key=_order)


def _after(unshipped: Unshipped, starts: Mapping[str, int], limit: int) -> list[StoredRecord]:
    return [
        record
        for writer, start in starts.items()
        for record in islice(unshipped.read(writer, after=start), limit)
    ]


def _ends(unshipped: Unshipped, cursors: Mapping[str, int]) -> dict[str, int]:
    ends = dict(cursors)
    for writer, acked in cursors.items():
        for record in unshipped.read(writer, after=acked):
            ends[writer] = record.seq
    return ends


def _fields(record: StoredRecord) -> Mapping[str, object]:
    try:
        fields = orjson.loads(record.body)
    except orjson.JSONDecodeError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _order(record: StoredRecord) -> tuple[str, str, int]:
    return str(_fields(record).get("time", "")), record.writer, record.seq


def _matches(record: StoredRecord, query: AuditQuery) -> bool:
    fields = _fields(record)
    time = str(fields.get("time", ""))
    if query.since is not None and time < query.since:
        return False
    if query.until is not None and time >= query.until:
        return False
    if query.actor is not None:
        actor = fields.get("actor")
        if not isinstance(actor, dict) or query.actor not in (actor.get("id"), actor.get("name")):
            return False
    return all(
        wanted is None or fields.get(name) == wanted
        for name, wanted in (
            ("decision", query.decision),
            ("route", query.route),
            ("request_id", query.request_id),
            ("kind", query.kind),
        )
    )
