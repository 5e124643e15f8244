"""What every database does with the days of the audit trail: ready when they come, gone when they are old."""

import math
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from databases import DATABASES, database_url, opened
from sqlalchemy import func, select, text
from support.shipped import NAMES_KEY, OTHER, SEALER, WRITER, body, numbers, of_person, run_of, stored

from gateway.crypto import HEAD_BYTES
from gateway.ports import Dropped, Run, StoreUnavailable
from gateway.stores.sql import Database, SqlAuditSink, SqlRetention, prepare_days
from gateway.stores.sql.audit_tables import (
    audit_chunks,
    audit_personal,
    audit_terms,
    audit_writers,
)

DAY = 20454
"""2026-01-01."""
TABLES = (audit_chunks, audit_terms, audit_personal)


@pytest.fixture(params=DATABASES)
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    # Days are part of the schema.
    async with database_url(request.param, tmp_path, schema=False) as lent:
        yield lent


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    async with opened(url) as database:
        await database.migrate()
        yield database


@pytest.fixture
def sink(database: Database) -> SqlAuditSink:
    return SqlAuditSink(database, SEALER, NAMES_KEY)


def _days(count: int, writer: str = WRITER) -> Run:
    """Return two records of each of the first days of 2026."""
    told = [
        of_person(
            number, f"usr_{number}", time=f"2026-01-{number // 2 + 1:02}T12:00:00.{number:06}Z", name="n"
        )
        for number in range(2 * count)
    ]
    return run_of([one for one, _ in told], personal=[said for _, said in told], writer=writer)


async def _drop(database: Database, before: int) -> int:
    """Remove all that is old, as whoever has signed for it does."""
    retention = SqlRetention(database)
    return await retention.drop(before, signed=await retention.expired(before))


async def _counts(database: Database) -> list[int]:
    """Return how many rows each table has."""
    async with database.read() as connection:
        return [await connection.scalar(select(func.count()).select_from(table)) or 0 for table in TABLES]


async def _in_default(database: Database) -> int:
    async with database.read() as connection:
        return await connection.scalar(text("SELECT count(*) FROM audit_chunks_default")) or 0


async def test_days_that_are_old_go_with_all_that_was_kept_of_them(
    sink: SqlAuditSink, database: Database
) -> None:
    retention = SqlRetention(database)
    run = _days(4)
    await sink.ship(run)
    assert await _counts(database) == [4, 8, 8]
    assert await retention.expired(DAY) == []
    assert await _drop(database, DAY) == 0
    dropped = [Dropped(writer=WRITER, upto=4, head=run.heads[3])]
    assert await retention.expired(DAY + 2) == dropped
    assert await _drop(database, DAY + 2) == 2
    assert await numbers(database) == [5, 6, 7, 8]
    assert await _counts(database) == [2, 4, 4]
    assert await retention.expired(DAY + 2) == []
    assert await _drop(database, DAY + 2) == 0


async def test_a_writer_whose_records_are_all_gone_goes_on_where_it_was(
    sink: SqlAuditSink, database: Database
) -> None:
    retention = SqlRetention(database)
    run, other = _days(3), _days(2, OTHER)
    await sink.ship(run.part(0, 2))
    await sink.ship(other)
    assert {one.writer: (one.upto, one.head) for one in await retention.expired(DAY + 9)} == {
        WRITER: (2, run.heads[1]),
        OTHER: (4, other.heads[3]),
    }
    await _drop(database, DAY + 9)
    assert await stored(database) == []
    assert await sink.cursor(WRITER) == 2
    # Records of a day that was dropped may still come.
    await sink.ship(run.part(2, 6))
    assert await numbers(database) == [3, 4, 5, 6]


async def test_old_records_that_come_after_it_was_signed_stay_until_they_are_signed_for(
    sink: SqlAuditSink, database: Database
) -> None:
    retention = SqlRetention(database)
    run, late = _days(4), _days(2, OTHER)
    await sink.ship(run)
    await sink.ship(late.part(0, 3))
    signed = await retention.expired(DAY + 3)
    # They had waited in a log for days.
    await sink.ship(late.part(3, 4))
    assert await retention.drop(DAY + 3, signed=signed) == 1
    assert await numbers(database, OTHER) == [3, 4]
    assert await _drop(database, DAY + 3) == 2
    assert await numbers(database, OTHER) == []
    assert await numbers(database) == [7, 8]


async def test_chunks_of_no_writer_that_is_known_stay_to_be_seen(
    sink: SqlAuditSink, database: Database
) -> None:
    await sink.ship(_days(2))
    async with database.write() as connection:
        stray = {"key": (77 << 40) + 1, "day": DAY, "last_key": (77 << 40) + 1, "records": b""}
        await connection.execute(audit_chunks.insert().values(since="t", until="t", **stray))
    assert [one.writer for one in await SqlRetention(database).expired(DAY + 1)] == [WRITER]
    assert await _drop(database, DAY + 1) == 0
    assert await _counts(database) == [3, 4, 4]


