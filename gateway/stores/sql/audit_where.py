"""Where in the tables records may be that are wanted: chunks, in the order that is asked for.

What is noted of a chunk says where to look; whether a record there matches, only a look tells.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Row, Select, and_, or_, select, tuple_, union_all

from gateway.model import Comparison, Term
from gateway.ports import AuditQuery
from gateway.stores.sql.audit_asked import Asked
from gateway.stores.sql.audit_chunk import noted, request_text, until_of
from gateway.stores.sql.audit_stored import day_at
from gateway.stores.sql.audit_tables import audit_chunks, audit_terms

_CHUNK: Final = audit_chunks.c
_TERM: Final = audit_terms.c
_DAY: Final = timedelta(days=1)
"""No chunk is longer."""

Spot = tuple[int, int, int, str, str]
"""Of a chunk: its key, that of its last record, its day, its earliest and its latest time."""


def spots(query: AuditQuery, asked: Sequence[Asked]) -> Select[Spot]:
    """Select the chunks where records may be that match, those first whose records come first."""
    wanted: Select[Spot] = select(_CHUNK.key, _CHUNK.last_key, _CHUNK.day, _CHUNK.since, _CHUNK.until)
    # The place of a record that was withheld has no time.
    wanted = wanted.where(_CHUNK.until > "")
    low, high = _span(query)
    if low is not None:
        wanted = wanted.where(_CHUNK.until >= low)
        # A chunk's times lie within a day: so the range has two ends on either index.
        if (earlier := _shifted(low, -_DAY)) is not None:
            wanted = wanted.where(_CHUNK.since >= earlier)
    if high is not None:
        wanted = wanted.where(_CHUNK.since <= high)
        if (later := _shifted(high, _DAY)) is not None:
            wanted = wanted.where(_CHUNK.until <= later)
    day = None if low is None else day_at(low)
    if day is not None:
        wanted = wanted.where(_CHUNK.day >= day)
    for one in asked:
        if one.term.negated:
            continue
        if one.ids is not None:
            noted_in = select(_TERM.day, _TERM.chunk).where(_TERM.term.in_(sorted(one.ids)))
            if day is not None:
                noted_in = noted_in.where(_TERM.day >= day)
            wanted = wanted.where(tuple_(_CHUNK.day, _CHUNK.key).in_(noted_in))
        elif one.term.field == "request_id" and one.term.comparison is Comparison.IS:
            wanted = _of_requests(wanted, one.term)
    if query.oldest_first:
        return wanted.order_by(_CHUNK.since, _CHUNK.key)
    return wanted.order_by(_CHUNK.until.desc(), _CHUNK.key.desc())


def behind(spot: Row[Spot], wanted: Select[Spot], *, oldest_first: bool) -> Select[Spot]:
    """Select the chunks that come after one."""
    if oldest_first:
        return wanted.where(_CHUNK.since >= spot.since, or_(_CHUNK.since > spot.since, _CHUNK.key > spot.key))
    return wanted.where(_CHUNK.until <= spot.until, or_(_CHUNK.until < spot.until, _CHUNK.key < spot.key))


def _span(query: AuditQuery) -> tuple[str | None, str | None]:
    """Return between which times records are wanted, both included; None: any."""
    beyond = None if query.beyond is None else query.beyond.time
    if query.oldest_first:
        return max(filter(None, (query.since, beyond)), default=None), query.until
    return query.since, min((time for time in (query.until, beyond) if time is not None), default=None)


def _shifted(time: str, by: timedelta) -> str | None:
    try:
        moment = datetime.fromisoformat(time) + by
    except (ValueError, OverflowError):
        return None
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _of_requests(wanted: Select[Spot], term: Term) -> Select[Spot]:
    """Select those chunks where records of requests may be."""
    try:
        requests = [request_text(value) for value in term.values]
    except TypeError:
        # Half of a surrogate pair, which is in no id.
        return wanted
    noted_in = select(_TERM.day, _TERM.chunk).where(_TERM.term.in_(list(map(noted, requests))))
    # Not one or the other of each chunk, which no index answers.
    return wanted.where(tuple_(_CHUNK.day, _CHUNK.key).in_(union_all(noted_in, *map(_in_range, requests))))


def _in_range(request: str) -> Select[tuple[int, int]]:
    """Select the chunks whose range of requests has one within it."""
    within = and_(_CHUNK.first_request <= request, _CHUNK.last_request >= request)
    times = until_of(request)
    if times is not None:
        within = and_(within, _CHUNK.until.between(*times))
        if (day := day_at(times[0])) is not None:
            within = and_(within, _CHUNK.day >= day)
    return select(_CHUNK.day, _CHUNK.key).where(within)
