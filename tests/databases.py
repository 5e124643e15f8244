"""The databases that contract tests run against. A new one joins by its name and a branch of `database_url`."""

import asyncio
import os
from collections import defaultdict
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from threading import Thread
from urllib.parse import quote
from uuid import uuid4

import asyncpg
from sqlalchemy import make_url
from support.kept import whole_run
from support.servers import postgresql_url
from support.sql import sql

from gateway.crypto import load_or_create
from gateway.stores.sql import Database
from gateway.stores.sql.tables import metadata

DATABASES = ["sqlite", "postgresql"]

OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
EMPTY = "; ".join(
    (
        OTHERS,
        # The triggers that keep records as they are do not look.
        "SET session_replication_role = replica",
        *(f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables)),
        "SELECT setval(oid, 1, false) FROM pg_class WHERE relkind = 'S'",
    )
)
BARE = f"{OTHERS}; DROP SCHEMA public CASCADE; CREATE SCHEMA public"

_waiting: defaultdict[tuple[str, bool], list[str]] = defaultdict(list)
"""URLs of databases that were tidied up, by server and by whether they have the schema. To make one takes a
hundred times as long."""

_with_schema = b""
"""A file of SQLite with the newest schema and nothing in it; to make one takes fifty times as long as to copy it."""


@asynccontextmanager
async def open_database(kind: str, folder: Path) -> AsyncIterator[Database]:
    """Lend a database with the newest schema and nothing in it."""
    async with database_url(kind, folder) as url, opened(url) as database:
        await database.migrate()
        yield database


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    """Lend the database of a URL, as a process of its own would have it."""
    database = Database.open(url)
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def database_url(kind: str, folder: Path, *, schema: bool = True) -> AsyncIterator[str]:
    """Lend the URL of a database that is nobody else's meanwhile.

    It has the newest schema, which a test must leave as it is, or nothing.
    """
    match kind:
        case "sqlite":
            file = folder / "gateway.db"
            if schema:
                file.write_bytes(_with_schema or await _made_file(folder))
            yield _url_of(file)
        case "postgresql":
            # A thread starts the server: nothing may hold up the loop for so long.
            server = await asyncio.to_thread(postgresql_url)
            waiting = _waiting[server, schema]
            url = waiting.pop() if waiting else await _made(server, schema=schema)
            try:
                yield url
            finally:
                await asyncio.wrap_future(_tidying().start(url, EMPTY if schema else BARE))
                waiting.append(url)
        case _:
            raise AssertionError(kind)


async def execute(url: str, *statements: str) -> list[asyncpg.Record]:
    """Execute statements on a PostgreSQL beside the gateway, and return the rows of the last one."""
    connection = await asyncpg.connect(url)
    try:
        rows: list[asyncpg.Record] = []
        for statement in statements:
            rows = await connection.fetch(statement)
        return rows
    finally:
        await connection.close()


async def create_database(server: str) -> str:
    """Return the URL of a new, empty database of a PostgreSQL."""
    name = f"gateway_test_{os.getpid()}_{uuid4().hex[:12]}"
    await execute(server, f"CREATE DATABASE {name} TEMPLATE template0")
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def data_dir_below(folder: Path) -> Path:
    """Return the directory of a gateway that has a secret and the newest schema, and has done nothing else."""
    directory = folder / "data"
    directory.mkdir(mode=0o700)
    # A thread has no loop that runs already, whoever asks.
    with ThreadPoolExecutor(1) as thread:
        made = _with_schema or thread.submit(asyncio.run, _made_file(folder)).result()
    file = directory / "gateway.db"
    file.touch(mode=0o600)
    file.write_bytes(made)
    load_or_create(directory / "secret")
    return directory


class _Tidying:
    """Connections that stay, one for each database, in a loop that outlives those of the tests: a new connection
    costs the server more than all that it is for."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._connections: dict[str, asyncpg.Connection] = {}

    def start(self, url: str, statements: str) -> "Future[None]":
        """Execute statements in one transaction."""
        return asyncio.run_coroutine_threadsafe(self._execute(url, statements), self._loop)

    async def _execute(self, url: str, statements: str) -> None:
        connection = self._connections.get(url)
        if connection is not None:
            try:
                await connection.execute(statements)
            except (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.AdminShutdownError):
                # A test has ended it, as it may.
                connection.terminate()
            else:
                return
        self._connections[url] = connection = await asyncpg.connect(url)
        await connection.execute(statements)

    def close(self) -> None:
        """Close the connections."""

        async def close() -> None:
            for connection in self._connections.values():
                await connection.close()

        asyncio.run_coroutine_threadsafe(close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@cache
def _tidying() -> _Tidying:
    made = _Tidying()
    whole_run.callback(_tidying.cache_clear)
    whole_run.callback(made.close)
    return made


def _url_of(file: Path) -> str:
    return f"sqlite:///{quote(str(file))}"


async def _made_file(folder: Path) -> bytes:
    global _with_schema  # noqa: PLW0603 - made once, by whoever needs it first
    made = folder / "made.db"
    async with opened(_url_of(made)) as database:
        await database.migrate()
    _with_schema = made.read_bytes()
    made.unlink()
    return _with_schema


async def _made(server: str, *, schema: bool) -> str:
    url = await create_database(server)
    whole_run.callback(sql, server, f"DROP DATABASE {make_url(url).database} WITH (FORCE)")
    if schema:
        async with opened(url) as database:
            await database.migrate()
    return url
