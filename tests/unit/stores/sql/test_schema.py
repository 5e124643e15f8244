"""The way from an empty database, or an older one, to the newest schema."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from databases import DATABASES, database_url, opened
from sqlalchemy import Connection, String, inspect, text

from gateway.stores.sql import Database, DatabaseUnusable, schema
from gateway.stores.sql.tables import metadata


@pytest.fixture(params=DATABASES)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with database_url(request.param, tmp_path, schema=False) as url, opened(url) as database:
        yield database


async def _version(database: Database) -> object:
    async with database.read() as connection:
        return await connection.scalar(text("SELECT version_num FROM alembic_version"))


async def _tables(database: Database) -> list[str]:
    async with database.read() as connection:
        return await connection.run_sync(lambda sync: inspect(sync).get_table_names())


async def test_an_empty_database_gets_the_newest_schema(database: Database) -> None:
    await database.migrate()
    assert await _version(database) == schema.newest()
    await database.migrate()
    assert await _version(database) == schema.newest()


async def test_the_migrations_make_the_tables_that_the_queries_know(database: Database) -> None:
    await database.migrate()

    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return [
            difference
            for difference in compare_metadata(context, metadata)
            # Tables of rooms that this test does not import.
            if not (isinstance(difference, tuple) and str(difference[0]).startswith("remove_"))
        ]

    async with database.read() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_newer_schema_is_refused_and_left_alone(database: Database) -> None:
    await database.migrate()
    async with database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseUnusable, match="version 9999, this program knows"):
        await database.migrate()
    assert await _version(database) == "9999"


@pytest.mark.parametrize(
    "made",
    [
        ["CREATE TABLE users (id INTEGER)"],
        ["CREATE TABLE alembic_version (version_num VARCHAR(32))", "CREATE TABLE changes (id INTEGER)"],
        ["CREATE TABLE alembic_version (number INTEGER)"],
        *(
            ["CREATE TABLE alembic_version (version_num VARCHAR(32))"]
            + [f"INSERT INTO alembic_version VALUES ('{version}')" for version in versions]
            for versions in (["0000"], ["0001_init"], ["ae1027a6acf"], ["0001", "0002"])
        ),
    ],
    ids=str,
)
async def test_a_database_of_somebody_else_is_refused_and_left_alone(
    database: Database, made: list[str]
) -> None:
    async with database.write() as connection:
        for statement in made:
            await connection.execute(text(statement))
    tables = await _tables(database)
    with pytest.raises(DatabaseUnusable, match="give the gateway a database of its own"):
        await database.migrate()
    assert await _tables(database) == tables


async def test_other_tables_in_the_database_do_not_matter(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(text("CREATE TABLE invoices (id INTEGER)"))
    await database.migrate()
    assert await _version(database) == schema.newest()


async def test_a_migration_that_fails_leaves_nothing_behind(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrations = tmp_path / "migrations"
    migrations.mkdir()
    (migrations / "0001_broken.py").write_text(
        "from alembic import op\n"
        'revision, down_revision = "0001", None\n'
        "def upgrade():\n"
        '    op.execute("CREATE TABLE half (id INTEGER)")\n'
        '    op.execute("SELECT nonsense")\n'
    )
    monkeypatch.setattr(schema, "_MIGRATIONS", migrations)
    with pytest.raises(Exception, match="nonsense"):
        await database.migrate()
    assert await _tables(database) == []


async def test_all_text_is_compared_by_its_bytes(database: Database) -> None:
    await database.migrate()

    def collations(connection: Connection) -> set[str | None]:
        found = inspect(connection)
        return {
            column["type"].collation
            for name in metadata.tables
            for column in found.get_columns(name)
            if isinstance(column["type"], String)
        }

    async with database.read() as connection:
        expected = {"C"} if connection.dialect.name == "postgresql" else {None}
        assert await connection.run_sync(collations) == expected


def test_the_version_is_the_number_of_the_newest_migration() -> None:
    numbers = sorted(path.name[:4] for path in schema._MIGRATIONS.glob("0*.py"))
    assert schema.newest() == numbers[-1]
    assert len(set(numbers)) == len(numbers)
