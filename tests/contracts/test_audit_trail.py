"""What every audit trail does: records are found by what they say, in either order, page after page."""

import asyncio
import struct
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import orjson
import pytest
from databases import DATABASES, database_url, opened
from hypothesis import given, settings
from hypothesis import strategies as st
from support.auditing import SEALER
from support.tampered import tampered
from support.written_log import NAMES_KEY, WrittenLog

from gateway.crypto import PersonalPart
from gateway.model import Comparison, Term
from gateway.ports import AuditQuery, Place, Run, StoredRecord, StoreUnavailable
from gateway.stores.sql import (
    Database,
    SqlAuditSink,
    SqlAuditTrail,
    SqlErasure,
    SqlTrailEvidence,
    audit_trail,
)

ALICE = PersonalPart.of(
    "usr_1",
    {"name": "alice", "source_ip": "192.0.2.7", "user_agent": "curl", "attributes": {"claims.x": "y"}},
)
BOB = PersonalPart.of("usr_2", {"name": "bob", "source_ip": "192.0.2.8"})
ABOUT_BOB = PersonalPart.of("usr_2", {"attributes": {"email": "bob@example.com"}})


def time_at(seconds: float) -> str:
    """Return a time of the first day of 2026, or of those that follow."""
    days, rest = divmod(round(seconds * 1_000_000), 86_400_000_000)
    seconds, micros = divmod(rest, 1_000_000)
    return (
        f"2026-01-{1 + days:02}T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{micros:06}Z"
    )


def fields_of(seconds: float, **fields: object) -> dict[str, object]:
    return {"time": time_at(seconds), "kind": "decision", **fields}


def body_of(seconds: float, **fields: object) -> bytes:
    return orjson.dumps(fields_of(seconds, **fields))


def of(field: str, *values: str, like: bool = False, negated: bool = False) -> Term:
    comparison = Comparison.LIKE if like else Comparison.IS
    return Term(field=field, values=values, comparison=comparison, negated=negated)


def actor(id_: str, **fields: object) -> dict[str, object]:
    return {"id": id_, "kind": "user", **fields}


@pytest.fixture
def sink(database: Database) -> SqlAuditSink:
    return SqlAuditSink(database, SEALER, NAMES_KEY)


@pytest.fixture
def trail(database: Database) -> SqlAuditTrail:
    return SqlAuditTrail(database, SEALER, NAMES_KEY)


async def seqs(trail: SqlAuditTrail, *terms: Term, **query: object) -> list[int]:
    """Return the numbers of the records that match, the newest first."""
    asked = AuditQuery(**{"limit": 10_000, "terms": terms, **query})  # type: ignore[arg-type] # names and kinds of the query's own fields
    return [record.seq for record in await trail.find(asked)]


def place_of(record: StoredRecord) -> Place:
    return Place(orjson.loads(record.body)["time"], record.writer, record.seq)