async def test_a_record_that_was_withheld_goes_with_its_day(sink: SqlAuditSink, database: Database) -> None:
    run = _days(2)
    await sink.ship(run.part(0, 1))
    await sink.skip(run.part(1, 2))
    await sink.ship(run.part(2, 4))
    assert await SqlRetention(database).expired(DAY + 1) == [
        Dropped(writer=WRITER, upto=2, head=run.heads[1])
    ]
    await _drop(database, DAY + 1)
    assert await numbers(database) == [3, 4]


async def test_records_from_before_there_was_a_chain_are_dropped_too(
    sink: SqlAuditSink, database: Database
) -> None:
    run = _days(2)
    async with database.write() as connection:
        for number, writer in enumerate((WRITER, OTHER), 1):
            await connection.execute(
                audit_writers.insert().values(id=number, writer=writer, acked_seq=2, day=DAY)
            )
            key = (number << 40) + 1
            await connection.execute(
                audit_chunks.insert().values(
                    key=key, day=DAY, last_key=key + 1, since="t", until="t", records=b""
                )
            )
    await sink.ship(run.part(2, 4))
    unknown = bytes(HEAD_BYTES)
    assert {one.writer: one.head for one in await SqlRetention(database).expired(DAY + 1)} == {
        WRITER: run.heads[1],
        OTHER: unknown,
    }


async def test_dropping_leaves_the_refusal_of_changes_in_place(
    sink: SqlAuditSink, database: Database
) -> None:
    await sink.ship(_days(2))
    await _drop(database, DAY + 1)
    for statement in ("DELETE FROM audit_chunks", "UPDATE audit_chunks SET day = day"):
        with pytest.raises(StoreUnavailable, match="is never changed"):
            async with database.write() as connection:
                await connection.execute(text(statement))
    assert await numbers(database) == [3, 4]


async def test_a_week_is_ready_before_it_comes(database: Database, url: str) -> None:
    await prepare_days(database, DAY)
    await prepare_days(database, DAY)
    if url.startswith("sqlite"):
        return
    async with database.read() as connection:
        found = await connection.scalars(
            text("SELECT relname FROM pg_class WHERE relkind = 'r' AND relname LIKE 'audit_%\\_2026%'")
        )
        assert sorted(found) == sorted(
            f"{table.name}_2026010{day}" for table in TABLES for day in range(1, 9)
        )


@pytest.mark.parametrize("year", [1, 1969, 9999])
async def test_a_record_has_a_day_however_wrong_its_clock_was(
    sink: SqlAuditSink, database: Database, year: int
) -> None:
    await sink.ship(run_of([body(1, time=f"{year:04}-12-31T23:59:59.999999Z")]))
    assert await numbers(database) == [1]
    (one,) = await stored(database)
    assert await _drop(database, one.day + 1) == 1
    assert await numbers(database) == []


async def test_what_came_before_its_day_was_ready_is_moved_there(
    sink: SqlAuditSink, database: Database, url: str
) -> None:
    if url.startswith("sqlite"):
        return
    run = _days(3)
    # As though the database could not be made ready.
    sink._days.update(dict.fromkeys(range(DAY, DAY + 3), math.inf))
    await sink.ship(run)
    assert await _in_default(database) == 3
    assert await numbers(database) == [1, 2, 3, 4, 5, 6]
    await prepare_days(database, DAY + 1, DAY + 1)
    assert await _in_default(database) == 0
    assert await numbers(database) == [1, 2, 3, 4, 5, 6]
    with pytest.raises(StoreUnavailable, match="is never changed"):
        async with database.write() as connection:
            await connection.execute(text("TRUNCATE audit_chunks_default"))
    assert await _drop(database, DAY + 2) == 2
    assert await numbers(database) == [5, 6]
    assert await _counts(database) == [1, 2, 2]


async def test_days_are_made_while_records_are_read_and_written(
    sink: SqlAuditSink, database: Database, url: str
) -> None:
    await sink.ship(_days(1))
    async with opened(url) as other, other.read() as reading:
        assert await reading.scalar(select(func.count()).select_from(audit_chunks)) == 1
        if url.startswith("sqlite"):
            await prepare_days(database, DAY)
            return
        # Whoever reads the default partition is waited for, for a moment; the records do not wait.
        with pytest.raises(StoreUnavailable, match="lock timeout"):
            await prepare_days(database, DAY)
        later = run_of([body(1, time="2026-01-03T00:00:00.000000Z")], writer=OTHER)
        await sink.ship(later)
    assert await numbers(database, OTHER) == [1]
    await prepare_days(database, DAY)
    assert await _in_default(database) == 0
