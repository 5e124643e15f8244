"""SQLite, the embedded default: one file, one host.

Every write transaction begins with `BEGIN IMMEDIATE`, so a transaction that has read something never fails
later because another one wrote in between, and of two that write, one waits for the other's end.
"""

import asyncio
import fcntl
import logging
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final, cast
from urllib.parse import unquote_to_bytes

import aiosqlite
import orjson
from sqlalchemy import URL, Connection, LargeBinary, Table, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from gateway.ports import StoreUnavailable
from gateway.stores.sql.engine import ENGINE, Lock, Value
from gateway.stores.sql.faults import DatabaseUnusable, UniqueViolation, translated
from gateway.stores.sql.filesystem import network_file_system
from gateway.stores.sql.text import escaped_row

_BUSY_TIMEOUT = 5.0
"""Seconds that a transaction waits for another one, of this process or of a second one."""
_PAUSES: Final = (0.05, 0.1, 0.2, 0.4)
"""Seconds between attempts to empty the log."""
_CONNECTIONS: Final = 8
_WRITES: Final = "writes"
_SCHEME: Final = "sqlite:///"
_UNIQUE: Final = "UNIQUE constraint failed: "

_BY_DAY: Final = ("audit_chunks", "audit_terms", "audit_personal")
_TRIGGERS: Final = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_chunks'"
_PRAGMAS: Final = (
    # Readers do not block the writer, nor the writer readers.
    "PRAGMA journal_mode = WAL",
    # NORMAL would survive kill -9 just as well, but after a power cut the last commits would be gone: a
    # session that was logged out would live again, a refresh token that was used would be the newest again.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    # What was deleted or replaced (names, hashes, sealed keys) does not stay in free pages of the file: not
    # even in those that it was moved from when its neighbours went, as it would with FAST.
    "PRAGMA secure_delete = ON",
    "PRAGMA trusted_schema = OFF",
)


