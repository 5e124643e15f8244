"""One SQL database: transactions, and the schema brought up to date. Which database, its URL says."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final, Self

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.ports import AuditUnavailable, SinkAstray, StoreUnavailable
from gateway.stores.sql import schema
from gateway.stores.sql.address import PostgresAddress
from gateway.stores.sql.engine import Engine
from gateway.stores.sql.faults import DatabaseUnusable
from gateway.stores.sql.sqlite import Sqlite, path_in

_ANNOUNCED: Final = "announced"
_POSTGRES: Final = ("postgresql://", "postgres://")


class Database:
    """A database that adapters read and write. Open it with `open`, end with `close`."""

    def __init__(self, engine: Engine) -> None:
        self.on_announced: Callable[[], None] | None = None
        """Called on the loop after the commit of a transaction that announced a change. Must not raise."""
        self.errors = 0
        """Transactions that failed because the database could not be used."""
        self._engine = engine

    @classmethod
    def open(cls, url: str) -> Self:
        """Return the database that a URL names: `sqlite:///PATH` or `postgresql://USER:PASSWORD@HOST/NAME`.

        Nothing is touched before first use. Raise `DatabaseUnusable` for a URL that names none; it is not
        repeated, for it may hold a password.
        """
        if url.startswith("sqlite:"):
            return cls(Sqlite(path_in(url)))
        if url.startswith(_POSTGRES):
            from gateway.stores.sql.postgres import Postgres  # noqa: PLC0415 - a driver that others do not need

            return cls(Postgres(PostgresAddress.parse(url)))
        raise DatabaseUnusable(
            "the database URL names no database that is supported: write sqlite:///PATH or "
            "postgresql://USER:PASSWORD@HOST/NAME"
        )

    @property
    def place(self) -> str:
        """Name of the database in messages: `database /var/lib/gateway.db`. Never with a password."""
        return self._engine.place

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection whose statements see one consistent state. Raise `StoreUnavailable`."""
        with self._counting_errors():
            async with self._engine.read() as connection:
                yield connection

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection as `read` does, to one at a time, at once though everybody else waits for a lock:
        for what the whole process stands still without. Raise `StoreUnavailable`."""
        with self._counting_errors():
            async with self._engine.watch() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection inside a write transaction, committed when the block ends without an exception.

        Other transactions may run beside it: a decision that must be made once is a conditional statement,
        or made under a lock. Raise `StoreUnavailable`, `UniqueViolation` when a unique value exists.
        """
        with self._counting_errors():
            async with self._engine.write() as connection:
                # Of a transaction that was not committed: what is noted stays with the connection.
                connection.info.pop(_ANNOUNCED, None)
                yield connection
                announced = connection.info.pop(_ANNOUNCED, False)
        if announced and self.on_announced is not None:
            self.on_announced()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[bool]:
        """Give True for the length of a block in which no other process gets True, and that ends with its
        process, however that ends. Raise `StoreUnavailable`."""
        async with self._engine.alone() as is_alone:
            yield is_alone

    async def migrate(self) -> None:
        """Bring the schema up to date, creating it in an empty database; nothing to do is quick.

        Processes that start at the same moment wait for the first. Raise `DatabaseUnusable` when the schema
        is newer than this program.
        """
        async with self._engine.read() as connection:
            if not await connection.run_sync(schema.is_behind, self.place):
                return
        async with self._engine.upgrade() as connection:
            await connection.run_sync(schema.upgrade, self.place)

    async def grant(self, role: str) -> None:
        """Give another role of a PostgreSQL what a gateway needs, and no more: it adds to the audit trail,
        and changes and removes nothing of it. Raise `DatabaseUnusable`, `StoreUnavailable`."""
        await self._engine.grant(role)

    async def wipe(self) -> None:
        """Have nothing left of deleted rows in the database's files, as far as that is up to us. Raise
        `StoreUnavailable`."""
        await self._engine.wipe()

    async def close(self) -> None:
        """Close every connection. The database may be used again afterwards; it then reconnects."""
        await self._engine.close()

    @contextmanager
    def _counting_errors(self) -> Iterator[None]:
        try:
            yield
        except (AuditUnavailable, SinkAstray):
            # From the block: it writes down what it does, or has looked at what is there.
            raise
        except StoreUnavailable:
            self.errors += 1
            raise

    def __repr__(self) -> str:
        return f"Database({self.place!r})"


def note_announced(connection: AsyncConnection) -> None:
    """Have `on_announced` called when the transaction of this connection has been committed."""
    connection.info[_ANNOUNCED] = True