async def test_every_term_holds_and_all_of_them_together(sink: SqlAuditSink, trail: SqlAuditTrail) -> None:
    log = WrittenLog()
    await sink.ship(
        log.run(
            body_of(1, decision="allow", route="orders-list", request_id="q1", status=200),
            body_of(2, decision="deny", route="orders-item", request_id="q2", status=403, roles=["a", "b"]),
            body_of(3, decision="allow", route="users", request_id="q3", status=502, duration_ms=1.5),
            body_of(4, request_id="q3", attributes={"shadow": True, "count": 7}),
            body_of(5, decision="deny", path='/a?"\u2028\x1b=***'),
        )
    )
    assert await seqs(trail) == [5, 4, 3, 2, 1]
    assert await seqs(trail, limit=2) == [5, 4]
    assert await seqs(trail, limit=2, oldest_first=True) == [1, 2]
    assert await seqs(trail, limit=0) == []
    assert await seqs(trail, of("decision", "deny")) == [5, 2]
    assert await seqs(trail, of("decision", "deny", negated=True)) == [4, 3, 1]
    assert await seqs(trail, of("decision", "deny", "allow"), oldest_first=True) == [1, 2, 3, 5]
    assert await seqs(trail, of("route", "orders-*", like=True)) == [2, 1]
    assert await seqs(trail, of("route", "*", like=True)) == [3, 2, 1]
    assert await seqs(trail, of("route", "*-*", "us*", like=True)) == [3, 2, 1]
    assert await seqs(trail, of("roles", "b")) == [2]
    assert await seqs(trail, of("status", "403")) == [2]
    assert await seqs(trail, Term(field="status", values=("403",), comparison=Comparison.AT_LEAST)) == [3, 2]
    assert await seqs(trail, of("duration_ms", "1.50")) == [3]
    assert await seqs(trail, of("attributes.shadow", "true")) == [4]
    assert await seqs(trail, of("attributes.count", "7")) == [4]
    assert await seqs(trail, of("request_id", "q3")) == [4, 3]
    assert await seqs(trail, of("request_id", "q1", "q2")) == [2, 1]
    assert await seqs(trail, of("request_id", "q3", negated=True)) == [5, 2, 1]
    assert await seqs(trail, of("path", '/a?"\u2028\x1b=***')) == [5]
    assert await seqs(trail, of("writer", log.writer)) == [5, 4, 3, 2, 1]
    assert await seqs(trail, of("seq", "2", "3")) == [3, 2]
    assert await seqs(trail, of("decision", "allow"), of("route", "users")) == [3]
    assert await seqs(trail, since=time_at(3)) == [5, 4, 3]
    assert await seqs(trail, until=time_at(3)) == [2, 1]
    assert await seqs(trail, since=time_at(2), until=time_at(4), oldest_first=True) == [2, 3]


async def test_persons_are_found_by_id_name_and_all_that_is_said_of_them(
    sink: SqlAuditSink, trail: SqlAuditTrail
) -> None:
    log = WrittenLog()
    await sink.ship(
        log.of_persons(
            (fields_of(1, actor=actor("usr_1")), [ALICE]),
            (fields_of(2, actor=actor("key_1")), [BOB]),
            (fields_of(3, actor=actor("usr_1"), attributes={"user": "usr_2"}), [ALICE, ABOUT_BOB]),
            (fields_of(4, source_ip="192.0.2.7"), []),
            (fields_of(5, actor=actor("operator", name="alice")), []),
        )
    )
    assert await seqs(trail, of("actor", "alice")) == [5, 3, 1]
    assert await seqs(trail, of("actor", "alice", negated=True)) == [4, 2]
    assert await seqs(trail, of("actor", "bob")) == await seqs(trail, of("actor", "key_1")) == [2]
    assert await seqs(trail, of("actor", "usr_1", "bob")) == [3, 2, 1]
    assert await seqs(trail, of("actor", "usr_2")) == []
    assert await seqs(trail, of("actor.id", "usr_1")) == [3, 1]
    assert await seqs(trail, of("actor.id", "alice")) == []
    assert await seqs(trail, of("actor.name", "alice")) == [5, 3, 1]
    assert await seqs(trail, of("actor", "al*", like=True)) == [5, 3, 1]
    assert await seqs(trail, of("source_ip", "192.0.2.7")) == [4, 3, 1]
    assert await seqs(trail, of("source_ip", "192.0.2.*", like=True, negated=True)) == [5]
    assert await seqs(trail, of("user_agent", "curl"), of("actor", "alice")) == [3, 1]
    assert await seqs(trail, of("attributes.claims.x", "y"), limit=1) == [3]
    assert await seqs(trail, of("attributes.email", "bob@example.com")) == [3]
    assert await seqs(trail, of("attributes.user", "usr_2")) == [3]


