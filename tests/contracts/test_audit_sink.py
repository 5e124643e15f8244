"""What every audit sink does: each record once, in its chain, with what it says of persons apart from it."""

import asyncio
import random
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import orjson
import pytest
from databases import opened
from sqlalchemy import insert, select, text, update
from support.commits import Fate, watched_commits
from support.shipped import (
    NAMES_KEY,
    OTHER,
    SEALER,
    WRITER,
    body,
    numbers,
    of_person,
    run_of,
    stored,
)
from support.tampered import tampered

from gateway.crypto import PersonalPart, beginning, seal_parts
from gateway.ports import AuditQuery, AuditSink, RecordRefused, Run, SinkAstray, StoreUnavailable
from gateway.stores.sql import Database, SqlAuditSink, SqlAuditTrail, SqlErasure, SqlTrailEvidence
from gateway.stores.sql.audit_chunk import MARK_BYTES, Links
from gateway.stores.sql.audit_personal import name_hash, opened_key, opened_part
from gateway.stores.sql.audit_tables import (
    audit_actors,
    audit_chunks,
    audit_personal,
    audit_plain_names,
    audit_subjects,
    audit_terms,
    audit_writers,
)
from gateway.stores.sql.faults import UniqueViolation

DAY = 20454
"""2026-01-01."""


def _run(first: int, count: int, writer: str = WRITER, **fields: object) -> Run:
    """Return a part of one and the same chain."""
    whole = run_of([body(number, time=None, **fields) for number in range(1, first + count)], writer=writer)
    return whole.part(first - 1, first + count - 1)


@pytest.fixture
def sink(database: Database) -> AuditSink:
    return _sink(database)


def _sink(database: Database) -> SqlAuditSink:
    return SqlAuditSink(database, SEALER, NAMES_KEY)


async def _said(database: Database) -> list[tuple[int, str, object]]:
    """Return day, subject and fields of what is kept of persons, opened."""
    found = []
    async with database.read() as connection:
        sealed = {row.subject: row.sealed_key for row in await connection.execute(select(audit_subjects))}
        for row in await connection.execute(select(audit_personal)):
            key = opened_key(SEALER, row.subject, sealed[row.subject])
            part = opened_part(key, row.subject, row.commitment, row.sealed)
            found.append((row.day, row.subject, part.fields))
    return sorted(found, key=repr)


async def _names(database: Database) -> set[tuple[str, str, str]]:
    async with database.read() as connection:
        return {tuple(row) for row in await connection.execute(select(audit_actors))}


def _named(name: str, actor: str, subject: str = "") -> tuple[str, str, str]:
    return name_hash(NAMES_KEY, name), actor, subject


@pytest.mark.parametrize("count", [1, 2, 3, 255, 256, 257, 1000, 2049])
async def test_runs_of_every_length_are_stored_whole(sink: AuditSink, database: Database, count: int) -> None:
    run = _run(1, count)
    await sink.ship(run)
    found = await stored(database)
    assert [one.body for one in found] == list(run.bodies)
    assert [one.seq for one in found] == list(range(1, count + 1))
    assert [one.mark for one in found] == [head[:MARK_BYTES] for head in run.heads]
    assert {one.writer for one in found} == {WRITER}
    assert await sink.cursor(WRITER) == count


async def test_the_chain_goes_from_each_chunk_to_the_next_and_to_the_writer(
    sink: AuditSink, database: Database
) -> None:
    run = _run(1, 2500)
    await sink.ship(run.part(0, 1500))
    await sink.ship(run.part(1500, 2500))
    async with database.read() as connection:
        rows = (await connection.execute(select(audit_chunks).order_by(audit_chunks.c.key))).all()
        writer = (await connection.execute(select(audit_writers))).one()
    links = [Links.unpacked(row.chain, row.last_key - row.key + 1) for row in rows]
    assert None not in links
    assert links[0] is not None
    assert links[0].before == beginning(WRITER)
    assert all(one.head == after.before for one, after in pairwise(links) if one and after)
    assert writer.head == links[-1].head == run.heads[-1]  # type: ignore[union-attr] # seen above
    assert (writer.acked_seq, writer.day) == (2500, DAY)


