"""What operators do with the audit trail: find records, and follow it."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from gateway.audit import decode
from gateway.model import Event, EventKind, Principal
from gateway.ports import AuditQuery, AuditTrail, AuditUnavailable, Events

Record = dict[str, object]
"""One record with all fields of the contract, in its order."""

FOLLOW_EVERY = 0.25
"""Seconds between two looks at a trail that is followed."""
_AT_ONCE = 1000


async def list_records(trail: AuditTrail, query: AuditQuery) -> Sequence[Record]:
    """Return the newest records that match, newest first. Raise `StoreUnavailable`."""
    return [decode(stored) for stored in await trail.find(query)]


async def tail(trail: AuditTrail, *, last: int, follow: bool = True) -> AsyncIterator[Record]:
    """Give the last few records, oldest first, and then each new one as it comes, until closed.

    Raise `StoreUnavailable`.
    """
    position = dict(await trail.end())
    if last > 0:
        for stored in reversed(await trail.find(AuditQuery(limit=last))):
            if stored.seq <= position.get(stored.writer, 0):
                yield decode(stored)
    while follow:
        found = await trail.after(position, limit=_AT_ONCE)
        for stored in found:
            # Never backwards: the clock may have been set back between two records of a writer.
            position[stored.writer] = max(stored.seq, position.get(stored.writer, 0))
            yield decode(stored)
        if not found:
            await asyncio.sleep(FOLLOW_EVERY)


async def note_reading(
    events: Events, query: AuditQuery | None, *, records: int | None, operator: Principal
) -> str | None:
    """Record that the trail was read (`audit.read`); return why that was not possible, None when it was.

    Not a condition of reading: a disk that is full is when an operator needs the trail most.
    """
    attributes: dict[str, str | int | bool | list[str]] = {"follow": query is None}
    if query is not None:
        names = ("since", "until", "actor", "decision", "route", "request_id", "kind", "limit")
        given = {name: getattr(query, name) for name in names}
        attributes |= {name: value for name, value in given.items() if value is not None}
    if records is not None:
        attributes["records"] = records
    try:
        await events.event(Event(kind=EventKind.AUDIT_READ, actor=operator, attributes=attributes))
    except AuditUnavailable as unavailable:
        return str(unavailable)
    return None
