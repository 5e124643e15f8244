"""What every audit sink and trail do: each record once, found again by what it says."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import orjson
import pytest
from databases import DATABASES, database_url, opened
from sqlalchemy import update

from gateway.ports import (
    AuditQuery,
    AuditSink,
    AuditTrail,
    RecordRefused,
    Run,
    StoredRecord,
    StoreUnavailable,
)
from gateway.stores.sql import Database, SqlAuditSink, SqlAuditTrail, audit
from gateway.stores.sql.audit_tables import audit_chunks

WRITER = str(uuid4())
OTHER = str(uuid4())


def _body(number: int, **fields: object) -> bytes:
    return orjson.dumps({"time": f"2026-01-01T00:00:00.{number:06d}Z", "kind": "decision", **fields})


def _run(first: int, count: int, writer: str = WRITER, **fields: object) -> Run:
    return Run(
        writer=writer, first=first, bodies=tuple(_body(first + index, **fields) for index in range(count))
    )


@pytest.fixture(params=DATABASES)
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    async with database_url(request.param, tmp_path) as lent:
        yield lent


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    async with opened(url) as database:
        yield database


@pytest.fixture
def sink(database: Database) -> AuditSink:
    return SqlAuditSink(database)


@pytest.fixture
def trail(database: Database) -> AuditTrail:
    return SqlAuditTrail(database)


async def _seqs(trail: AuditTrail, **query: object) -> list[int]:
    return [record.seq for record in await trail.find(AuditQuery(**{"limit": 10_000, **query}))]  # type: ignore[arg-type] # names and kinds of the query's own fields


@pytest.mark.parametrize("count", [1, 2, 3, 255, 256, 257, 1000, 2049])
async def test_runs_of_every_length_are_stored_whole(sink: AuditSink, trail: AuditTrail, count: int) -> None:
    run = _run(1, count)
    await sink.ship(run)
    found = await trail.find(AuditQuery(limit=5000))
    assert [record.body for record in reversed(found)] == list(run.bodies)
    assert [record.seq for record in reversed(found)] == list(range(1, count + 1))
    assert {record.writer for record in found} == {WRITER}
    assert await sink.cursor(WRITER) == count


async def test_a_run_that_comes_again_changes_nothing(sink: AuditSink, trail: AuditTrail) -> None:
    await sink.ship(_run(1, 10))
    await sink.ship(_run(1, 10))
    await sink.ship(_run(6, 10))
    await sink.ship(_run(3, 2))
    assert await _seqs(trail) == list(range(15, 0, -1))
    assert await sink.cursor(WRITER) == 15


async def test_two_processes_that_ship_one_log_at_once_store_each_record_once(
    database: Database, url: str
) -> None:
    async def ship(sink: AuditSink, size: int) -> None:
        for first in range(1, 3001, size):
            await sink.ship(_run(first, min(size, 3001 - first), actor={"id": "usr_1", "name": "alice"}))

    async with opened(url) as other:
        sinks = SqlAuditSink(database), SqlAuditSink(other)
        await asyncio.gather(ship(sinks[0], 700), ship(sinks[1], 333))
    assert await _seqs(SqlAuditTrail(database)) == list(range(3000, 0, -1))
    assert await _seqs(SqlAuditTrail(database), actor="alice") == list(range(3000, 0, -1))
    assert await sinks[0].cursor(WRITER) == 3000


async def test_a_request_is_found_however_long_it_took(sink: AuditSink, trail: AuditTrail) -> None:
    requests = [f"019b7692-{minute:04x}-7000-8000-000000000000" for minute in range(0, 60_000, 400)]
    bodies = [
        orjson.dumps(
            {"time": f"2026-01-01T00:{number % 60:02}:00.000000Z", "request_id": request, "kind": kind}
        )
        for number, request in enumerate(requests)
        for kind in ("decision", "completion")
    ]
    for first in range(0, len(bodies), 7):
        await sink.ship(Run(writer=WRITER, first=first + 1, bodies=tuple(bodies[first : first + 7])))
    for number, request in enumerate(requests):
        assert await _seqs(trail, request_id=request) == [2 * number + 2, 2 * number + 1]
    assert await _seqs(trail, request_id=requests[0].replace("7000", "7001")) == []


async def test_what_is_no_text_is_in_no_record(sink: AuditSink, trail: AuditTrail) -> None:
    await sink.ship(_run(1, 1))
    assert await _seqs(trail, route="\udc80") == []


async def test_a_chunk_that_was_damaged_is_shown_and_hides_no_other(
    sink: AuditSink, trail: AuditTrail, database: Database
) -> None:
    for first in (1, 4, 7):
        await sink.ship(_run(first, 3))
    async with database.write() as connection:
        damaged = update(audit_chunks).where(audit_chunks.c.last_key.bitwise_and(0xFF) == 6)
        await connection.execute(damaged.values(records=bytes(9)))
    found = await trail.find(AuditQuery(route="nowhere"))
    assert [(record.seq, b'"audit.gap"' in record.body, b'"count":3' in record.body) for record in found] == [
        (6, True, True)
    ]
    assert await _seqs(trail) == [9, 8, 7, 6, 3, 2, 1]
    assert [record.seq for record in await trail.after({}, limit=99)] == [1, 2, 3, 6, 7, 8, 9]


async def test_what_is_stored_first_stays(sink: AuditSink, trail: AuditTrail) -> None:
    await sink.ship(_run(1, 1, route="first"))
    await sink.ship(_run(1, 1, route="second"))
    assert await _seqs(trail, route="first") == [1]
    assert await _seqs(trail, route="second") == []


async def test_a_writer_without_records_is_at_zero(sink: AuditSink, trail: AuditTrail) -> None:
    assert await sink.cursor(WRITER) == 0
    assert await trail.end() == {}
    assert await trail.find(AuditQuery()) == []


async def test_writers_do_not_touch_each_other(sink: AuditSink, trail: AuditTrail) -> None:
    await sink.ship(_run(1, 3))
    await sink.ship(_run(1, 5, writer=OTHER))
    assert await sink.cursor(WRITER) == 3
    assert await sink.cursor(OTHER) == 5
    assert await trail.end() == {WRITER: 3, OTHER: 5}
    assert len(await _seqs(trail)) == 8


@pytest.mark.parametrize(
    "poison",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"kind": "event"}',
        b'{"time": 5, "kind": "event"}',
        b'{"time": null, "kind": "event"}',
        b'{"time": "t", "kind": {}}',
        b'{"time": "t", "kind": "k", "route": []}',
        b'{"time": "t", "kind": "k", "actor": "alice"}',
        b'{"time": "t", "kind": "k", "actor": {"id": []}}',
        b'{"time": "t", "kind": "k", "actor": {"id": [], "name": {}}}',
        b'{"time": "t", "kind": "k", "actor": {"id": 1, "name": 2}}',
        b'{"time": "t", "kind": "k", "request_id": 99999999999999999999999}',
    ],
)
async def test_poison_is_refused_and_nothing_of_its_run_is_stored(
    sink: AuditSink, trail: AuditTrail, poison: bytes
) -> None:
    await sink.ship(_run(1, 2))
    good = _run(3, 3)
    with pytest.raises(RecordRefused):
        await sink.ship(Run(writer=WRITER, first=3, bodies=(good.bodies[0], poison, good.bodies[2])))
    assert await _seqs(trail) == [2, 1]
    assert await sink.cursor(WRITER) == 2
    await sink.ship(good.part(0, 1))
    await sink.skip(WRITER, upto=4)
    assert await sink.cursor(WRITER) == 4
    await sink.ship(good.part(2, 3))
    assert await _seqs(trail) == [5, 3, 2, 1]


async def test_an_actor_without_a_name_is_no_poison(sink: AuditSink, trail: AuditTrail) -> None:
    await sink.ship(_run(1, 1, actor={"id": "usr_1", "name": None}))
    assert await _seqs(trail, actor="usr_1") == [1]


async def test_skipping_never_goes_back_and_knows_new_writers(sink: AuditSink) -> None:
    await sink.skip(WRITER, upto=4)
    await sink.skip(WRITER, upto=2)
    assert await sink.cursor(WRITER) == 4


async def test_hostile_text_is_found_as_it_was_written(sink: AuditSink, trail: AuditTrail) -> None:
    hostile = ["'; DROP TABLE audit_records; --", "\u2028\u202e\x1b[31m", '"\\', "😀", "%", "\x00"]
    bodies = tuple(_body(number, route=text) for number, text in enumerate(hostile, 1))
    await sink.ship(Run(writer=WRITER, first=1, bodies=bodies))
    for number, text in enumerate(hostile, 1):
        (found,) = await trail.find(AuditQuery(route=text))
        assert found == StoredRecord(writer=WRITER, seq=number, body=bodies[number - 1])


async def test_every_filter_holds_and_all_of_them_together(sink: AuditSink, trail: AuditTrail) -> None:
    alice = {"id": "usr_1", "name": "alice", "kind": "user"}
    bob = {"id": "usr_2", "name": "bob", "kind": "user"}
    bodies = (
        _body(1, actor=alice, decision="allow", route="a", request_id="q1"),
        _body(2, actor=alice, decision="deny", route="b", request_id="q2"),
        _body(3, actor=bob, decision="allow", route="a", request_id="q3"),
        _body(4, request_id="q3").replace(b'"decision"', b'"completion"'),
        _body(5, actor=None, decision="deny"),
    )
    await sink.ship(Run(writer=WRITER, first=1, bodies=bodies))
    assert await _seqs(trail) == [5, 4, 3, 2, 1]
    assert await _seqs(trail, limit=2) == [5, 4]
    assert await _seqs(trail, actor="alice") == [2, 1]
    assert await _seqs(trail, actor="usr_2") == [3]
    assert await _seqs(trail, actor="nobody") == []
    assert await _seqs(trail, decision="deny") == [5, 2]
    assert await _seqs(trail, route="a") == [3, 1]
    assert await _seqs(trail, request_id="q3") == [4, 3]
    assert await _seqs(trail, kind="completion") == [4]
    assert await _seqs(trail, since="2026-01-01T00:00:00.000003Z") == [5, 4, 3]
    assert await _seqs(trail, until="2026-01-01T00:00:00.000003Z") == [2, 1]
    assert await _seqs(
        trail, actor="alice", decision="allow", route="a", request_id="q1", kind="decision"
    ) == [1]
    assert await _seqs(trail, actor="alice", route="a", decision="deny") == []


async def test_a_renamed_actor_is_found_by_either_name(sink: AuditSink, trail: AuditTrail) -> None:
    await sink.ship(_run(1, 1, actor={"id": "usr_1", "name": "alice"}))
    await sink.ship(_run(2, 1, actor={"id": "usr_1", "name": "alicia"}))
    assert await _seqs(trail, actor="alice") == await _seqs(trail, actor="alicia") == [2, 1]


async def test_newest_is_by_time_whatever_came_last(sink: AuditSink, trail: AuditTrail) -> None:
    await sink.ship(Run(writer=WRITER, first=1, bodies=(_body(50), _body(70))))
    await sink.ship(Run(writer=OTHER, first=1, bodies=(_body(60), _body(10))))
    found = await trail.find(AuditQuery())
    assert [(record.writer, record.seq) for record in found] == [
        (WRITER, 2),
        (OTHER, 1),
        (WRITER, 1),
        (OTHER, 2),
    ]


@pytest.mark.parametrize("query", [AuditQuery(), AuditQuery(actor="ada"), AuditQuery(route="r")])
async def test_a_record_is_found_however_many_chunks_lie_before_it(
    sink: AuditSink, trail: AuditTrail, query: AuditQuery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "_PLACES", range(2, 5))
    monkeypatch.setattr(audit, "_RECORDS", 3)
    writers = [str(uuid4()) for _ in range(3)]
    expected = set()
    for seq in range(1, 13):
        for number, writer in enumerate(writers):
            # Many chunks end at the same moment; in some, nothing is wanted.
            wanted = (seq + number) % 3 == 0
            body = {"time": f"2026-01-01T00:00:0{seq // 5}.000000Z", "kind": "event"} | (
                {"route": "r", "actor": {"id": "usr_1", "name": "ada"}} if wanted else {}
            )
            await sink.ship(Run(writer=writer, first=seq, bodies=(orjson.dumps(body),)))
            if wanted or query == AuditQuery():
                expected.add((writer, seq))
    found = await trail.find(replace(query, limit=100))
    assert len(found) == len(expected)
    assert {(record.writer, record.seq) for record in found} == expected
    times = [orjson.loads(record.body)["time"] for record in found]
    assert times == sorted(times, reverse=True)
    assert await trail.find(replace(query, limit=3)) == found[:3]


async def test_following_gives_what_came_after_a_position_in_order(
    sink: AuditSink, trail: AuditTrail
) -> None:
    await sink.ship(_run(1, 3))
    position = dict(await trail.end())
    assert await trail.after(position, limit=10) == []
    await sink.ship(_run(4, 3))
    await sink.ship(_run(1, 2, writer=OTHER))
    found = await trail.after(position, limit=10)
    assert sorted((record.writer, record.seq) for record in found) == sorted(
        [(WRITER, 4), (WRITER, 5), (WRITER, 6), (OTHER, 1), (OTHER, 2)]
    )
    assert len(await trail.after(position, limit=2)) == 2
    first = (await trail.after({OTHER: 2, WRITER: 3}, limit=1))[0]
    assert (first.writer, first.seq) == (WRITER, 4)


async def test_a_store_that_is_gone_says_so(sink: AuditSink, trail: AuditTrail, tmp_path: Path) -> None:
    await sink.ship(_run(1, 3))
    nowhere = Database.open(f"sqlite:///{tmp_path / 'missing' / 'x.db'}")
    with pytest.raises(StoreUnavailable):
        await SqlAuditSink(nowhere).ship(_run(1, 3))
    with pytest.raises(StoreUnavailable):
        await SqlAuditTrail(nowhere).find(AuditQuery())
