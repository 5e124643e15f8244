"""PostgreSQL through asyncpg.

Reads are REPEATABLE READ, so all statements of one see the same state; writes are READ COMMITTED, so a
conditional statement that waited for another transaction decides by what that one left.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Final

import asyncpg
from sqlalchemy import BigInteger, Table, bindparam, event, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError, InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from gateway.ports import StoreUnavailable
from gateway.stores.sql import postgres_days
from gateway.stores.sql.address import PostgresAddress
from gateway.stores.sql.engine import ENGINE, Lock, Value
from gateway.stores.sql.faults import DatabaseUnusable, translated
from gateway.stores.sql.postgres_faults import DRIVER_ERRORS, explained, unconnected
from gateway.stores.sql.postgres_grant import grant
from gateway.stores.sql.text import escaped_row

CONNECTIONS: Final = 8
"""The most that one process opens for what it is asked. Besides, one follows the changes, and one more, for a
moment, brings the schema up to date at the start."""
PATIENCE: Final = 5.0
"""Seconds until a server that does not answer a statement, or does not lend a connection, is given up."""
_CONNECT: Final = 4.0
"""Seconds for a new connection, or for one that others give back: part of lending one."""
_RESTED: Final = 1.0
"""Seconds after which a connection that nobody used is tried before it is lent."""
_TRIAL: Final = 1.0
"""Seconds for the answer."""
_UPGRADE: Final = 600.0
"""Seconds for a statement that changes the schema, and for waiting until another process has changed it."""

_SESSION: Final = {
    "application_name": "gateway",
    # The server gives up before the gateway does, which leaves the connection whole and the message clear.
    "statement_timeout": "4500",
    # A gateway that was stopped, or whose machine has gone, must not keep its locks from the others.
    "idle_in_transaction_session_timeout": "15000",
    # What lies between must not forget a connection that rests.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
_LOCKS: Final = 0x67617465_00000000
"""Where the gateway's numbers begin among those of advisory locks, which a whole database shares."""

_ENCODINGS: Final = {"UTF8", "SQL_ASCII"}
"""What takes every text; the second takes it as it comes. In any other, one record with a name in a foreign
script would keep all that follow it out of the trail."""
_USED: Final = "used"

Driver = Any
"""A connection of asyncpg, which has no types."""


