"""One SQL database: connections, transactions, and the schema brought up to date.

SQLite is the embedded default: one file, one host. Every write transaction begins with `BEGIN IMMEDIATE`,
so a transaction that has read something never fails later because another one wrote in between.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import aiosqlite
from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from gateway.ports import StoreUnavailable
from gateway.stores.sql import schema
from gateway.stores.sql.faults import DatabaseUnusable, translated
from gateway.stores.sql.filesystem import network_file_system

_BUSY_TIMEOUT = 5.0
"""Seconds that a transaction waits for another one, of this process or of a second one."""
_CONNECTIONS = 8
_WRITES = "writes"

_PRAGMAS = (
    # Readers do not block the writer, nor the writer readers.
    "PRAGMA journal_mode = WAL",
    # NORMAL would survive kill -9 just as well, but after a power cut the last commits would be gone: a
    # session that was logged out would live again, a refresh token that was used would be the newest again.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    # Values that were deleted or replaced (hashes, sealed keys) do not stay in free pages of the file.
    "PRAGMA secure_delete = FAST",
    "PRAGMA trusted_schema = OFF",
)


class Database:
    """A database that adapters read and write. Open it with `open`, end with `close`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._place = f"database {path}"
        self._prepared = False
        self._writing = asyncio.Lock()
        """Orders the writers of this process first come, first served; SQLite itself only polls."""
        self._engine = _engine(path)
        self._writer = self._engine.execution_options(**{_WRITES: True})

    @classmethod
    def open(cls, url: str) -> Self:
        """Return the database that a URL names (`sqlite:///PATH`). Nothing is touched before first use.

        Raise `DatabaseUnusable` for a URL that names none.
        """
        return cls(_path_in(url))

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection whose statements see one consistent state. Raise `StoreUnavailable`."""
        await self._prepare()
        with translated(self._place):
            async with self._engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection inside a write transaction, committed when the block ends without an exception.

        Raise `StoreUnavailable`, or `UniqueViolation` when a unique value exists already.
        """
        await self._prepare()
        try:
            async with asyncio.timeout(_BUSY_TIMEOUT):
                await self._writing.acquire()
        except TimeoutError:
            raise StoreUnavailable(f"{self._place}: busy for more than {_BUSY_TIMEOUT:.0f} s") from None
        try:
            with translated(self._place):
                async with self._writer.begin() as connection:
                    yield connection
        finally:
            self._writing.release()

    async def migrate(self) -> None:
        """Bring the schema up to date, creating it in an empty database; nothing to do is quick.

        Processes that start at the same moment wait for the first. Raise `DatabaseUnusable` when the schema
        is newer than this program.
        """
        async with self.read() as connection:
            if not await connection.run_sync(schema.is_behind, self._place):
                return
        async with self.write() as connection:
            await connection.run_sync(schema.upgrade, self._place)

    async def close(self) -> None:
        """Close every connection. The database may be used again afterwards; it then reconnects."""
        await self._engine.dispose()

    async def _prepare(self) -> None:
        if not self._prepared:
            await asyncio.to_thread(_prepare_file, self._path, self._place)
            self._prepared = True

    def __repr__(self) -> str:
        return f"Database({str(self._path)!r})"


def _path_in(url: str) -> Path:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise DatabaseUnusable("the database URL is not a URL: write sqlite:///PATH") from None
    if parsed.drivername != "sqlite":
        # The URL itself may hold a password and is not repeated.
        raise DatabaseUnusable(
            f"databases of kind {parsed.drivername!r} are not supported: write sqlite:///PATH"
        )
    if parsed.host or parsed.query or not parsed.database or parsed.database == ":memory:":
        raise DatabaseUnusable("an SQLite URL names a file and nothing else: write sqlite:///PATH")
    return Path(parsed.database)


def _prepare_file(path: Path, place: str) -> None:
    """Create the file, readable by its owner alone, unless it is there. SQLite gives its -wal and -shm files
    the mode of the database file."""
    kind = network_file_system(path.parent)
    if kind is not None:
        raise DatabaseUnusable(
            f"{place}: lies on a network file system ({kind}), where SQLite loses data; "
            "put it on a local disk or use PostgreSQL"
        )
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except FileNotFoundError:
        raise DatabaseUnusable(f"{place}: the directory {path.parent} does not exist") from None
    except OSError as error:
        raise DatabaseUnusable(f"{place}: cannot be opened for writing: {error.strerror}") from None


def _engine(path: Path) -> AsyncEngine:
    # The driver logs every statement with its parameters at level DEBUG.
    logging.getLogger("aiosqlite").setLevel(logging.INFO)
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(path)),
        # None hands transactions over to us; the driver would begin them late, and not for every statement.
        connect_args={"isolation_level": None, "timeout": _BUSY_TIMEOUT},
        hide_parameters=True,
        pool_size=_CONNECTIONS,
        max_overflow=0,
        pool_timeout=_BUSY_TIMEOUT,
    )
    event.listen(engine.sync_engine, "connect", _on_connect)
    event.listen(engine.sync_engine, "begin", _on_begin)
    return engine


def _on_connect(connection: DBAPIConnection, _: ConnectionPoolEntry | PoolProxiedConnection) -> None:
    connection.run_async(_configure)


async def _configure(connection: aiosqlite.Connection) -> None:
    for pragma in _PRAGMAS:
        await _insisting(connection, pragma)


async def _insisting(connection: aiosqlite.Connection, pragma: str) -> None:
    """Execute a pragma again while the database is busy: switching to WAL does not wait by itself."""
    deadline = asyncio.get_running_loop().time() + _BUSY_TIMEOUT
    while True:
        try:
            await connection.execute_fetchall(pragma)
        except aiosqlite.OperationalError as error:
            if "locked" not in str(error) or asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.02)
        else:
            return


def _on_begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
