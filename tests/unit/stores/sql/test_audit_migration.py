"""What a trail of the schema before becomes: the same records, each under its day, and no names to be read."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from databases import DATABASES, database_url, opened
from sqlalchemy import text
from support.shipped import NAMES_KEY, SEALER, WRITER, body, run_of, stored

from gateway.stores.sql import Database, SqlAuditSink, schema
from gateway.stores.sql.audit_chunk import chunks

DAY = 20454
"""2026-01-01."""


@pytest.fixture(params=DATABASES)
async def database(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Database]:
    """Lend a database of the schema before, which the next call of `migrate` brings up to date."""
    migrations = tmp_path / "migrations"
    migrations.mkdir()
    for path in schema._MIGRATIONS.glob("000[12]_*.py"):
        shutil.copy(path, migrations)
    async with database_url(request.param, tmp_path, schema=False) as url, opened(url) as database:
        with monkeypatch.context() as patch:
            patch.setattr(schema, "_MIGRATIONS", migrations)
            await database.migrate()
        yield database


async def _ship_as_before(database: Database, bodies: list[bytes]) -> None:
    """Store each record as a chunk of its own."""
    async with database.write() as connection:
        insert = text("INSERT INTO audit_writers (id, writer, acked_seq) VALUES (1, :writer, :acked)")
        await connection.execute(insert, {"writer": WRITER, "acked": len(bodies)})
        for number, one in enumerate(bodies, 1):
            (chunk,) = chunks(run_of([one], first=number))
            await connection.execute(
                text("INSERT INTO audit_chunks VALUES (:key, :key, :since, :until, NULL, NULL, :records)"),
                {
                    "key": (1 << 40) + number,
                    "since": chunk.since,
                    "until": chunk.until,
                    "records": chunk.records,
                },
            )
            for term in chunk.terms:
                row = {"term": term, "chunk": (1 << 40) + number}
                await connection.execute(text("INSERT INTO audit_terms VALUES (:term, :chunk)"), row)
        await connection.execute(text("INSERT INTO audit_actors VALUES ('ada', 'usr_1')"))


async def test_every_record_stays_and_gets_a_day(database: Database) -> None:
    times = [
        "2026-01-01T23:00:00.000000Z",
        "2026-01-03T00:00:00.000000Z",
        # A clock that was set back: the days of a writer are not.
        "2026-01-02T00:00:00.000000Z",
        "2026-01-05T00:00:00.000000Z",
    ]
    actor = {"id": "usr_1", "kind": "user", "name": "ada"}
    bodies = [body(number, time=time, actor=actor) for number, time in enumerate(times, 1)]
    await _ship_as_before(database, bodies)
    await database.migrate()
    assert [(one.seq, one.body, one.day - DAY, one.mark) for one in await stored(database)] == [
        (number, one, day, None) for number, one, day in zip(range(1, 5), bodies, (0, 2, 2, 4), strict=True)
    ]
    async with database.read() as connection:
        terms = await connection.execute(text("SELECT term, day, chunk FROM audit_terms ORDER BY chunk"))
        assert [(row.term, row.day - DAY, row.chunk & 0xFF) for row in terms] == [
            ("usr_1", 0, 1),
            ("usr_1", 2, 2),
            ("usr_1", 2, 3),
            ("usr_1", 4, 4),
        ]
        writer = (await connection.execute(text("SELECT * FROM audit_writers"))).one()
    assert (writer.acked_seq, writer.head, writer.day) == (4, None, DAY + 4)


async def test_what_is_shipped_next_goes_on_where_the_writer_was(database: Database) -> None:
    bodies = [body(number) for number in range(1, 4)]
    await _ship_as_before(database, bodies[:2])
    await database.migrate()
    sink = SqlAuditSink(database, SEALER, NAMES_KEY)
    assert await sink.cursor(WRITER) == 2
    whole = run_of(bodies)
    await sink.ship(whole)
    assert [(one.body, one.mark) for one in await stored(database)] == [
        (bodies[0], None),
        (bodies[1], None),
        (bodies[2], whole.heads[2][:8]),
    ]
    async with database.read() as connection:
        assert (await connection.execute(text("SELECT * FROM audit_plain_names"))).all() == []
        names = (await connection.execute(text("SELECT id, subject FROM audit_actors"))).all()
    assert [tuple(row) for row in names] == [("usr_1", "usr_1")]


async def test_each_day_of_what_was_there_has_its_place(database: Database) -> None:
    await _ship_as_before(database, [body(1), body(2, time="2026-01-03T00:00:00.000000Z")])
    await database.migrate()
    async with database.read() as connection:
        if connection.dialect.name == "sqlite":
            return
        assert await connection.scalar(text("SELECT count(*) FROM audit_chunks_default")) == 0
        assert await connection.scalar(text("SELECT count(*) FROM audit_chunks_20260103")) == 1