class Postgres:
    """One PostgreSQL database. Implements `Engine`."""

    def __init__(self, address: PostgresAddress) -> None:
        self.place = address.place
        self._address = address
        self._explain = partial(explained, self.place)
        # What the URL says of a session counts.
        session = {name: value for name, value in _SESSION.items() if name not in address.parameters}
        lent = self._engine(PATIENCE, session).execution_options(**{ENGINE: self})
        kept = self._engine(PATIENCE, session, connections=1).execution_options(**{ENGINE: self})
        self._reader = lent.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._writer = lent.execution_options(isolation_level="READ COMMITTED")
        self._watcher = kept.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection whose statements see one consistent state."""
        with translated(self.place, self._explain):
            async with AsyncExitStack() as stack:
                yield await self._lent(stack, self._reader)

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection as `read` does, though all others wait for somebody's lock."""
        with translated(self.place, self._explain):
            async with AsyncExitStack() as stack:
                yield await self._lent(stack, self._watcher)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection inside a write transaction, committed when the block ends without an error."""
        with translated(self.place, self._explain):
            async with AsyncExitStack() as stack:
                connection = await self._lent(stack, self._writer)
                async with connection.begin():
                    yield connection

    @asynccontextmanager
    async def upgrade(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection inside the one write transaction that may change the schema. Others wait."""
        session = {"application_name": "gateway", "statement_timeout": "0", "lock_timeout": "0"}
        engine = self._engine(_UPGRADE, session).execution_options(
            **{ENGINE: self}, isolation_level="READ COMMITTED"
        )
        try:
            with translated(self.place, self._explain):
                async with engine.begin() as connection:
                    await self.lock(connection, Lock.SCHEMA)
                    yield connection
        finally:
            await engine.dispose()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[bool]:
        """Give True to one process, whose connection has a lock: the server gives it to others as soon as the
        connection is gone."""
        session = {name: value for name, value in _SESSION.items() if name not in self._address.parameters}
        engine = self._engine(PATIENCE, session, connections=1).execution_options(
            isolation_level="AUTOCOMMIT"
        )
        try:
            with translated(self.place, self._explain):
                async with AsyncExitStack() as stack:
                    connection = await self._lent(stack, engine)
                    yield bool(await connection.scalar(_TRY_LOCK, {"lock": _LOCKS + Lock.ALONE.value}))
        finally:
            await engine.dispose()

    async def close(self) -> None:
        """Close every connection; the next use opens new ones."""
        await self._writer.dispose()
        await self._watcher.dispose()

    async def lock(self, connection: AsyncConnection, lock: Lock) -> None:
        """Wait until no other transaction has the lock, and have it until this one ends."""
        await connection.execute(_LOCK, {"lock": _LOCKS + lock.value})

    async def plan_for_days(self, connection: AsyncConnection) -> None:
        """Have the statements of this transaction planned day by day, for the values that they are given.

        A plan for any values reads all chunks of a month to find the few of somebody, as does one that takes
        the days for one piece.
        """
        await connection.execute(_PLAN_FOR_DAYS)

    async def insert_new(
        self, connection: AsyncConnection, table: Table, rows: Sequence[tuple[Value, ...]]
    ) -> None:
        """Insert those rows that are not there yet, all in one statement, in their order: of two transactions
        that insert the same, none then waits for the other while being waited for."""
        if not rows:
            return
        names = ", ".join(table.c.keys())
        kinds = [column.type.compile(connection.dialect) for column in table.c]
        arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(kinds, 1))
        statement = (
            f"INSERT INTO {table.name} ({names}) "  # noqa: S608 - a table of this program
            f"SELECT * FROM unnest({arrays}) ON CONFLICT DO NOTHING"
        )
        columns = zip(*map(escaped_row, rows), strict=True)
        await connection.exec_driver_sql(statement, tuple(map(list, columns)))

    async def prepare_days(self, connection: AsyncConnection, first: int, last: int) -> None:
        """Make the partitions that are missing."""
        await postgres_days.prepare(connection, first, last)

    async def days_before(self, connection: AsyncConnection, before: int) -> Sequence[int]:
        """Return the days of old partitions. Raise `RetentionRefused`."""
        return await postgres_days.days_before(connection, before)

    async def close_days(self, connection: AsyncConnection) -> None:
        """Let nobody add to any day until the end of the transaction."""
        await postgres_days.close_days(connection)

    async def drop_day(self, connection: AsyncConnection, day: int) -> None:
        """Drop the partitions of a day."""
        await postgres_days.drop_day(connection, day)

    async def wipe(self) -> None:
        """Do nothing: the server removes deleted rows from its files when it vacuums them."""

    async def grant(self, role: str) -> None:
        """Give a role what a gateway needs. Raise `DatabaseUnusable`."""
        async with self.write() as connection:
            await grant(connection, self.place, role)

    async def _lent(self, stack: AsyncExitStack, engine: AsyncEngine) -> AsyncConnection:
        try:
            async with asyncio.timeout(PATIENCE):
                return await stack.enter_async_context(engine.connect())
        except TimeoutError:
            raise StoreUnavailable(f"{self.place}: no answer within {PATIENCE:.0f} s") from None

    def _engine(
        self, patience: float, session: Mapping[str, str], *, connections: int = CONNECTIONS
    ) -> AsyncEngine:
        """Return an engine whose statements may take some seconds."""

        async def connect() -> Driver:
            try:
                driver = await asyncpg.connect(
                    self._address.url, timeout=_CONNECT, command_timeout=patience, server_settings=session
                )
            except (OSError, ValueError, TypeError, *DRIVER_ERRORS) as error:
                raise unconnected(self.place, error) from None
            encoding = driver.get_settings().server_encoding
            if encoding not in _ENCODINGS:
                driver.terminate()
                raise DatabaseUnusable(
                    f"{self.place}: its encoding {encoding} has not all characters: "
                    "use a database that was created with ENCODING 'UTF8'"
                )
            return driver

        engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=connect,
            hide_parameters=True,
            pool_size=connections,
            max_overflow=0,
            pool_timeout=_CONNECT,
            pool_use_lifo=True,
        )
        event.listen(engine.sync_engine, "checkin", _on_checkin)
        event.listen(engine.sync_engine, "checkout", _on_checkout)
        event.listen(engine.sync_engine, "handle_error", self._on_error)
        return engine

    def _on_error(self, context: ExceptionContext) -> None:
        """Give up a connection whose server does not answer, or has taken leave, and all others with it.

        The driver would ask the server to end the statement, and wait for that as well. It does so for a
        statement that was cancelled, whose locks others may wait for. A server that says it goes, and does
        not hang up, leaves a connection that is open and of no use: the driver's `InternalClientError`.
        """
        error, connection = context.original_exception, context.connection
        lost = isinstance(error.__cause__, asyncpg.InternalClientError)
        if not (lost or isinstance(error, OSError)) or connection is None or connection.invalidated:
            return
        driver: Driver = connection.connection.driver_connection
        driver.terminate()
        context.is_disconnect = True
        match error:
            case TimeoutError():
                why = "no answer in time"
            case OSError():
                why = error.strerror or str(error)
            case _:
                why = "the connection was lost"
        raise StoreUnavailable(f"{self.place}: {why}")

    def __repr__(self) -> str:
        return f"Postgres({self.place!r})"


_PLAN_FOR_DAYS: Final = text(
    "SELECT set_config('plan_cache_mode', 'force_custom_plan', true), "
    "set_config('enable_partitionwise_join', 'on', true)"
)
_LOCK: Final = text("SELECT pg_advisory_xact_lock(:lock)").bindparams(bindparam("lock", type_=BigInteger))
_TRY_LOCK: Final = text("SELECT pg_try_advisory_lock(:lock)").bindparams(bindparam("lock", type_=BigInteger))


def _on_checkin(_: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
    record.info[_USED] = time.monotonic()


def _on_checkout(connection: DBAPIConnection, record: ConnectionPoolEntry, _: PoolProxiedConnection) -> None:
    """Have a connection replaced that does not work any more, so that a server's restart is seen by nobody.

    One that was cut says so by itself; that its server has gone without a word, only an answer tells.
    """
    driver: Driver = record.driver_connection
    if driver.is_closed():
        raise DisconnectionError
    if time.monotonic() - record.info.get(_USED, math.inf) > _RESTED:
        connection.run_async(_try)


async def _try(driver: Driver) -> None:
    try:
        await driver.execute("SELECT 1", timeout=_TRIAL)
    except (OSError, *DRIVER_ERRORS):
        driver.terminate()
        raise InvalidatePoolError from None
    except asyncio.CancelledError:
        driver.terminate()
        raise
