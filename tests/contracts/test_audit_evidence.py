"""What reading the shipped trail as evidence brings to light: whatever was done to a row is named, and where."""

import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import orjson
import pytest
from support.auditing import SEALER
from support.tampered import tampered
from support.written_log import NAMES_KEY, WrittenLog

from gateway.crypto import PersonalPart, beginning, link
from gateway.ports import Damage, Run, StoreUnavailable, Withheld
from gateway.stores.sql import Database, SqlAuditSink, SqlErasure, SqlTrailEvidence, audit_evidence
from gateway.stores.sql.audit_tables import SEQ_BITS

ALICE = PersonalPart.of("usr_1", {"name": "alice", "source_ip": "192.0.2.7"})
ABOUT_BOB = PersonalPart.of("usr_2", {"attributes": {"email": "bob@example.com"}})
WRITER = "11111111-0000-4000-8000-000000000000"
KEY = 1 << SEQ_BITS
"""Of the writer; its first chunk's is one more."""


def fields_of(number: int, **fields: object) -> dict[str, object]:
    digits = f"{1_767_225_600_000 + 1000 * number:012x}"
    request = f"{digits[:8]}-{digits[8:]}-7000-8000-000000000000"
    return {"time": f"2026-01-01T00:00:{number:02}.000000Z", "request_id": request, "kind": "event", **fields}


def body_of(number: int) -> bytes:
    return orjson.dumps(fields_of(number))


def hers(number: int) -> tuple[dict[str, object], list[PersonalPart]]:
    return fields_of(number, actor={"id": "usr_1", "kind": "user"}), [ALICE]


@pytest.fixture
def sink(database: Database) -> SqlAuditSink:
    return SqlAuditSink(database, SEALER, NAMES_KEY)


@pytest.fixture
def evidence(database: Database) -> SqlTrailEvidence:
    return SqlTrailEvidence(database, SEALER, NAMES_KEY)


@pytest.fixture
async def runs(sink: SqlAuditSink) -> list[Run]:
    """A writer's records, in chunks that begin with 1, 4, 7 (withheld), 8 and 11."""
    log = WrittenLog(WRITER)
    about_bob = fields_of(6, actor={"id": "operator", "kind": "operator", "name": "root"}), [ABOUT_BOB]
    shipped = [
        log.of_persons(hers(1), (fields_of(2), []), hers(3)),
        log.of_persons((fields_of(4), []), hers(5), about_bob),
        log.run(b"this is no record"),
        log.run(*map(body_of, (8, 9, 10))),
        log.run(body_of(11)),
    ]
    for run in shipped:
        await (sink.skip if len(run.bodies) == 1 and run.first == 7 else sink.ship)(run)
    return shipped


async def examined(
    evidence: SqlTrailEvidence, writer: str = WRITER, *, after: int = 0
) -> list[Run | Withheld | Damage]:
    return [one async for one in evidence.examine(writer, after=after)]


async def damages(evidence: SqlTrailEvidence, writer: str = WRITER) -> list[Damage]:
    return [one for one in await examined(evidence, writer) if isinstance(one, Damage)]


def without_personal(run: Run) -> Run:
    """Return a run as evidence has it."""
    return Run(
        writer=run.writer,
        first=run.first,
        bodies=run.bodies,
        before=run.before,
        heads=run.heads,
        personal=(b"",) * len(run.bodies),
    )


async def test_an_intact_trail_is_given_as_it_was_written(
    evidence: SqlTrailEvidence, runs: list[Run]
) -> None:
    found = await examined(evidence)
    withheld = Withheld(writer=WRITER, seq=7, before=runs[2].before, head=runs[2].heads[0])
    assert found == [*map(without_personal, runs[:2]), withheld, *map(without_personal, runs[3:])]
    assert await evidence.writers() == {WRITER: 11}
    assert await evidence.erased() == {}


@pytest.mark.parametrize("after", range(12))
async def test_what_is_in_front_is_left_out(
    evidence: SqlTrailEvidence, runs: list[Run], after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_evidence, "_AT_ONCE", 2)
    head, last = runs[0].before, 0
    for one in await examined(evidence, after=after):
        assert not isinstance(one, Damage)
        if isinstance(one, Withheld):
            assert (one.seq, one.before) == (last + 1, head) or not last
            head, last = one.head, one.seq
            continue
        assert one.first == last + 1 or not last
        assert one.before == head or not last
        for number, body in enumerate(one.bodies, one.first):
            assert (
                link(one.before if number == one.first else head, number, body)
                == one.heads[number - one.first]
            )
            head, last = one.heads[number - one.first], number
    assert last == (11 if after < 11 else 0)


async def test_what_nobody_has_written_is_empty(evidence: SqlTrailEvidence) -> None:
    assert await evidence.writers() == {}
    assert await examined(evidence) == []
    assert await examined(evidence, "number x") == []