async def test_what_is_said_of_persons_is_told_until_it_is_erased(
    sink: SqlAuditSink, trail: SqlAuditTrail, database: Database
) -> None:
    log = WrittenLog()
    run = log.of_persons(
        (fields_of(1, actor=actor("usr_1")), [ALICE]),
        (fields_of(2, actor=actor("usr_1")), [ALICE, ABOUT_BOB]),
    )
    await sink.ship(run)

    async def told() -> list[object]:
        found = [*await trail.find(AuditQuery(oldest_first=True)), *await trail.after({}, limit=9)]
        assert [record.body for record in found] == [*run.bodies, *run.bodies]
        assert [record.personal for record in found[:2]] == [record.personal for record in found[2:]]
        return [orjson.loads(record.personal or b"null") for record in found[:2]]

    assert await told() == [
        {"usr_1": ALICE.fields},
        {"usr_1": ALICE.fields, "usr_2": ABOUT_BOB.fields},
    ]
    await SqlErasure(database).erase("usr_1", at=1.0)
    assert await told() == [None, {"usr_2": ABOUT_BOB.fields}]
    assert await seqs(trail, of("actor", "alice")) == []
    assert await seqs(trail, of("user_agent", "curl")) == []
    assert await seqs(trail, of("attributes.erased", "usr_1")) == [2, 1]
    assert await seqs(trail, of("actor", "usr_1"), of("attributes.email", "bob@example.com")) == [2]


async def test_a_person_whose_id_is_long_is_told_of_and_erased(
    sink: SqlAuditSink, trail: SqlAuditTrail, database: Database
) -> None:
    long = "https://issuer.example.com|" + "x" * 500
    part = PersonalPart.of(long, {"name": "carol", "source_ip": "192.0.2.9"})
    await sink.ship(WrittenLog().of_persons((fields_of(1, actor=actor(long)), [part])))
    assert await seqs(trail, of("actor", "carol")) == await seqs(trail, of("source_ip", "192.0.2.9")) == [1]
    (record,) = await trail.find(AuditQuery())
    assert orjson.loads(record.personal) == {long: part.fields}
    evidence = SqlTrailEvidence(database, SEALER, NAMES_KEY)
    assert [type(one) for one in [one async for one in evidence.examine(record.writer)]] == [Run]
    await SqlErasure(database).erase(long, at=1.0)
    assert await seqs(trail, of("actor", "carol")) == []
    assert [type(one) for one in [one async for one in evidence.examine(record.writer)]] == [Run]


async def test_a_renamed_actor_is_found_by_either_name(sink: SqlAuditSink, trail: SqlAuditTrail) -> None:
    log = WrittenLog()
    alicia = PersonalPart.of("usr_1", {"name": "alicia"})
    await sink.ship(log.of_persons((fields_of(1, actor=actor("usr_1")), [ALICE])))
    await sink.ship(log.of_persons((fields_of(2, actor=actor("usr_1")), [alicia])))
    assert await seqs(trail, of("actor", "alice")) == await seqs(trail, of("actor", "alicia")) == [2, 1]
    assert await seqs(trail, of("actor.name", "alice")) == [1]


async def test_an_actor_whose_id_is_long_is_found(sink: SqlAuditSink, trail: SqlAuditTrail) -> None:
    long = "https://issuer.example.com|" + "x" * 500
    await sink.ship(WrittenLog().run(body_of(1, actor=actor(long, name="n" * 300)), body_of(2)))
    assert await seqs(trail, of("actor", long)) == await seqs(trail, of("actor", "n" * 300)) == [1]
    assert await seqs(trail, of("actor", long + "y")) == []


@pytest.mark.parametrize("half", ["\udc80", "a\udc80*"])
async def test_half_of_a_surrogate_pair_is_in_no_record(
    sink: SqlAuditSink, trail: SqlAuditTrail, half: str
) -> None:
    await sink.ship(WrittenLog().run(body_of(1, route="r", request_id="q", actor=actor("usr_1"))))
    for field in ("route", "actor", "request_id", "actor.id"):
        assert await seqs(trail, of(field, half)) == []
        assert await seqs(trail, of(field, half, negated=True)) == [1]
        assert await seqs(trail, of(field, half, like=True)) == []


