"""The trail is listed in pages, followed, and taken elsewhere."""

import asyncio
from collections.abc import Sequence
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit import Filter, decode, encode, parse_cursor, parse_filter
from gateway.model import RECORD_FIELDS, Event, EventKind, Principal, PrincipalKind, Term
from gateway.operations import audit as operations
from gateway.operations import export_records, list_records, note_reading, tail
from gateway.ports import AuditQuery, AuditUnavailable, Place, Position, StoredRecord

OPERATOR = Principal(id="uid:0", kind=PrincipalKind.OPERATOR, name="root", authn="", authn_kind="")
DENIED: Final = Term(field="decision", values=("deny",))
EVERYTHING = AuditQuery(limit=10)


class Trail:
    """A trail in memory."""

    def __init__(self, *seqs: int) -> None:
        self.records = [self.record(seq) for seq in seqs]
        self.asked: list[int] = []

    @staticmethod
    def record(seq: int) -> StoredRecord:
        told = {"time": f"{seq:05}", "kind": "decision", "decision": "deny" if seq % 3 == 0 else "allow"}
        return StoredRecord(writer="w", seq=seq, body=encode(told))

    async def find(self, query: AuditQuery) -> Sequence[StoredRecord]:
        self.asked.append(query.limit)
        wanted = Filter(terms=query.terms, since=query.since, until=query.until)
        found = [one for one in self.records if wanted.matches(decode(one))]
        if not query.oldest_first:
            found.reverse()
        if query.beyond is not None:
            beyond = query.beyond
            places = [(Place(f"{one.seq:05}", one.writer, one.seq), one) for one in found]
            found = [
                one for place, one in places if (place > beyond) == query.oldest_first and place != beyond
            ]
        return found[: query.limit]

    async def end(self) -> Position:
        return {"w": self.records[-1].seq} if self.records else {}

    async def after(self, position: Position, *, limit: int) -> Sequence[StoredRecord]:
        return [record for record in self.records if record.seq > position.get("w", 0)][:limit]


class Told:
    """Takes events down."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def event(self, event: Event) -> None:
        self.events.append(event)


@given(st.integers(0, 12), st.integers(1, 5))
async def test_pages_of_any_size_are_the_whole_in_order(count: int, size: int) -> None:
    trail, seen = Trail(*range(1, count + 1)), list[object]()
    beyond: Place | None = None
    while True:
        page = await list_records(trail, AuditQuery(limit=size, beyond=beyond))
        assert len(page.records) <= size
        seen += [record["seq"] for record in page.records]
        if page.next is None:
            break
        assert len(page.records) == size
        beyond = parse_cursor(page.next)
    assert seen == list(range(count, 0, -1))


async def test_a_record_has_all_fields() -> None:
    page = await list_records(Trail(1), EVERYTHING)
    assert [tuple(record) for record in page.records] == [RECORD_FIELDS]
    assert (await list_records(Trail(), EVERYTHING)).records == []


async def test_an_export_is_everything_oldest_first_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "_AT_ONCE", 4)
    trail = Trail(*range(1, 14))
    assert [record["seq"] async for record in export_records(trail, AuditQuery(limit=1))] == list(
        range(1, 14)
    )
    assert trail.asked == [4, 4, 4, 4]
    query = AuditQuery(terms=(DENIED,), since="00004", until="00012")
    assert [record["seq"] async for record in export_records(trail, query)] == [6, 9]
    assert [record["seq"] async for record in export_records(Trail(), EVERYTHING)] == []


async def test_an_export_ends_when_no_record_has_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    class Timeless(Trail):
        async def find(self, query: AuditQuery) -> Sequence[StoredRecord]:
            return [StoredRecord(writer="w", seq=0, body=b"{}")] * query.limit

    monkeypatch.setattr(operations, "_AT_ONCE", 2)
    async with asyncio.timeout(1.0):
        found = [record["seq"] async for record in export_records(Timeless(), EVERYTHING)]
    assert found == [0] * 4


async def test_following_begins_with_the_last_few_and_goes_on_with_what_comes() -> None:
    trail = Trail(*range(1, 31))
    following = tail(trail, last=3)
    seen = [(await anext(following))["seq"] for _ in range(3)]
    trail.records += [Trail.record(31), Trail.record(32)]
    seen += [(await anext(following))["seq"] for _ in range(2)]
    trail.records.append(Trail.record(33))
    async with asyncio.timeout(1.0):
        seen.append((await anext(following))["seq"])
    assert seen == [28, 29, 30, 31, 32, 33]


async def test_only_what_matches_is_followed() -> None:
    trail = Trail(*range(1, 11))
    following = tail(trail, last=2, wanted=Filter(terms=(DENIED,)))
    seen = [(await anext(following))["seq"] for _ in range(2)]
    trail.records += [Trail.record(seq) for seq in range(11, 16)]
    seen += [(await anext(following))["seq"] for _ in range(2)]
    assert seen == [6, 9, 12, 15]


async def test_what_is_followed_since_a_time_begins_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "_AT_ONCE", 2)
    trail = Trail(*range(1, 10))
    following = tail(trail, last=1, wanted=Filter(since="00004"))
    seen = [(await anext(following))["seq"]]
    # It is found while the past is read, and again behind it; shown once.
    trail.records.append(Trail.record(10))
    seen += [(await anext(following))["seq"] for _ in range(6)]
    assert seen == [4, 5, 6, 7, 8, 9, 10]


async def test_a_look_at_the_end_does_not_follow() -> None:
    assert [record["seq"] async for record in tail(Trail(1, 2), last=5, follow=False)] == [1, 2]
    assert [record["seq"] async for record in tail(Trail(1, 2), last=0, follow=False)] == []
    assert [record["seq"] async for record in tail(Trail(), last=5, follow=False)] == []


async def test_a_reading_is_recorded_with_what_was_asked_for_and_nobody_named() -> None:
    told, now = Told(), 1_795_269_600.0
    wanted = parse_filter("actor:alice -route:a* since:1h source_ip:203.0.113.7", now=now)
    query = AuditQuery(since=wanted.since, terms=wanted.terms)
    assert await note_reading(told, {"command": "list", "records": 3}, query, operator=OPERATOR) is None
    assert await note_reading(told, {"command": "tail"}, EVERYTHING, operator=OPERATOR) is None
    first, second = told.events
    assert (first.kind, first.actor) == (EventKind.AUDIT_READ, OPERATOR)
    assert first.attributes == {
        "command": "list",
        "records": 3,
        "filter": "actor:*** -route:a* source_ip:***",
        "since": "2026-11-21T13:00:00.000000Z",
    }
    assert second.attributes == {"command": "tail"}


async def test_a_reading_that_cannot_be_recorded_is_told() -> None:
    class Full:
        async def event(self, event: Event) -> None:
            raise AuditUnavailable("no space")

    assert await note_reading(Full(), {"command": "list"}, EVERYTHING, operator=OPERATOR) == "no space"