def flipped(place: int) -> Callable[[bytes], bytes]:
    return lambda text: text[:place] + bytes([text[place] ^ 1]) + text[place + 1 :]


async def change_records(database: Database, key: int, change: Callable[[bytes], bytes]) -> None:
    """Change the text of a chunk's records."""
    async with database.read() as connection:
        stored = await connection.exec_driver_sql(f"SELECT records FROM audit_chunks WHERE key = {key}")
        text = zlib.decompress(stored.scalar_one())
    await tampered(
        database,
        f"UPDATE audit_chunks SET records = :records WHERE key = {key}",
        records=zlib.compress(change(text)),
    )


@pytest.mark.parametrize("number", [8, 9, 10])
async def test_the_first_record_that_was_changed_is_named(
    evidence: SqlTrailEvidence, runs: list[Run], database: Database, number: int
) -> None:
    body = body_of(number)
    await change_records(database, KEY + 8, lambda text: text.replace(body, flipped(70)(body)))
    (damage,) = await damages(evidence)
    assert (damage.writer, damage.first, damage.last) == (WRITER, number, 10)
    assert damage.place == f"audit_chunks, key {KEY + 8}"
    assert "was changed" in damage.problem
    # What is before it is intact, and what comes after the chunk too.
    assert [(one.first, one.last) for one in await examined(evidence) if isinstance(one, Run)] == [
        *((1, 3), (4, 6)),
        *([(8, number - 1)] if number > 8 else []),
        (11, 11),
    ]


async def test_records_that_changed_places_within_a_chunk_are_named(
    evidence: SqlTrailEvidence, runs: list[Run], database: Database
) -> None:
    one, other = body_of(9), body_of(10)
    assert len(one) == len(other)
    await change_records(
        database, KEY + 8, lambda text: text.replace(one, b"?").replace(other, one).replace(b"?", other)
    )
    (damage,) = await damages(evidence)
    assert (damage.first, damage.last) == (9, 10)


@pytest.mark.parametrize("place", [0, 40, 64, 72, 80, -1])
async def test_a_chain_that_was_changed_is_named(
    evidence: SqlTrailEvidence, runs: list[Run], database: Database, place: int
) -> None:
    chain = runs[3].before + runs[3].heads[-1] + b"".join(head[:8] for head in runs[3].heads)
    place %= len(chain)
    await tampered(
        database, f"UPDATE audit_chunks SET chain = :chain WHERE key = {KEY + 8}", chain=flipped(place)(chain)
    )
    (damage,) = await damages(evidence)
    assert damage.place == f"audit_chunks, key {KEY + 8}"
    assert 8 <= damage.first <= damage.last == 10


CHUNK = {
    "no chain": "UPDATE audit_chunks SET chain = NULL WHERE key = {key}",
    "half a chain": "UPDATE audit_chunks SET chain = substr(chain, 1, 40) WHERE key = {key}",
    "no records": "UPDATE audit_chunks SET records = substr(records, 1, 0) WHERE key = {key}",
    "half of the records": "UPDATE audit_chunks SET records = substr(records, 1, 40) WHERE key = {key}",
    "fewer records": "UPDATE audit_chunks SET last_key = last_key - 1 WHERE key = {key}",
    "more records": "UPDATE audit_chunks SET last_key = last_key + 1 WHERE key = {key}",
    "many records": "UPDATE audit_chunks SET last_key = last_key + 1000000000 WHERE key = {key}",
    "less than none": "UPDATE audit_chunks SET last_key = key - 1000 WHERE key = {key}",
    "an earlier time": "UPDATE audit_chunks SET since = '2025' WHERE key = {key}",
    "a later time": "UPDATE audit_chunks SET until = '2027' WHERE key = {key}",
    "no time": "UPDATE audit_chunks SET until = '' WHERE key = {key}",
    "an earlier request": "UPDATE audit_chunks SET first_request = '0' WHERE key = {key}",
    "no requests": "UPDATE audit_chunks SET last_request = NULL WHERE key = {key}",
    "a later day": "UPDATE audit_chunks SET day = day + 1 WHERE key = {key}",
    "an earlier day": "UPDATE audit_chunks SET day = day - 1 WHERE key = {key}",
    "withheld": "UPDATE audit_chunks SET records = substr(records, 1, 0), since = '', until = '' WHERE key = {key}",
}


FIRST = [(what, 1) for what in CHUNK if what not in {"no chain", "a later day"}]
"""Of a writer's first chunk, only what comes before it would tell the other two."""


@pytest.mark.parametrize(("what", "first"), [*FIRST, *((what, first) for what in CHUNK for first in (4, 8))])
async def test_a_chunk_whose_row_was_changed_is_named(
    evidence: SqlTrailEvidence, runs: list[Run], database: Database, what: str, first: int
) -> None:
    await tampered(database, CHUNK[what].format(key=KEY + first))
    found = await damages(evidence)
    assert f"audit_chunks, key {KEY + first}" in {damage.place for damage in found}
    assert all(damage.first >= first for damage in found)


