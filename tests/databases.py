"""The databases that contract tests run against. A new one joins by its name and a branch of `database_url`."""

import asyncio
import os
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import asyncpg
from sqlalchemy import make_url
from support.kept import whole_run
from support.servers import postgresql_url
from support.sql import sql

from gateway.stores.sql import Database
from gateway.stores.sql.tables import metadata

DATABASES = ["sqlite", "postgresql"]

EMPTY = (
    # The triggers that keep records as they are do not look.
    "SET session_replication_role = replica",
    *(f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables)),
    "SELECT setval(oid, 1, false) FROM pg_class WHERE relkind = 'S'",
)
BARE = ("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)

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
                await execute(url, OTHERS, *(EMPTY if schema else BARE))
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
