"""The trail is what was shipped and what was not, each record once."""

from collections.abc import Iterator, Sequence

import orjson
import pytest

from gateway.audit import WholeTrail
from gateway.ports import AuditQuery, Position, Run, StoredRecord


def _record(writer: str, seq: int, **fields: object) -> StoredRecord:
    body = orjson.dumps({"time": f"2026-01-01T00:00:00.{seq:06d}Z", "kind": "decision", **fields})
    return StoredRecord(writer=writer, seq=seq, body=body)


class Shipped:
    """A trail and sink in memory."""

    def __init__(self) -> None:
        self.records: list[StoredRecord] = []

    async def find(self, query: AuditQuery) -> Sequence[StoredRecord]:
        return sorted(self.records, key=lambda record: orjson.loads(record.body)["time"], reverse=True)[
            : query.limit
        ]

    async def end(self) -> Position:
        return {record.writer: await self.cursor(record.writer) for record in self.records}

    async def after(self, position: Position, *, limit: int) -> Sequence[StoredRecord]:
        new = [record for record in self.records if record.seq > position.get(record.writer, 0)]
        return sorted(new, key=lambda record: (record.writer, record.seq))[:limit]

    async def cursor(self, writer: str) -> int:
        return max((record.seq for record in self.records if record.writer == writer), default=0)

    async def ship(self, run: Run) -> None:
        raise NotImplementedError

    async def skip(self, writer: str, *, upto: int) -> None:
        raise NotImplementedError


class Waiting:
    """A spool in memory."""

    def __init__(self) -> None:
        self.records: list[StoredRecord] = []

    def writers(self) -> Sequence[str]:
        return sorted({record.writer for record in self.records})

    def read(self, writer: str, *, after: int) -> Iterator[StoredRecord]:
        return iter([one for one in self.records if one.writer == writer and one.seq > after])


def _numbers(records: Sequence[StoredRecord]) -> list[tuple[str, int]]:
    return [(record.writer, record.seq) for record in records]


@pytest.fixture
def shipped() -> Shipped:
    return Shipped()


@pytest.fixture
def waiting() -> Waiting:
    return Waiting()


@pytest.fixture
def trail(shipped: Shipped, waiting: Waiting) -> WholeTrail:
    return WholeTrail(shipped, shipped, waiting)


async def test_both_places_are_one_list_newest_first(
    trail: WholeTrail, shipped: Shipped, waiting: Waiting
) -> None:
    shipped.records = [_record("a", seq) for seq in (1, 2, 3)]
    waiting.records = [_record("a", seq) for seq in (2, 3, 4, 5)] + [_record("b", 7)]
    found = await trail.find(AuditQuery(limit=100))
    assert _numbers(found) == [("b", 7), ("a", 5), ("a", 4), ("a", 3), ("a", 2), ("a", 1)]
    assert _numbers(await trail.find(AuditQuery(limit=2))) == [("b", 7), ("a", 5)]


async def test_a_record_that_is_shipped_while_the_list_is_read_is_there_once(
    shipped: Shipped, waiting: Waiting
) -> None:
    class Slow(Waiting):
        def read(self, writer: str, *, after: int) -> Iterator[StoredRecord]:
            found = list(super().read(writer, after=after))
            shipped.records, self.records = [*shipped.records, *self.records], []
            return iter(found)

    slow = Slow()
    slow.records = [_record("a", 1), _record("a", 2)]
    found = await WholeTrail(shipped, shipped, slow).find(AuditQuery())
    assert _numbers(found) == [("a", 2), ("a", 1)]


async def test_what_is_shipped_while_the_end_is_looked_for_lies_before_the_end(
    shipped: Shipped, waiting: Waiting
) -> None:
    class Gone(Waiting):
        def read(self, writer: str, *, after: int) -> Iterator[StoredRecord]:
            shipped.records, self.records = [*shipped.records, *self.records], []
            return super().read(writer, after=after)

    gone = Gone()
    gone.records = [_record("a", 1), _record("a", 2)]
    assert await WholeTrail(shipped, shipped, gone).end() == {"a": 2}


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        (AuditQuery(), True),
        (AuditQuery(actor="usr_1"), True),
        (AuditQuery(actor="alice"), True),
        (AuditQuery(actor="bob"), False),
        (AuditQuery(decision="deny"), True),
        (AuditQuery(decision="allow"), False),
        (AuditQuery(route="r"), True),
        (AuditQuery(route="s"), False),
        (AuditQuery(request_id="q"), True),
        (AuditQuery(request_id="p"), False),
        (AuditQuery(kind="decision"), True),
        (AuditQuery(kind="event"), False),
        (AuditQuery(since="2026-01-01T00:00:00.000005Z"), True),
        (AuditQuery(since="2026-01-01T00:00:00.000006Z"), False),
        (AuditQuery(until="2026-01-01T00:00:00.000006Z"), True),
        (AuditQuery(until="2026-01-01T00:00:00.000005Z"), False),
        (AuditQuery(actor="alice", decision="allow"), False),
    ],
)
async def test_what_waits_is_filtered_as_what_was_shipped(
    trail: WholeTrail, waiting: Waiting, query: AuditQuery, matches: bool
) -> None:
    waiting.records = [
        _record("a", 5, actor={"id": "usr_1", "name": "alice"}, decision="deny", route="r", request_id="q")
    ]
    assert bool(await trail.find(query)) == matches


async def test_a_damaged_record_is_shown_rather_than_an_error(trail: WholeTrail, waiting: Waiting) -> None:
    waiting.records = [
        StoredRecord(writer="a", seq=1, body=b"{"),
        StoredRecord(writer="a", seq=2, body=b"[]"),
    ]
    assert len(await trail.find(AuditQuery())) == 2
    assert await trail.find(AuditQuery(actor="alice")) == []


async def test_following_gives_each_record_once_however_it_travels(
    trail: WholeTrail, shipped: Shipped, waiting: Waiting
) -> None:
    shipped.records = [_record("a", 1)]
    waiting.records = [_record("a", 2), _record("b", 1)]
    position = dict(await trail.end())
    assert position == {"a": 2, "b": 1}
    seen = []

    async def follow(limit: int = 100) -> None:
        for record in await trail.after(position, limit=limit):
            assert record.seq == position.get(record.writer, 0) + 1
            position[record.writer] = record.seq
            seen.append((record.writer, record.seq))

    await follow()
    assert seen == []
    waiting.records += [_record("a", 3), _record("a", 4), _record("c", 1)]
    await follow()
    assert sorted(seen) == [("a", 3), ("a", 4), ("c", 1)]
    shipped.records += waiting.records
    await follow()
    assert len(seen) == 3
    shipped.records += [_record("a", seq) for seq in range(5, 9)]
    waiting.records = [_record("a", seq) for seq in range(9, 12)]
    for _ in range(9):
        await follow(limit=2)
    assert [seq for writer, seq in seen if writer == "a"] == list(range(3, 12))