@pytest.mark.parametrize(
    "change", ["chain = substr(chain, 1, 70)", "last_key = last_key + 1", "day = day + 1", "chain = NULL"]
)
async def test_the_place_of_a_withheld_record_that_was_changed_is_named(
    evidence: SqlTrailEvidence, runs: list[Run], database: Database, change: str
) -> None:
    await tampered(database, f"UPDATE audit_chunks SET {change} WHERE key = {KEY + 7}")
    found = await damages(evidence)
    assert f"audit_chunks, key {KEY + 7}" in {damage.place for damage in found}


async def test_a_chunk_that_was_removed_is_missing_and_one_that_was_moved_is_named(
    evidence: SqlTrailEvidence, runs: list[Run], database: Database
) -> None:
    await tampered(database, f"DELETE FROM audit_chunks WHERE key = {KEY + 4}")
    assert [one.first for one in await examined(evidence) if isinstance(one, Run)] == [1, 8, 11]
    await tampered(
        database, f"UPDATE audit_chunks SET key = {KEY + 4}, last_key = {KEY + 6} WHERE key = {KEY + 8}"
    )
    found = await damages(evidence)
    assert (found[0].first, found[0].last) == (4, 6)


async def test_a_chunk_behind_the_last_one_that_was_shipped_is_named(
    evidence: SqlTrailEvidence, runs: list[Run], database: Database
) -> None:
    columns = "day, since, until, first_request, last_request, chain, records"
    await tampered(
        database,
        f"INSERT INTO audit_chunks (key, last_key, {columns}) "
        f"SELECT {KEY + 12}, {KEY + 12}, {columns} FROM audit_chunks WHERE key = {KEY + 11}",
    )
    found = await damages(evidence)
    assert {(damage.first, damage.last) for damage in found} == {(12, 12)}
    assert any("behind record 11" in damage.problem for damage in found)


async def test_chunks_of_no_writer_are_named(
    evidence: SqlTrailEvidence, runs: list[Run], database: Database
) -> None:
    columns = "day, since, until, first_request, last_request, chain, records"
    for key in (KEY - 3, (9 << SEQ_BITS) + 5, (9 << SEQ_BITS) + 6, -7):
        await tampered(
            database,
            f"INSERT INTO audit_chunks (key, last_key, {columns}) "
            f"SELECT {key}, {key}, {columns} FROM audit_chunks WHERE key = {KEY + 11}",
        )
    writers = await evidence.writers()
    assert writers == {
        WRITER: 11,
        "number 0": (1 << SEQ_BITS) - 3,
        "number 9": 6,
        "number -1": (1 << SEQ_BITS) - 7,
    }
    for writer in writers.keys() - {WRITER}:
        assert any("no writer" in damage.problem for damage in await damages(evidence, writer))
    assert await damages(evidence) == []


async def test_a_writer_that_was_removed_is_found_by_its_number(
    evidence: SqlTrailEvidence, runs: list[Run], database: Database
) -> None:
    await tampered(database, "DELETE FROM audit_writers")
    assert await evidence.writers() == {"number 1": 11}
    assert len(await damages(evidence, "number 1")) >= 5