async def test_hostile_text_is_found_as_it_was_written(sink: SqlAuditSink, trail: SqlAuditTrail) -> None:
    hostile = ["'; DROP TABLE audit_chunks; --", "\u2028\u202e\x1b[31m", '"\\', "😀", "%", "\ufdd0", "\x00"]
    log = WrittenLog()
    await sink.ship(
        log.run(
            *(
                body_of(number, route=hostile_text, request_id=hostile_text, actor=actor(hostile_text))
                for number, hostile_text in enumerate(hostile)
            )
        )
    )
    for number, hostile_text in enumerate(hostile, 1):
        for field in ("route", "actor", "request_id"):
            assert await seqs(trail, of(field, hostile_text)) == [number]


async def test_a_request_is_found_however_long_it_took(sink: SqlAuditSink, trail: SqlAuditTrail) -> None:
    requests = [f"019b7692-{minute:04x}-7000-8000-000000000000" for minute in range(0, 60_000, 2000)]
    bodies = [
        body_of(number, request_id=request)
        for number, request in enumerate(requests)
        for _ in ("decision", "completion")
    ]
    log = WrittenLog()
    for first in range(0, len(bodies), 7):
        await sink.ship(log.run(*bodies[first : first + 7]))
    for number, request in enumerate(requests):
        assert await seqs(trail, of("request_id", request)) == [2 * number + 2, 2 * number + 1]
    assert await seqs(trail, of("request_id", requests[0].replace("7000", "7001"))) == []
    assert await seqs(trail, of("request_id", requests[0], requests[9]), limit=3) == [20, 19, 2]


async def test_order_is_by_time_then_writer_then_number(sink: SqlAuditSink, trail: SqlAuditTrail) -> None:
    # The later of the two to be shipped has the smaller name.
    one, two = WrittenLog("b"), WrittenLog("a")
    await sink.ship(one.run(body_of(50), body_of(70), body_of(70)))
    await sink.ship(two.run(body_of(60), body_of(10), body_of(70)))
    expected = [("a", 2), ("b", 1), ("a", 1), ("a", 3), ("b", 2), ("b", 3)]
    found = await trail.find(AuditQuery(oldest_first=True))
    assert [(record.writer, record.seq) for record in found] == expected
    found = await trail.find(AuditQuery())
    assert [(record.writer, record.seq) for record in found] == expected[::-1]