async def test_a_run_that_comes_again_changes_nothing(sink: AuditSink, database: Database) -> None:
    await sink.ship(_run(1, 10))
    await sink.ship(_run(1, 10))
    await sink.ship(_run(6, 10))
    await sink.ship(_run(3, 2))
    assert await numbers(database) == list(range(1, 16))
    assert [one.mark for one in await stored(database)] == [head[:MARK_BYTES] for head in _run(1, 15).heads]
    assert await sink.cursor(WRITER) == 15


async def test_what_is_stored_first_stays(sink: AuditSink, database: Database) -> None:
    await sink.ship(_run(1, 1, route="first"))
    await sink.ship(_run(1, 1, route="second"))
    assert [one.body for one in await stored(database)] == [body(1, route="first")]


@pytest.mark.parametrize("begun", [True, False])
async def test_what_does_not_follow_from_what_is_stored_is_not_stored_in_silence(
    sink: AuditSink, database: Database, *, begun: bool
) -> None:
    """As when the database was set back to a backup, while processes went on."""
    if begun:
        await sink.ship(_run(1, 10))
    with pytest.raises(SinkAstray, match=r"record 21 of .* does not follow"):
        await sink.ship(_run(21, 5))
    assert await sink.cursor(WRITER) == (10 if begun else 0)
    # Whoever knows that the others are lost says so.
    await sink.ship(replace(_run(21, 5), lost=10))
    assert await numbers(database) == [*(range(1, 11) if begun else ()), *range(21, 26)]
    # Numbers that were given out and never written are no hole.
    await sink.ship(run_of([body(30)], first=30, before=_run(21, 5).heads[-1]))
    assert await sink.cursor(WRITER) == 30


async def test_what_counts_as_stored_and_is_not_is_not_let_go_of(sink: AuditSink, database: Database) -> None:
    await sink.ship(_run(1, 10))
    async with database.write() as connection:
        await connection.execute(update(audit_writers).values(acked_seq=1_000_000))
    with pytest.raises(SinkAstray, match=r"record 20 of .* counts as stored"):
        await sink.ship(_run(11, 10))
    await sink.ship(_run(1, 10))


_WRONG = ("'text'", "''", "x'00'", "1.5", "-7", "0", "9223372036854775807", "4611686018427387904", "NULL")


_PLACES = [
    *(f"audit_writers.{column}" for column in ("id", "acked_seq", "head", "day", "writer")),
    *(f"audit_chunks.{column}" for column in ("key", "last_key", "day", "chain", "records", "until")),
    *(f"audit_subjects.{column}" for column in ("subject", "sealed_key", "erased_at")),
    *(f"audit_personal.{column}" for column in ("day", "commitment", "subject", "sealed")),
    *(f"audit_actors.{column}" for column in ("name_hash", "id", "subject")),
]
_OFTEN = {"audit_writers.acked_seq", "audit_writers.head", "audit_chunks.last_key", "audit_chunks.chain"}
"""What a sink reads before it writes; the rest is for the slow tests."""


@pytest.mark.parametrize(
    "place",
    [pytest.param(one, marks=[] if one in _OFTEN else pytest.mark.slow) for one in _PLACES],
)
async def test_what_no_gateway_has_written_is_a_fault_of_the_store_and_nothing_worse(
    database: Database, tmp_path: Path, place: str
) -> None:
    table, column = place.split(".")
    told = [of_person(number, f"usr_{number % 2}", name=f"n{number % 2}") for number in range(1, 10)]
    for number, value in enumerate(_WRONG):
        writer = f"{number:08x}-0000-4000-8000-000000000001"
        whole = run_of([one for one, _ in told], personal=[said for _, said in told], writer=writer)
        with suppress(SinkAstray):
            # What was changed before may be in the way of this one.
            await _sink(database).ship(whole.part(0, 3))
        row = f"(SELECT max({column}) FROM {table})"
        try:
            await tampered(database, f"UPDATE {table} SET {column} = {value} WHERE {column} = {row}")
        except (StoreUnavailable, UniqueViolation):
            # The database keeps only what the column is for.
            continue
        for first in (0, 1, 3):
            # It knows nothing of what is there already.
            sink = _sink(database)
            for doing in (
                partial(sink.cursor, writer),
                partial(sink.ship, whole.part(first, 5)),
                partial(sink.ship, whole.part(first, 8)),
                partial(sink.skip, whole.part(8, 9)),
            ):
                with suppress(StoreUnavailable):
                    found = await doing()
                    assert found is None or (type(found) is int and found >= 0)