@pytest.mark.parametrize("change", ["head = substr(head, 1, 31)", "head = NULL", "day = day + 1"])
async def test_a_writers_row_that_was_changed_is_named(
    evidence: SqlTrailEvidence, runs: list[Run], database: Database, change: str
) -> None:
    await tampered(database, f"UPDATE audit_writers SET {change}")
    (damage,) = await damages(evidence)
    assert (damage.first, damage.last, damage.place) == (11, 11, "audit_writers")


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM audit_terms",
        "UPDATE audit_terms SET term = 'usr_9'",
        "UPDATE audit_terms SET day = day + 1",
    ],
)
async def test_an_entry_whose_lack_hides_records_is_named(
    evidence: SqlTrailEvidence, runs: list[Run], database: Database, change: str
) -> None:
    await tampered(database, f"{change} WHERE term = 'usr_1' AND chunk = {KEY + 4}")
    (damage,) = await damages(evidence)
    assert (damage.first, damage.last) == (4, 6)
    assert damage.place == f"audit_terms, chunk {KEY + 4}"
    assert "usr_1" in damage.problem


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("DELETE FROM audit_actors WHERE id = 'usr_1'", "usr_1"),
        ("UPDATE audit_actors SET name_hash = 'x' WHERE id = 'usr_1'", "usr_1"),
        ("UPDATE audit_actors SET subject = 'usr_3' WHERE id = 'usr_1'", "usr_1"),
        ("UPDATE audit_actors SET id = 'x' WHERE id = 'operator'", "operator"),
        ("UPDATE audit_actors SET subject = 'usr_3' WHERE id = 'operator'", "operator"),
        ("DELETE FROM audit_actors", "operator"),
    ],
)
async def test_a_name_whose_lack_hides_records_is_named(
    evidence: SqlTrailEvidence, runs: list[Run], database: Database, change: str, found: str
) -> None:
    await tampered(database, change)
    named = await damages(evidence)
    assert {damage.place for damage in named} == {"audit_actors"}
    assert any(found in damage.problem for damage in named)


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM audit_personal WHERE subject = 'usr_2'",
        "UPDATE audit_personal SET sealed = substr(sealed, 1, 30) WHERE subject = 'usr_2'",
        "UPDATE audit_personal SET commitment = 'x' WHERE subject = 'usr_2'",
        "UPDATE audit_personal SET subject = 'usr_1' WHERE subject = 'usr_2'",
        "UPDATE audit_personal SET day = day + 1 WHERE subject = 'usr_2'",
        "DELETE FROM audit_subjects WHERE subject = 'usr_2'",
        "UPDATE audit_subjects SET sealed_key = substr(sealed_key, 1, 30) WHERE subject = 'usr_2'",
        "UPDATE audit_subjects SET subject = 'usr_9' WHERE subject = 'usr_2'",
        "UPDATE audit_personal SET sealed = substr(sealed, 1, 0) WHERE subject = 'usr_2'",
    ],
)
async def test_what_was_said_of_a_person_is_named_when_it_is_gone_or_was_changed(
    evidence: SqlTrailEvidence, runs: list[Run], database: Database, change: str
) -> None:
    await tampered(database, change)
    (damage,) = await damages(evidence)
    assert (damage.first, damage.last) == (6, 6)
    assert damage.place.startswith("audit_personal, day 20454, commitment ")
    assert "usr_2" in damage.problem


async def test_what_was_erased_is_no_damage(
    evidence: SqlTrailEvidence, runs: list[Run], database: Database
) -> None:
    await SqlErasure(database).erase("usr_1", at=7.5)
    assert await damages(evidence) == []
    assert await evidence.erased() == {"usr_1": 7.5}
    await SqlErasure(database).erase("usr_2", at=8.5)
    assert await damages(evidence) == []


async def test_records_from_before_there_was_a_chain_are_given_without_heads(
    evidence: SqlTrailEvidence, runs: list[Run], database: Database
) -> None:
    await tampered(database, f"UPDATE audit_chunks SET chain = NULL WHERE key < {KEY + 7}")
    found = await examined(evidence)
    assert [one.heads for one in found[:2] if isinstance(one, Run)] == [(), ()]
    assert not any(isinstance(one, Damage) for one in found)


async def test_a_trail_that_grows_meanwhile_is_no_damage(
    evidence: SqlTrailEvidence, sink: SqlAuditSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_evidence, "_AT_ONCE", 1)
    log, head, last = WrittenLog(), b"", 0
    await sink.ship(log.of_persons(hers(1)))
    async for one in evidence.examine(log.writer):
        assert isinstance(one, Run)
        assert one.before == (head or beginning(log.writer))
        head, last = one.heads[-1], one.last
        if last < 6:
            await sink.ship(log.of_persons(hers(last + 1)))
    assert last == 6


@pytest.mark.parametrize(
    "change",
    [
        "audit_chunks SET records = 7",
        "audit_chunks SET chain = 7",
        "audit_chunks SET since = x'00'",
        "audit_personal SET sealed = 'text'",
        "audit_subjects SET sealed_key = 1.5",
        "audit_actors SET subject = x'00'",
        "audit_writers SET head = 'text'",
        "audit_writers SET id = 1099511627776",
    ],
)
async def test_values_that_no_gateway_writes_are_named_or_said_to_be_unreadable(
    evidence: SqlTrailEvidence, sink: SqlAuditSink, database: Database, change: str
) -> None:
    log = WrittenLog()
    await sink.ship(log.of_persons(hers(1), hers(2)))
    try:
        await tampered(database, f"UPDATE {change}")
    except StoreUnavailable:
        # PostgreSQL keeps only what a column is for.
        return
    with suppress(StoreUnavailable):
        await evidence.writers()
        assert await damages(evidence, log.writer) != []


async def test_a_store_that_is_gone_says_so(tmp_path: Path) -> None:
    nowhere = Database.open(f"sqlite:///{tmp_path / 'missing' / 'x.db'}")
    evidence = SqlTrailEvidence(nowhere, SEALER, NAMES_KEY)
    with pytest.raises(StoreUnavailable):
        await evidence.writers()
    with pytest.raises(StoreUnavailable):
        await evidence.erased()
    with pytest.raises(StoreUnavailable):
        await examined(evidence)