@pytest.mark.parametrize("oldest_first", [False, True])
@pytest.mark.parametrize(
    "terms", [(), (of("actor", "alice"),), (of("route", "r"),), (of("user_agent", "curl"),)]
)
async def test_a_record_is_found_however_many_chunks_lie_before_it(
    sink: SqlAuditSink,
    trail: SqlAuditTrail,
    terms: tuple[Term, ...],
    oldest_first: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(audit_trail, "_SPOTS", range(2, 5))
    monkeypatch.setattr(audit_trail, "_RECORDS", range(2, 5))
    logs = [WrittenLog() for _ in range(3)]
    expected = set()
    for seq in range(1, 13):
        for number, log in enumerate(logs):
            # Many chunks end at the same moment; in some, nothing is wanted.
            wanted = (seq + number) % 3 == 0
            more = {"route": "r", "actor": actor("usr_1")} if wanted else {}
            await sink.ship(log.of_persons((fields_of(seq // 5, **more), [ALICE] if wanted else [])))
            if wanted or not terms:
                expected.add((log.writer, seq))
    found = await trail.find(AuditQuery(terms=terms, limit=100, oldest_first=oldest_first))
    assert len(found) == len(expected)
    assert {(record.writer, record.seq) for record in found} == expected
    places = [place_of(record) for record in found]
    assert places == sorted(places, reverse=not oldest_first)
    assert await trail.find(AuditQuery(terms=terms, limit=3, oldest_first=oldest_first)) == found[:3]


async def pages(trail: SqlAuditTrail, query: AuditQuery) -> list[StoredRecord]:
    """Return what all pages have, each beyond the one before."""
    found: list[StoredRecord] = []
    while page := await trail.find(query):
        found += page
        query = replace(query, beyond=place_of(page[-1]))
    return found


RECORDS = st.lists(
    st.tuples(
        # Times of several days, many of them alike, and not always going on.
        st.sampled_from([0, 1, 1.5, 43_000, 86_399.999999, 86_400, 90_000, 260_000]),
        st.sampled_from(["a", "b"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=25,
)


@pytest.mark.parametrize("kind", DATABASES)
async def test_pages_of_any_size_give_the_whole_in_order_without_repetition(
    kind: str, tmp_path: Path
) -> None:
    async with database_url(kind, tmp_path) as url:
        # Each example has a loop of its own.
        await asyncio.to_thread(_pages_give_the_whole, url)


def _pages_give_the_whole(url: str) -> None:
    @settings(max_examples=15)
    @given(
        logs=st.lists(st.tuples(RECORDS, st.integers(1, 9)), min_size=1, max_size=3),
        limit=st.integers(1, 12),
        oldest_first=st.booleans(),
        terms=st.sampled_from(
            [(), (of("route", "a"),), (of("user_agent", "curl"),), (of("actor", "alice"),)]
        ),
        since=st.sampled_from([None, 1.0, 86_400.0]),
        until=st.sampled_from([None, 86_400.0, 100_000.0]),
    )
    def example(
        logs: Sequence[tuple[list[tuple[float, str, bool]], int]],
        limit: int,
        oldest_first: bool,
        terms: tuple[Term, ...],
        since: float | None,
        until: float | None,
    ) -> None:
        # Among what other examples have left.
        host = str(uuid4())
        query = AuditQuery(
            since=None if since is None else time_at(since),
            until=None if until is None else time_at(until),
            terms=(*terms, of("host", host)),
            oldest_first=oldest_first,
            limit=limit,
        )

        def wanted(at: float, route: str, hers: bool) -> bool:
            if (since is not None and at < since) or (until is not None and at >= until):
                return False
            return not terms or (route == "a" if terms[0].field == "route" else hers)

        async def run() -> None:
            async with opened(url) as database:
                sink = SqlAuditSink(database, SEALER, NAMES_KEY)
                expected = []
                for records, size in logs:
                    log = WrittenLog()
                    for first in range(0, len(records), size):
                        part = records[first : first + size]
                        shipped = log.of_persons(*(_of_either(host, *record) for record in part))
                        await sink.ship(shipped)
                        expected += [
                            Place(time_at(record[0]), log.writer, number)
                            for number, record in enumerate(part, shipped.first)
                            if wanted(*record)
                        ]
                trail = SqlAuditTrail(database, SEALER, NAMES_KEY)
                found = [place_of(record) for record in await pages(trail, query)]
                assert found == sorted(expected, reverse=not oldest_first)

        asyncio.run(run())

    example()


def _of_either(
    host: str, at: float, route: str, hers: bool
) -> tuple[dict[str, object], Sequence[PersonalPart]]:
    """Return a record, of alice or of somebody else."""
    fields = fields_of(at, host=host, route=route, actor=actor("usr_1" if hers else "usr_3"))
    return fields, [ALICE] if hers else []


async def test_following_gives_what_came_after_a_position_in_order(
    sink: SqlAuditSink, trail: SqlAuditTrail
) -> None:
    one, two = WrittenLog(), WrittenLog()
    await sink.ship(one.run(*map(body_of, range(3))))
    position = dict(await trail.end())
    assert position == {one.writer: 3}
    assert await trail.after(position, limit=10) == []
    await sink.ship(one.run(*map(body_of, range(3, 6))))
    await sink.ship(two.run(*map(body_of, range(2))))
    found = await trail.after(position, limit=10)
    assert sorted((record.writer, record.seq) for record in found) == sorted(
        [(one.writer, 4), (one.writer, 5), (one.writer, 6), (two.writer, 1), (two.writer, 2)]
    )
    assert len(await trail.after(position, limit=2)) == 2
    first = (await trail.after({two.writer: 2, one.writer: 3}, limit=1))[0]
    assert (first.writer, first.seq) == (one.writer, 4)


async def test_followers_at_different_places_all_get_everything(
    sink: SqlAuditSink, trail: SqlAuditTrail
) -> None:
    log = WrittenLog()
    for day in range(5):
        await sink.ship(log.run(*(body_of(day * 86_400 + second) for second in range(3))))
    for step in (1, 2, 4, 15, 3):
        position: dict[str, int] = {}
        found: list[int] = []
        while page := await trail.after(position, limit=step):
            found += [record.seq for record in page]
            position = {log.writer: found[-1]}
        assert found == list(range(1, 16))


async def test_a_record_that_was_withheld_is_passed_by(sink: SqlAuditSink, trail: SqlAuditTrail) -> None:
    log = WrittenLog()
    await sink.ship(log.run(body_of(1)))
    await sink.skip(log.run(b"no record"))
    assert [record.seq for record in await trail.after({}, limit=9)] == [1]
    assert await trail.after({log.writer: 1}, limit=9) == []
    await sink.ship(log.run(body_of(3)))
    assert [record.seq for record in await trail.after({log.writer: 1}, limit=9)] == [3]
    assert await seqs(trail) == [3, 1]
    assert await seqs(trail, oldest_first=True) == [1, 3]


@pytest.mark.parametrize("oldest_first", [False, True])
async def test_a_chunk_that_was_damaged_is_shown_and_hides_no_other(
    sink: SqlAuditSink, trail: SqlAuditTrail, database: Database, oldest_first: bool
) -> None:
    log = WrittenLog()
    for first in (1, 4, 7):
        await sink.ship(log.run(*map(body_of, range(first, first + 3))))
    await tampered(database, "UPDATE audit_chunks SET records = :bad WHERE last_key & 255 = 6", bad=bytes(9))
    for term in (of("route", "nowhere"), of("user_agent", "nobody's")):
        found = await trail.find(AuditQuery(terms=(term,), oldest_first=oldest_first))
        told = [(record.seq, b'"audit.gap"' in record.body, b'"count":3' in record.body) for record in found]
        assert told == [(6, True, True)]
    expected = [1, 2, 3, 6, 7, 8, 9]
    assert await seqs(trail, oldest_first=oldest_first) == expected[:: 1 if oldest_first else -1]
    query = AuditQuery(limit=2, oldest_first=oldest_first)
    assert sorted(record.seq for record in await pages(trail, query)) == expected
    assert [record.seq for record in await trail.after({}, limit=99)] == expected


async def test_a_record_that_was_damaged_is_shown_in_its_place(
    sink: SqlAuditSink, trail: SqlAuditTrail, database: Database
) -> None:
    request = "019b76da-8c00-7000-8000-000000000000"
    log = WrittenLog()
    whole = [
        orjson.dumps({"time": time_at(second), "request_id": request, "kind": "event"}) for second in range(3)
    ]
    await sink.ship(log.run(*whole))
    broken = log.run(whole[0], whole[1][:-1] + b"!", whole[2])
    # Its beginning still says what time it was.
    records = zlib.compress(struct.pack("<3I", *map(len, broken.bodies)) + b"".join(broken.bodies))
    await tampered(database, "UPDATE audit_chunks SET records = :records", records=records)
    for found in (await trail.find(AuditQuery(oldest_first=True)), await trail.after({}, limit=9)):
        assert [record.seq for record in found] == [1, 2, 3]
        assert [record.body == body for record, body in zip(found, whole, strict=True)] == [True, False, True]
        assert orjson.loads(found[1].body)["action"] == "audit.gap"
        assert place_of(found[1]).time == time_at(1)


async def test_a_store_that_is_gone_says_so(tmp_path: Path) -> None:
    nowhere = Database.open(f"sqlite:///{tmp_path / 'missing' / 'x.db'}")
    trail = SqlAuditTrail(nowhere, SEALER, NAMES_KEY)
    with pytest.raises(StoreUnavailable):
        await trail.find(AuditQuery())
    with pytest.raises(StoreUnavailable):
        await trail.end()
    with pytest.raises(StoreUnavailable):
        await trail.after({}, limit=1)