async def test_a_row_of_a_writer_that_no_gateway_has_written_is_named(
    sink: AuditSink, database: Database, url: str
) -> None:
    await sink.ship(_run(1, 3))
    await tampered(database, "UPDATE audit_writers SET acked_seq = -7")
    for doing in (
        partial(sink.cursor, WRITER),
        partial(sink.ship, _run(1, 5)),
        partial(sink.skip, _run(4, 1)),
    ):
        with pytest.raises(SinkAstray, match=f"acked_seq of {WRITER} in audit_writers is what the gateway"):
            await doing()
    await sink.ship(_run(1, 3, writer=OTHER))


async def test_a_chunk_that_somebody_added_where_the_next_one_belongs_is_no_end_of_shipping(
    sink: AuditSink, database: Database
) -> None:
    await sink.ship(_run(1, 3))
    copied = (
        "(key, day, last_key, since, until, records) SELECT key + 3, day, last_key + 3, since, until, records"
    )
    await tampered(database, f"INSERT INTO audit_chunks {copied} FROM audit_chunks")
    with pytest.raises(StoreUnavailable, match=r"belongs, there is what the gateway never|duplicate key"):
        await sink.ship(_run(4, 2))
    await sink.ship(_run(1, 3, writer=OTHER))


async def test_two_processes_that_ship_one_log_at_once_store_each_record_once(
    database: Database, url: str
) -> None:
    told = [of_person(number, f"usr_{number % 7}", name=f"n{number % 7}") for number in range(1, 3001)]
    whole = run_of([one for one, _ in told], personal=[said for _, said in told])

    async def ship(sink: AuditSink, size: int) -> None:
        for start in range(0, 3000, size):
            await sink.ship(whole.part(start, min(start + size, 3000)))

    async with opened(url) as other:
        sinks = _sink(database), _sink(other)
        await asyncio.gather(ship(sinks[0], 700), ship(sinks[1], 333))
    assert [one.body for one in await stored(database)] == list(whole.bodies)
    assert await sinks[0].cursor(WRITER) == 3000
    assert len(await _said(database)) == 3000
    assert await _names(database) == {_named(f"n{one}", f"usr_{one}", f"usr_{one}") for one in range(7)}


async def test_two_processes_that_see_persons_for_the_first_time_agree_on_their_keys(
    database: Database, url: str
) -> None:
    async def ship(sink: AuditSink, writer: str) -> None:
        told = [of_person(one, f"usr_{one}", name="n") for one in range(200)]
        run = run_of([one for one, _ in told], personal=[said for _, said in told], writer=writer)
        for at in range(0, 200, 20):
            await sink.ship(run.part(at, at + 20))

    async with opened(url) as other:
        await asyncio.gather(ship(_sink(database), WRITER), ship(_sink(other), OTHER))
    assert len(await _said(database)) == 400


async def test_a_writer_without_records_is_at_zero(sink: AuditSink) -> None:
    assert await sink.cursor(WRITER) == 0