class Sqlite:
    """One SQLite file. Implements `Engine`."""

    def __init__(self, path: Path) -> None:
        self.place = f"database {path}"
        self._path = path
        self._explain = partial(_explained, self.place)
        self._prepared = False
        self._writing = asyncio.Lock()
        """Orders the writers of this process first come, first served; SQLite itself only polls."""
        self._reader = _engine(path).execution_options(**{ENGINE: self})
        self._writer = self._reader.execution_options(**{_WRITES: True})

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection whose statements see one consistent state."""
        await self._prepare()
        with translated(self.place, self._explain):
            async with self._reader.connect() as connection:
                yield connection

    # Whoever writes waits before a connection is lent, so there is one left for those who read.
    watch = read

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection inside a write transaction, committed when the block ends without an error."""
        await self._prepare()
        try:
            async with asyncio.timeout(_BUSY_TIMEOUT):
                await self._writing.acquire()
        except TimeoutError:
            raise StoreUnavailable(f"{self.place}: busy for more than {_BUSY_TIMEOUT:.0f} s") from None
        try:
            with translated(self.place, self._explain):
                async with self._writer.begin() as connection:
                    yield connection
        finally:
            self._writing.release()

    upgrade = write

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[bool]:
        """Give True to one process of this host, which has the lock of the file's directory: that of the file
        is SQLite's own."""
        folder = await asyncio.to_thread(_locked_folder, self._path.parent, self.place)
        try:
            yield folder is not None
        finally:
            if folder is not None:
                os.close(folder)

    async def close(self) -> None:
        """Close every connection; the next use opens new ones."""
        await self._reader.dispose()

    async def lock(self, connection: AsyncConnection, lock: Lock) -> None:
        """Do nothing: of all write transactions, one runs at a time."""

    async def plan_for_days(self, connection: AsyncConnection) -> None:
        """Do nothing: a table is one piece here."""

    async def insert_new(
        self, connection: AsyncConnection, table: Table, rows: Sequence[tuple[Value, ...]]
    ) -> None:
        """Insert those rows that are not there yet.

        One statement takes them all, unless there are bytes among them, which JSON does not have: with one at
        a time, SQLite's every step takes the interpreter's lock from the event loop and gives it back.
        """
        if not rows:
            return
        names, given = table.c.keys(), list(map(escaped_row, rows))
        # A table of this program.
        into = f"INSERT INTO {table.name} ({', '.join(names)})"
        if any(isinstance(column.type, LargeBinary) for column in table.c):
            one = f"{into} VALUES ({', '.join('?' * len(names))}) ON CONFLICT DO NOTHING"
            await connection.exec_driver_sql(one, given)
            return
        values = ", ".join(f"json_extract(value, '$[{index}]')" for index in range(len(names)))
        every = f"{into} SELECT {values} FROM json_each(?) WHERE true ON CONFLICT DO NOTHING"  # noqa: S608 - as above
        await connection.exec_driver_sql(every, (orjson.dumps(given).decode(),))

    async def prepare_days(self, connection: AsyncConnection, first: int, last: int) -> None:
        """Do nothing: all days are in one table."""

    async def days_before(self, connection: AsyncConnection, before: int) -> Sequence[int]:
        """Return the days before one that have records."""
        rows = await connection.exec_driver_sql(
            "SELECT DISTINCT day FROM audit_chunks WHERE day < ? ORDER BY day", (before,)
        )
        return rows.scalars().all()

    async def close_days(self, connection: AsyncConnection) -> None:
        """Do nothing: of all write transactions, one runs at a time."""

    async def drop_day(self, connection: AsyncConnection, day: int) -> None:
        """Delete the rows of a day; the triggers that refuse it are away until the end of the transaction."""
        triggers = (await connection.exec_driver_sql(_TRIGGERS)).all()
        for trigger in triggers:
            await connection.exec_driver_sql(f"DROP TRIGGER {trigger.name}")
        # Pages of records are many, and what they say of persons is sealed: not all are written once more.
        await connection.exec_driver_sql("PRAGMA secure_delete = FAST")
        try:
            for table in _BY_DAY:
                await connection.exec_driver_sql(f"DELETE FROM {table} WHERE day = ?", (day,))  # noqa: S608 - a table of this program
        finally:
            await connection.exec_driver_sql("PRAGMA secure_delete = ON")
        for trigger in triggers:
            await connection.exec_driver_sql(trigger.sql)

    async def wipe(self) -> None:
        """Empty the write-ahead log, which has pages as they were before rows were deleted. Somebody who
        reads all that time may need it: then it is written over by what comes, and emptied at the end."""
        with translated(self.place, self._explain):
            async with self._reader.connect() as connection:
                raw = await connection.get_raw_connection()
                driver = cast("aiosqlite.Connection", raw.driver_connection)
                # Nothing of this is part of a transaction: there is none before the first statement. Whoever
                # waits for readers holds up writers, so it is tried for moments only.
                await driver.execute_fetchall("PRAGMA busy_timeout = 50")
                try:
                    for pause in _PAUSES:
                        ((is_busy, *_),) = await driver.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
                        if not is_busy:
                            break
                        await asyncio.sleep(pause)
                finally:
                    await driver.execute_fetchall(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT * 1000:.0f}")

    async def grant(self, role: str) -> None:
        """Raise `DatabaseUnusable`: whoever may write the file may write all of it."""
        raise DatabaseUnusable(f"{self.place}: there is no role {role}, for SQLite has none: use PostgreSQL")

    async def _prepare(self) -> None:
        if not self._prepared:
            await asyncio.to_thread(_prepare_file, self._path, self.place)
            self._prepared = True

    def __repr__(self) -> str:
        return f"Sqlite({str(self._path)!r})"


def path_in(url: str) -> Path:
    """Return the file that a URL names: what stands behind `sqlite:///`, in which `%3F` is a question mark.

    Raise `DatabaseUnusable` when it names none.
    """
    text = url.removeprefix(_SCHEME)
    if text == url or "?" in text or text in {"", ":memory:"}:
        raise DatabaseUnusable(
            "an SQLite URL names a file and nothing else: write sqlite:///PATH, with %3F for ? and %25 for %"
        )
    return Path(os.fsdecode(unquote_to_bytes(text)))


def _explained(place: str, error: DBAPIError) -> UniqueViolation | StoreUnavailable:
    text = str(error.orig)
    if text.startswith(_UNIQUE):
        columns = text.removeprefix(_UNIQUE).split(",")
        return UniqueViolation(frozenset(column.strip() for column in columns))
    return StoreUnavailable(f"{place}: {text}")


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
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise DatabaseUnusable(f"{place}: cannot be opened for writing: {why}") from None


def _locked_folder(folder: Path, place: str) -> int | None:
    """Return an open folder that this process has locked; None when another one has."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise DatabaseUnusable(f"{place}: the directory cannot be opened: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            return None
        raise DatabaseUnusable(f"{place}: the directory cannot be locked: {error.strerror}") from None
    return descriptor


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
