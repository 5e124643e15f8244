"""What SQLite and PostgreSQL do differently, as `Database` and the adapters use it. Each has its own file."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from enum import Enum
from typing import Final, Protocol

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

ENGINE: Final = "gateway_engine"
"""Execution option under which an engine lends its connections."""

Value = str | int | bytes


class Lock(Enum):
    """What one write transaction at a time does, the others waiting until it has ended.

    A transaction takes at most one of them, and `CHANGES` after its last row lock: whoever has it waits for
    nobody.
    """

    SCHEMA = 1
    FIRST_SIGNING_KEY = 2
    CHANGES = 3
    AUDIT_DAYS = 4
    FIRST_ROOTS = 5
    ALONE = 6
    """For the length of a connection, not of a transaction."""


class Engine(Protocol):
    """Connections to one database, and the statements that it has in a form of its own."""

    @property
    def place(self) -> str:
        """Name of the database in messages: `database /var/lib/gateway.db`. Never with a password."""

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Lend a connection whose statements see one consistent state."""

    def watch(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Lend a connection as `read` does, kept for looks that must not queue behind those who wait."""

    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Lend a connection inside a write transaction, committed when the block ends without an error."""

    def upgrade(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Lend a connection inside the one write transaction that may change the schema. Others wait."""

    def alone(self) -> AbstractAsyncContextManager[bool]:
        """Give True for the length of a block in which no other process gets True, and that ends with its
        process, however that ends."""

    async def close(self) -> None:
        """Close every connection; the next use opens new ones."""

    async def lock(self, connection: AsyncConnection, lock: Lock) -> None:
        """Wait until no other transaction has the lock, and have it until this one ends."""

    async def plan_for_days(self, connection: AsyncConnection) -> None:
        """Have the statements of this transaction planned day by day, for the values that they are given."""

    async def insert_new(
        self, connection: AsyncConnection, table: Table, rows: Sequence[tuple[Value, ...]]
    ) -> None:
        """Insert those rows, of all columns of a table, that are not there yet, in their order."""

    async def prepare_days(self, connection: AsyncConnection, first: int, last: int) -> None:
        """Have the audit tables ready for records of some days. To be called under `AUDIT_DAYS`."""

    async def days_before(self, connection: AsyncConnection, before: int) -> Sequence[int]:
        """Return the days that have something in the audit tables before one, the oldest first.

        To be called under `AUDIT_DAYS`. Raise `RetentionRefused` when they may not be dropped.
        """

    async def close_days(self, connection: AsyncConnection) -> None:
        """Let nobody add to any day until the end of the transaction."""

    async def drop_day(self, connection: AsyncConnection, day: int) -> None:
        """Remove what the audit tables have of a day. To be called under `AUDIT_DAYS`."""

    async def wipe(self) -> None:
        """Have nothing left of deleted rows in files of the database's own, as far as that is up to us."""

    async def grant(self, role: str) -> None:
        """Give another role of the database what a gateway needs, and no more. Raise `DatabaseUnusable`."""


def engine_of(connection: AsyncConnection) -> Engine:
    """Return the engine that lends a connection."""
    engine: Engine = connection.sync_engine.get_execution_options()[ENGINE]
    return engine