async def test_writers_do_not_touch_each_other(sink: AuditSink, database: Database) -> None:
    await sink.ship(_run(1, 3))
    await sink.ship(_run(1, 5, writer=OTHER))
    assert await sink.cursor(WRITER) == 3
    assert await sink.cursor(OTHER) == 5
    assert await numbers(database, OTHER) == [1, 2, 3, 4, 5]


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
        b'{"time": "t", "kind": "event"}',
        b'{"time": "2026-02-30T00:00:00.000000Z", "kind": "event"}',
        *(
            b'{"time": "2026-01-01T00:00:00.000000Z", ' + rest
            for rest in (
                b'"kind": {}}',
                b'"kind": "k", "route": []}',
                b'"kind": "k", "actor": "alice"}',
                b'"kind": "k", "actor": {"id": []}}',
                b'"kind": "k", "actor": {"name": "alice"}}',
                b'"kind": "k", "actor": {"id": [], "name": {}}}',
                b'"kind": "k", "actor": {"id": 1, "name": 2}}',
                b'"kind": "k", "personal": []}',
                b'"kind": "k", "request_id": 99999999999999999999999}',
            )
        ),
    ],
)
async def test_poison_is_refused_and_its_place_in_the_chain_is_kept(
    sink: AuditSink, database: Database, poison: bytes
) -> None:
    whole = run_of([body(1), body(2), body(3), poison, body(5)])
    await sink.ship(whole.part(0, 2))
    with pytest.raises(RecordRefused):
        await sink.ship(whole.part(2, 5))
    assert await numbers(database) == [1, 2]
    assert await sink.cursor(WRITER) == 2
    await sink.ship(whole.part(2, 3))
    await sink.skip(whole.part(3, 4))
    await sink.skip(whole.part(3, 4))
    assert await sink.cursor(WRITER) == 4
    await sink.ship(whole.part(4, 5))
    found = await stored(database)
    assert [one.body for one in found] == [body(1), body(2), body(3), b"", body(5)]
    assert [one.mark for one in found] == [head[:MARK_BYTES] for head in whole.heads]
    assert {one.day for one in found} == {DAY}


async def test_skipping_never_goes_back_and_knows_new_writers(sink: AuditSink, database: Database) -> None:
    await sink.skip(_run(4, 1))
    await sink.skip(_run(2, 1))
    assert await sink.cursor(WRITER) == 4
    assert [(one.seq, one.body) for one in await stored(database)] == [(4, b"")]


async def test_a_chunk_ends_with_its_day(sink: AuditSink, database: Database) -> None:
    times = [
        "2026-01-01T23:59:59.999998Z",
        "2026-01-01T23:59:59.999999Z",
        "2026-01-02T00:00:00.000000Z",
        # The clock was set back; the days of a writer never are.
        "2026-01-01T23:59:59.000000Z",
        "2026-01-04T00:00:00.000000Z",
    ]
    await sink.ship(run_of([body(number, time=time) for number, time in enumerate(times, 1)]))
    assert [one.day - DAY for one in await stored(database)] == [0, 0, 1, 1, 3]
    async with database.read() as connection:
        rows = (await connection.execute(select(audit_chunks).order_by(audit_chunks.c.key))).all()
    assert [(row.since, row.until) for row in rows] == [
        (times[0], times[1]),
        *((one, one) for one in times[2:]),
    ]


async def test_days_of_a_writer_never_go_back(sink: AuditSink, database: Database) -> None:
    late = body(1, time="2026-01-05T00:00:00.000000Z", actor={"id": "usr_1", "kind": "user"})
    early, said = of_person(2, "usr_1", name="ada")
    whole = run_of([late, early], personal=[b"", said])
    await sink.ship(whole.part(0, 1))
    await sink.ship(whole.part(1, 2))
    assert [one.day - DAY for one in await stored(database)] == [4, 4]
    assert await _said(database) == [(DAY + 4, "usr_1", {"name": "ada"})]
    async with database.read() as connection:
        terms = (await connection.execute(select(audit_terms))).all()
    assert {(row.term, row.day - DAY) for row in terms} == {("usr_1", 4)}


