"""What operators do with the audit trail: find records, follow it, and take them elsewhere."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.audit import Filter, cursor_of, decode, described
from gateway.model import Event, EventKind, Principal
from gateway.ports import (
    AuditQuery,
    AuditTrail,
    AuditUnavailable,
    Events,
    Place,
)

Record = dict[str, object]
"""One record with all fields of the contract, in its order."""
Reading = Mapping[str, str | int]
"""How the trail was read: by which `command`, and what else is worth telling."""

FOLLOW_EVERY = 0.25
"""Seconds between two looks at a trail that is followed."""
_AT_ONCE = 8192
"""Records that are looked for at once."""
_EVERYTHING = Filter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Records in the order that was asked for, and how to go on."""

    records: Sequence[Record]
    next: str | None
    """Cursor of the next page; None when there is no more."""


async def list_records(trail: AuditTrail, query: AuditQuery) -> Page:
    """Return the first records that match, in the order that is asked for. Raise `StoreUnavailable`."""
    # One more than is wanted says whether there is a next page.
    found = await trail.find(replace(query, limit=query.limit + 1))
    records = [decode(stored) for stored in found[: query.limit]]
    more = len(found) > query.limit
    return Page(records=records, next=cursor_of(_place(records[-1])) if more and records else None)


async def export_records(trail: AuditTrail, query: AuditQuery) -> AsyncIterator[Record]:
    """Give all records that match, whatever the query's limit, oldest first, page by page.

    What is written meanwhile is given too, unless the query has an end. Raise `StoreUnavailable`.
    """
    place = Place("", "", 0) if query.beyond is None else query.beyond
    while True:
        page = replace(query, oldest_first=True, beyond=place, limit=_AT_ONCE)
        found, begin = await trail.find(page), place
        for stored in found:
            record = decode(stored)
            yield record
            # A record that has no time is shown in its place all the same, and must not lead back.
            place = max(place, _place(record))
        if len(found) < _AT_ONCE or place == begin:
            return


async def tail(
    trail: AuditTrail, *, last: int, wanted: Filter = _EVERYTHING, follow: bool = True
) -> AsyncIterator[Record]:
    """Give the last few records that match, or all since a time when the filter has one, oldest first, and
    then each new one as it comes, until closed.

    Raise `StoreUnavailable`.
    """
    position = dict(await trail.end())
    async for record in _past(trail, wanted, last):
        _, writer, seq = _place(record)
        # What came meanwhile comes again, below.
        if seq <= position.get(writer, 0):
            yield record
    while follow:
        found = await trail.after(position, limit=_AT_ONCE)
        for stored in found:
            # Never backwards: the clock may have been set back between two records of a writer.
            position[stored.writer] = max(stored.seq, position.get(stored.writer, 0))
            record = decode(stored)
            if wanted.matches(record):
                yield record
        if not found:
            await asyncio.sleep(FOLLOW_EVERY)


async def note_reading(
    events: Events, reading: Reading, query: AuditQuery, *, operator: Principal
) -> str | None:
    """Record that the trail was read (`audit.read`); return why that was not possible, None when it was.

    Values that were looked for and may be personal are left out, for this record is not erased with them. Not
    a condition of reading: a disk that is full is when an operator needs the trail most.
    """
    attributes: dict[str, str | int | bool | list[str]] = {**reading}
    asked = {"filter": described(query.terms), "since": query.since, "until": query.until}
    attributes |= {name: value for name, value in asked.items() if value}
    try:
        await events.event(Event(kind=EventKind.AUDIT_READ, actor=operator, attributes=attributes))
    except AuditUnavailable as unavailable:
        return str(unavailable)
    return None


async def _past(trail: AuditTrail, wanted: Filter, last: int) -> AsyncIterator[Record]:
    """Give what those who begin to follow are shown first."""
    if wanted.since is not None:
        query = AuditQuery(since=wanted.since, terms=wanted.terms)
        async for record in export_records(trail, query):
            yield record
    elif last > 0:
        for stored in reversed(await trail.find(AuditQuery(terms=wanted.terms, limit=last))):
            yield decode(stored)


def _place(record: Record) -> Place:
    """Return the place of a record among all."""
    seq = record["seq"]
    return Place(str(record["time"] or ""), str(record["writer"]), seq if isinstance(seq, int) else 0)
