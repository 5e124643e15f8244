"""One SQLite file, as the gateway opens it."""

import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import insert, text

from gateway.ports import StoreUnavailable, User
from gateway.stores.sql import Database, DatabaseUnusable, SqlErasure, SqlUserStore, sqlite
from gateway.stores.sql.engine import engine_of
from gateway.stores.sql.tables import users
from gateway.stores.sql.user_rows import columns_of

INSERT = text("INSERT INTO settings VALUES (:name, :value)")
NAMES = text("SELECT name FROM settings ORDER BY name")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway.db"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    opened = Database.open(f"sqlite:///{path}")
    await opened.migrate()
    yield opened
    await opened.close()


async def _names(database: Database) -> list[str]:
    async with database.read() as connection:
        return list(await connection.scalars(NAMES))


async def _insert(database: Database, name: str) -> None:
    async with database.write() as connection:
        await connection.execute(INSERT, {"name": name, "value": b""})


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///file.db?mode=ro",
        "sqlite://host/file.db",
    ],
)
def test_a_url_that_names_no_file_is_refused(url: str) -> None:
    with pytest.raises(DatabaseUnusable) as refused:
        Database.open(url)
    assert "sqlite:///PATH" in str(refused.value)


async def test_the_file_is_for_its_owner_alone(database: Database, path: Path) -> None:
    await _insert(database, "a")
    for name in ("gateway.db", "gateway.db-wal", "gateway.db-shm"):
        assert stat.S_IMODE((path.parent / name).stat().st_mode) == 0o600, name


@pytest.mark.parametrize(
    "name", [b"with blank.db", b"50%.db", b"a#b?c.db", "ünïcode.db".encode(), b"a&b=c+d.db", b"\xff.db"]
)
async def test_any_file_name_can_be_written_in_a_url(tmp_path: Path, name: bytes) -> None:
    database = Database.open(f"sqlite:///{quote(bytes(tmp_path) + b'/' + name)}")
    await database.migrate()
    await database.close()
    assert [os.fsencode(entry.name) for entry in tmp_path.iterdir()] == [name]


async def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path}/nowhere/gateway.db")
    with pytest.raises(
        DatabaseUnusable, match=r"nowhere/gateway\.db: the directory .*/nowhere does not exist"
    ):
        await database.migrate()


async def test_a_directory_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnusable, match="cannot be opened"):
        await Database.open(f"sqlite:///{tmp_path}").migrate()


async def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"hello, this is a text file and no database at all" * 100)
    database = Database.open(f"sqlite:///{path}")
    with pytest.raises(StoreUnavailable, match="not a database"):
        await database.migrate()
    await database.close()


async def test_a_network_file_system_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "network_file_system", lambda _: "nfs4")
    with pytest.raises(DatabaseUnusable, match=r"network file system \(nfs4\)"):
        await Database.open(f"sqlite:///{path}").migrate()
    assert not path.exists()


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("secure_delete", 1)],
)
async def test_every_connection_is_set_up(database: Database, pragma: str, value: object) -> None:
    async with database.read() as one, database.read() as other:
        for connection in (one, other):
            assert await connection.scalar(text(f"PRAGMA {pragma}")) == value


async def test_of_who_is_erased_nothing_is_left_in_any_byte_of_the_files(
    database: Database, path: Path
) -> None:
    """Rows are moved between pages when their neighbours come and go, and must leave nothing where they were."""
    people = [
        User(
            id=f"usr_{random.getrandbits(96):024x}",
            username=f"canary{number:04}x",
            email=f"mail{number:04}x@example.com",
            password_hash="h" * 120,
            roles=frozenset({"reader"}),
            epoch=0,
            created_at=1.0,
            verified_at=None,
        )
        for number in range(300)
    ]
    for first in range(0, len(people), 10):
        async with database.write() as connection:
            await connection.execute(insert(users), list(map(columns_of, people[first : first + 10])))
    store = SqlUserStore(database)
    for person in people[:150]:
        assert await store.delete(person.id, at=2.0)
    await SqlErasure(database).erase(people[0].id, at=2.0)
    files = b"".join(file.read_bytes() for file in path.parent.iterdir())
    left = [each.username for each in people if f"{each.username}".encode() in files]
    assert left == [each.username for each in people[150:]]
    assert [each for each in people[:150] if str(each.email).encode() in files] == []


async def test_days_that_are_dropped_do_not_change_how_others_are_deleted(database: Database) -> None:
    async with database.write() as connection:
        await engine_of(connection).drop_day(connection, 0)
        assert await connection.scalar(text("PRAGMA secure_delete")) == 1


async def test_the_log_is_emptied_beside_those_who_read(database: Database, path: Path) -> None:
    await _insert(database, "a")
    async with database.read() as reader:
        await reader.scalars(NAMES)
        await _insert(database, "b")
        await database.wipe()
    await database.wipe()
    assert (path.parent / "gateway.db-wal").stat().st_size == 0
    assert await _names(database) == ["a", "b"]


async def test_a_write_holds_the_write_lock_from_its_first_statement(database: Database, path: Path) -> None:
    async with database.write() as connection:
        await connection.execute(text("SELECT 1"))
        other = sqlite3.connect(path, timeout=0, isolation_level=None)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.close()


async def test_a_database_that_is_locked_for_too_long_is_unavailable(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_BUSY_TIMEOUT", 0.05)
    database = Database.open(f"sqlite:///{path}")
    await database.migrate()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"):
        await _insert(database, "a")
    other.execute("ROLLBACK")
    other.close()
    await _insert(database, "a")
    await database.close()


async def test_a_writer_of_this_process_that_does_not_end_makes_it_unavailable(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_BUSY_TIMEOUT", 0.05)
    database = Database.open(f"sqlite:///{path}")
    await database.migrate()
    async with database.write():
        with pytest.raises(StoreUnavailable, match="busy"):
            await _insert(database, "a")
    await _insert(database, "a")
    await database.close()


async def test_what_was_committed_survives_kill_9(path: Path) -> None:
    script = """
import asyncio, sys
from sqlalchemy import text
from gateway.stores.sql import Database

async def main():
    database = Database.open(sys.argv[1])
    await database.migrate()
    for number in range(1000000):
        async with database.write() as connection:
            await connection.execute(text("INSERT INTO settings VALUES (:n, '')"), {"n": f"{number:07}"})
        print(number, flush=True)

asyncio.run(main())
"""
    url = f"sqlite:///{path}"
    with subprocess.Popen([sys.executable, "-c", script, url], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [int(next(process.stdout)) for _ in range(50)]
        os.kill(process.pid, signal.SIGKILL)
        told += [int(line) for line in process.stdout]
    database = Database.open(url)
    await database.migrate()
    kept = [int(name) for name in await _names(database)]
    await database.close()
    assert kept[: len(told)] == told
