"""The whole trail: what has been shipped, and what still waits in the spool, each record once."""

from asyncio import to_thread
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from gateway.audit.places import place_of
from gateway.audit.waiting import Opening, Waiting
from gateway.crypto import Sealer
from gateway.ports import AuditQuery, AuditSink, AuditTrail, Erased, Position, StoredRecord, Unshipped


class WholeTrail:
    """Reads both places. Implements `ports.AuditTrail`.

    Records only ever move from the spool to the shipped trail, so reading the spool first misses none.
    """

    def __init__(
        self,
        shipped: AuditTrail,
        sink: AuditSink,
        unshipped: Unshipped,
        sealer: Sealer,
        erased: Erased,
    ) -> None:
        self._shipped = shipped
        self._sink = sink
        self._waiting = Waiting(unshipped)
        self._sealer = sealer
        self._erased = erased

    async def find(self, query: AuditQuery) -> Sequence[StoredRecord]:
        """Return the first records that match, in the order that is asked for. Raise `StoreUnavailable`."""
        cursors = await self._cursors()
        waiting = await self._said_of_nobody_erased(partial(self._waiting.first, cursors, query))
        found = {(record.writer, record.seq): record for record in waiting}
        for record in await self._shipped.find(query):
            found.setdefault((record.writer, record.seq), record)
        ordered = sorted(found.values(), key=place_of, reverse=not query.oldest_first)
        return ordered[: query.limit]

    async def end(self) -> Position:
        """Return where the trail ends now. Raise `StoreUnavailable`."""
        cursors = await self._cursors()
        waiting = await to_thread(self._waiting.ends, cursors)
        # What waited may have been shipped since, and cleared away.
        shipped = dict(await self._shipped.end())
        return shipped | {writer: max(end, shipped.get(writer, 0)) for writer, end in waiting.items()}

    async def after(self, position: Position, *, limit: int) -> Sequence[StoredRecord]:
        """Return records that came after a position, those of each writer without a gap, about as many as
        asked for, by time. Raise `StoreUnavailable`."""
        cursors = await self._cursors()
        starts = {writer: max(acked, position.get(writer, 0)) for writer, acked in cursors.items()}
        waiting = await self._said_of_nobody_erased(partial(self._waiting.after, starts, limit))
        shipped = await self._shipped.after(position, limit=limit)
        if len(shipped) >= limit:
            # What waits comes behind records that were not read yet.
            waiting = []
        found = {(record.writer, record.seq): record for record in (*waiting, *shipped)}
        return sorted(found.values(), key=place_of)

    async def _cursors(self) -> Mapping[str, int]:
        writers = await to_thread(self._waiting.writers)
        return {writer: await self._sink.cursor(writer) for writer in writers}

    async def _said_of_nobody_erased(
        self, read: Callable[[Opening], list[StoredRecord]]
    ) -> list[StoredRecord]:
        """Read what waits as it will be read once it is shipped: without what it says of those who were
        erased. Raise `StoreUnavailable`."""
        opening = Opening(self._sealer)
        found = await to_thread(read, opening)
        erased = await self._erased.among(opening.subjects)
        return await to_thread(read, Opening(self._sealer, erased)) if erased else found
