"""Transactions and the schema, alike on every database."""

import asyncio
import logging
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from databases import DATABASES, database_url, opened
from sqlalchemy import LargeBinary, bindparam, text

from gateway.ports import AuditUnavailable, ChangeKind, StoreUnavailable
from gateway.stores.sql import Database, DatabaseUnusable
from gateway.stores.sql.changes import announce
from gateway.stores.sql.faults import UniqueViolation

INSERT = text("INSERT INTO settings VALUES (:name, :value)").bindparams(bindparam("value", type_=LargeBinary))
NAMES = text("SELECT name FROM settings ORDER BY name")


@pytest.fixture(params=DATABASES)
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    async with database_url(request.param, tmp_path) as lent:
        yield lent


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    async with opened(url) as database:
        yield database


async def _names(database: Database) -> list[str]:
    async with database.read() as connection:
        return list(await connection.scalars(NAMES))


async def _insert(database: Database, name: str) -> None:
    async with database.write() as connection:
        await connection.execute(INSERT, {"name": name, "value": b""})


@pytest.mark.parametrize(
    "url", ["mysql://user:hunter2@host/db", "postgresql+asyncpg://user:hunter2@host/db", "file.db", ""]
)
def test_a_url_that_names_no_database_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(DatabaseUnusable) as refused:
        Database.open(url)
    assert "sqlite:///PATH" in str(refused.value)
    assert "postgresql://" in str(refused.value)
    assert "hunter2" not in str(refused.value)


async def test_a_read_sees_one_state_from_first_to_last(database: Database) -> None:
    async with database.read() as connection:
        assert list(await connection.scalars(NAMES)) == []
        await _insert(database, "a")
        assert list(await connection.scalars(NAMES)) == []
    assert await _names(database) == ["a"]


async def test_an_exception_undoes_the_whole_block(database: Database) -> None:
    async def fail() -> None:
        async with database.write() as connection:
            await connection.execute(INSERT, {"name": "a", "value": b""})
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    assert await _names(database) == []


async def test_writers_of_one_process_all_get_their_turn(database: Database) -> None:
    await asyncio.gather(*(_insert(database, f"{number:02}") for number in range(40)))
    assert len(await _names(database)) == 40


async def test_a_cancelled_write_leaves_nothing_and_blocks_nobody(database: Database) -> None:
    begun = asyncio.Event()

    async def write() -> None:
        async with database.write() as connection:
            await connection.execute(INSERT, {"name": "a", "value": b""})
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(write())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await _insert(database, "b")
    assert await _names(database) == ["b"]


@pytest.mark.parametrize("turns", range(0, 30, 3))
async def test_a_write_may_be_cancelled_at_any_point(database: Database, turns: int) -> None:
    task = asyncio.ensure_future(_insert(database, "a"))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with asyncio.timeout(5):
        await _insert(database, "b")
    assert await _names(database) in (["b"], ["a", "b"])


async def test_a_violated_unique_value_names_its_column(database: Database) -> None:
    await _insert(database, "a")
    with pytest.raises(UniqueViolation) as violated:
        await _insert(database, "a")
    assert violated.value.columns == {"settings.name"}


async def test_no_value_of_a_statement_gets_into_an_exception_or_a_log(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(StoreUnavailable) as failed:
        async with database.write() as connection:
            await connection.execute(text("INSERT INTO nowhere VALUES (:secret)"), {"secret": "hunter2"})
    assert "nowhere" in str(failed.value)
    assert "hunter2" not in str(failed.value)
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("kind", DATABASES)
async def test_processes_that_start_together_agree_on_the_schema(kind: str, tmp_path: Path) -> None:
    script = """
import asyncio, os, sys
from gateway.stores.sql import Database

async def main(url):
    database = Database.open(url)
    await database.migrate()
    await database.close()

url, children = sys.stdin.read(), []
for _ in range(4):
    child = os.fork()
    if not child:
        asyncio.run(main(url))
        sys.exit()
    children.append(child)
print([os.waitpid(child, 0)[1] for child in children])
"""
    async with database_url(kind, tmp_path, schema=False) as url:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", script),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert await process.communicate(url.encode()) == (b"[0, 0, 0, 0]\n", b"")
        async with opened(url) as database:
            assert await _names(database) == []


async def test_a_change_that_was_committed_is_told_once(database: Database, url: str) -> None:
    told = []
    database.on_announced = lambda: told.append(1)
    await _insert(database, "a")
    assert told == []

    async def announce_two(*, then_fail: bool) -> None:
        async with database.write() as connection:
            for session in ("ses_1", "ses_2"):
                await announce(connection, ChangeKind.SESSION_REVOKED, session, at=1000.0)
            assert told == []
            if then_fail:
                raise KeyError

    with pytest.raises(KeyError):
        await announce_two(then_fail=True)
    await asyncio.gather(*(_insert(database, f"{number}") for number in range(10)))
    assert told == []
    async with opened(url) as other:
        seen = []
        database.on_announced = lambda: seen.append(other)
        await announce_two(then_fail=False)
        assert seen == [other]
        assert await _names(other)


async def test_changes_are_told_of_when_others_can_see_them(database: Database, url: str) -> None:
    rung = asyncio.Event()
    database.on_announced = rung.set
    async with opened(url) as other, asyncio.TaskGroup() as tasks:

        async def listen() -> int:
            await rung.wait()
            async with other.read() as connection:
                return int(await connection.scalar(text("SELECT count(*) FROM changes")) or 0)

        heard = tasks.create_task(listen())
        async with database.write() as connection:
            await announce(connection, ChangeKind.SESSION_REVOKED, "ses_1", at=1000.0)
    assert heard.result() == 1


async def test_only_what_the_database_fails_counts_as_its_error(database: Database) -> None:
    async def fail(error: Exception) -> None:
        async with database.write() as connection:
            await connection.execute(text("SELECT 1"))
            raise error

    for error in (ZeroDivisionError(), AuditUnavailable("the audit trail cannot record")):
        with pytest.raises(type(error)):
            await fail(error)
    assert database.errors == 0
    with pytest.raises(StoreUnavailable):
        async with database.read() as connection:
            await connection.execute(text("SELECT 1 FROM nowhere"))
    assert database.errors == 1
