"""The way from an empty database, or an older one, to the newest schema."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from gateway.stores.sql import Database, DatabaseUnusable, schema
from gateway.stores.sql.tables import metadata


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database.open(f"sqlite:///{tmp_path / 'gateway.db'}")
    yield opened
    await opened.close()


async def _version(database: Database) -> object:
    async with database.read() as connection:
        return await connection.scalar(text("SELECT version_num FROM alembic_version"))


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
    async with database.read() as connection:
        assert list(await connection.scalars(text("SELECT name FROM sqlite_master"))) == []


def test_the_version_is_the_number_of_the_newest_migration() -> None:
    numbers = sorted(path.name[:4] for path in schema._MIGRATIONS.glob("0*.py"))
    assert schema.newest() == numbers[-1]
    assert len(set(numbers)) == len(numbers)