async def test_hostile_text_comes_back_as_it_was_written(sink: AuditSink, database: Database) -> None:
    hostile = ["'; DROP TABLE audit_chunks; --", "\u2028\u202e\x1b[31m", '"\\', "😀", "%", "\x00", "\ufdd0"]
    told = [of_person(number, one, name=one, user_agent=one) for number, one in enumerate(hostile, 1)]
    run = run_of([one for one, _ in told], personal=[said for _, said in told])
    await sink.ship(run)
    assert [one.body for one in await stored(database)] == list(run.bodies)
    assert {subject for _, subject, _ in await _said(database)} == set(hostile)
    assert await _names(database) == {_named(one, one, one) for one in hostile}


async def test_what_is_said_of_a_person_is_kept_once_a_day_and_apart(
    sink: AuditSink, database: Database
) -> None:
    said = {"name": "ada lovelace", "source_ip": "192.0.2.1", "user_agent": "curl"}
    part = PersonalPart.of("usr_1", said)
    sealed = seal_parts(SEALER, [part])
    actor = {"id": "usr_1", "kind": "user"}
    times = ["2026-01-01T00:00:00.000000Z", "2026-01-02T00:00:00.000000Z"]
    bodies = [
        body(number, time=times[number // 6], actor=actor, personal={"usr_1": part.commitment})
        for number in range(10)
    ]
    whole = run_of(bodies, personal=[sealed] * 10)
    for first, last in ((0, 3), (3, 4), (4, 10)):
        await sink.ship(whole.part(first, last))
    assert await _said(database) == [(DAY, "usr_1", said), (DAY + 1, "usr_1", said)]
    assert await _names(database) == {_named("ada lovelace", "usr_1", "usr_1")}
    async with database.read() as connection:
        columns = [
            value
            for table in (audit_chunks, audit_terms, audit_actors, audit_personal, audit_subjects)
            for row in await connection.execute(select(table))
            for value in row
        ]
    assert not [one for one in columns if "ada lovelace" in str(one) or "192.0.2.1" in str(one)]


async def test_a_key_is_found_by_its_name_and_belongs_to_its_owner(
    sink: AuditSink, database: Database
) -> None:
    part = PersonalPart.of("usr_1", {"name": "ci"})
    about = PersonalPart.of("usr_2", {"attributes": {"email": "x@example.com"}})
    record = body(
        1,
        actor={"id": "key_1", "kind": "api_key"},
        personal={"usr_1": part.commitment, "usr_2": about.commitment},
    )
    await sink.ship(run_of([record], personal=[seal_parts(SEALER, [part, about])]))
    assert await _names(database) == {_named("ci", "key_1", "usr_1")}
    assert [subject for _, subject, _ in await _said(database)] == ["usr_1", "usr_2"]


async def test_who_is_nobody_has_the_name_in_the_record_and_a_hash_beside_it(
    sink: AuditSink, database: Database
) -> None:
    run = _run(1, 2, actor={"id": "cli_1", "kind": "client", "name": "billing"})
    await sink.ship(run)
    await sink.ship(run_of([body(3, actor={"id": "usr_1", "name": None})], first=3, before=run.heads[-1]))
    assert await _names(database) == {_named("billing", "cli_1")}


async def test_what_was_erased_is_gone_and_no_more_of_it_is_kept(sink: AuditSink, database: Database) -> None:
    erasure = SqlErasure(database)
    told = [of_person(number, f"usr_{number % 2}", name=f"n{number % 2}") for number in range(8)]
    whole = run_of([one for one, _ in told], personal=[said for _, said in told])
    await sink.ship(whole.part(0, 4))
    await erasure.erase("usr_1", at=7.0)
    assert {subject for _, subject, _ in await _said(database)} == {"usr_0"}
    await erasure.erase("usr_1", at=8.0)
    await sink.ship(whole.part(4, 6))
    await _sink(database).ship(whole.part(6, 8))
    assert [one.body for one in await stored(database)] == list(whole.bodies)
    assert {subject for _, subject, _ in await _said(database)} == {"usr_0"}
    assert await _names(database) == {_named("n0", "usr_0", "usr_0")}
    async with database.read() as connection:
        rows = {row.subject: row for row in await connection.execute(select(audit_subjects))}
    assert (rows["usr_1"].sealed_key, rows["usr_1"].erased_at) == (None, 7.0)
    assert rows["usr_0"].erased_at is None


async def test_much_that_is_said_again_and_again_is_kept_once(sink: AuditSink, database: Database) -> None:
    told, said = of_person(0, "usr_1", name="n" * 10_000)
    for writer in (WRITER, OTHER):
        await sink.ship(run_of([told, told], writer=writer, personal=[said, said]))
    assert len(await _said(database)) == 1


async def test_who_was_erased_is_known(sink: AuditSink, database: Database) -> None:
    erasure, long = SqlErasure(database), "https://issuer.example.com|" + "x" * 500
    told, said = of_person(0, "usr_1", name="alice")
    await sink.ship(run_of([told], personal=[said]))
    for subject in ("usr_9", long):
        await erasure.erase(subject, at=1.0)
    assert set(await erasure.among([])) == set()
    assert set(await erasure.among(["usr_1", "usr_9", long, "usr_0"])) == {"usr_9", long}
    many = [f"usr_{number}" for number in range(40_000)]
    assert set(await erasure.among(many)) == {"usr_9"}


async def test_who_was_never_heard_of_can_be_erased(sink: AuditSink, database: Database) -> None:
    await SqlErasure(database).erase("usr_1\x00", at=7.0)
    record, said = of_person(1, "usr_1\x00", name="ada")
    await sink.ship(run_of([record], personal=[said]))
    assert await _said(database) == []
    assert await _names(database) == set()
    assert await numbers(database) == [1]


async def test_erasing_while_others_ship_leaves_nothing(database: Database, url: str) -> None:
    told = [of_person(number, "usr_1", name="ada", source_ip=f"::{number}") for number in range(1, 401)]
    whole = run_of([one for one, _ in told], personal=[said for _, said in told])

    async def ship() -> None:
        for start in range(0, 400, 10):
            await _sink(database).ship(whole.part(start, start + 10))

    async def erase() -> None:
        while await _sink(other).cursor(WRITER) < 100:
            await asyncio.sleep(0)
        await SqlErasure(other).erase("usr_1", at=1.0)

    async with opened(url) as other:
        await asyncio.gather(ship(), erase())
    async with database.read() as connection:
        assert (await connection.execute(select(audit_personal))).all() == []
        assert (await connection.execute(select(audit_actors))).all() == []
    assert await numbers(database) == list(range(1, 401))


async def test_what_cannot_be_opened_does_not_hold_up_its_record(sink: AuditSink, database: Database) -> None:
    record, said = of_person(1, "usr_1", name="ada")
    await sink.ship(run_of([record], personal=[said[:-1] + bytes([said[-1] ^ 1])]))
    assert await numbers(database) == [1]
    assert await _said(database) == []


async def test_a_key_that_does_not_open_does_not_hold_up_the_records(
    sink: AuditSink, database: Database
) -> None:
    broken = {"subject": "usr_1", "sealed_key": b"no key"}
    async with database.write() as connection:
        await connection.execute(insert(audit_subjects), broken)
    told = [of_person(number, f"usr_{number}", name=f"n{number}") for number in (1, 2)]
    await sink.ship(run_of([one for one, _ in told], personal=[said for _, said in told]))
    assert await numbers(database) == [1, 2]
    assert await _names(database) == {_named("n2", "usr_2", "usr_2")}


async def test_somebody_of_a_long_name_is_kept_and_erased_as_anybody(
    sink: AuditSink, database: Database
) -> None:
    # More than an index takes, and nothing that could be compressed.
    long = "https://issuer.example.com|" + "".join(
        map(chr, random.Random(1).choices(range(0x4E00, 0x9FFF), k=4000))
    )
    record, said = of_person(1, long, name="ada")
    await sink.ship(run_of([record], personal=[said]))
    (read,) = await SqlAuditTrail(database, SEALER, NAMES_KEY).find(AuditQuery())
    assert orjson.loads(read.personal) == {long: {"name": "ada"}}
    evidence = SqlTrailEvidence(database, SEALER, NAMES_KEY)
    assert [type(one) async for one in evidence.examine(WRITER)] == [Run]
    await SqlErasure(database).erase(long, at=1.0)
    assert [type(one) async for one in evidence.examine(WRITER)] == [Run]
    assert await _said(database) == []
    assert await _names(database) == set()


async def test_names_that_an_older_schema_left_are_hashed(sink: AuditSink, database: Database) -> None:
    names = [{"name": "ada", "id": "usr_1"}, {"name": "billing", "id": "cli_1"}]
    async with database.write() as connection:
        await connection.execute(insert(audit_plain_names), names)
    await sink.ship(_run(1, 1))
    assert await _names(database) == {_named("ada", "usr_1", "usr_1"), _named("billing", "cli_1")}
    async with database.read() as connection:
        assert (await connection.execute(select(audit_plain_names))).all() == []


@pytest.mark.parametrize("table", ["audit_chunks", "audit_checkpoints"])
@pytest.mark.parametrize("change", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {}"])
async def test_the_database_refuses_to_change_what_was_stored(
    sink: AuditSink, database: Database, url: str, table: str, change: str
) -> None:
    if url.startswith("sqlite") and change.startswith("TRUNCATE"):
        change = "DELETE FROM {} WHERE true"
    await sink.ship(_run(1, 3))
    async with database.write() as connection:
        await connection.execute(text("INSERT INTO audit_checkpoints VALUES (1, 'now', 'note')"))
    column = "last_key" if table == "audit_chunks" else "number"
    tables = [table]
    if url.startswith("postgresql") and table == "audit_chunks":
        # Past the table that the partitions belong to.
        tables += ["audit_chunks_20260101", "audit_chunks_default"][: 1 if "TRUNCATE" not in change else 2]
    for one in tables:
        with pytest.raises(StoreUnavailable, match="is never changed"):
            async with database.write() as connection:
                await connection.execute(text(change.format(one, column, column)))
    assert await numbers(database) == [1, 2, 3]


async def test_a_connection_that_is_cut_at_the_commit_stores_each_record_once(
    url: str,
) -> None:
    if url.startswith("sqlite"):
        # No connection: the process is killed instead, in the tests of the whole gateway.
        return
    fates = [Fate.CUT_BEFORE, Fate.CUT_AFTER, Fate.PASSES, Fate.CUT_AFTER, Fate.CUT_BEFORE]
    told = [of_person(number, f"usr_{number % 5}", name="n") for number in range(1, 101)]
    whole = run_of([one for one, _ in told], personal=[said for _, said in told])
    watching = watched_commits(url)
    # It has a loop of its own.
    commits = await asyncio.to_thread(watching.__enter__)
    try:
        async with opened(commits.url) as database:
            sink = _sink(database)
            await sink.ship(whole.part(0, 1))
            turn = iter(fates * 40)
            commits.decide = lambda: next(turn)
            at = 1
            while at < 100:
                try:
                    await sink.ship(whole.part(at, min(at + 7, 100)))
                except StoreUnavailable:
                    continue
                at = min(at + 7, 100)
    finally:
        await asyncio.to_thread(watching.__exit__, None, None, None)
    async with opened(url) as database:
        assert [one.body for one in await stored(database)] == list(whole.bodies)
        assert await _sink(database).cursor(WRITER) == 100
        assert len(await _said(database)) == 100
    assert {Fate.CUT_BEFORE, Fate.CUT_AFTER} <= set(commits.seen)


async def test_a_store_that_is_gone_says_so(sink: AuditSink, tmp_path: Path) -> None:
    await sink.ship(_run(1, 3))
    nowhere = Database.open(f"sqlite:///{tmp_path / 'missing' / 'x.db'}")
    with pytest.raises(StoreUnavailable):
        await _sink(nowhere).ship(_run(1, 3))
