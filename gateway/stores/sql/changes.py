"""The change feed: written in the same transaction as what it announces, so neither is without the other."""

from collections.abc import Sequence

from sqlalchemy import Row, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.ports import Change, ChangeKind
from gateway.stores.sql.database import Database
from gateway.stores.sql.tables import changes

RETENTION = 31 * 86400.0
"""Seconds that a change is kept. A process that starts needs those that are younger than the oldest access
token that is still alive."""


async def announce(
    connection: AsyncConnection, kind: ChangeKind, subject: str, *, at: float, epoch: int = 0
) -> None:
    """Write a change into the feed as part of a write transaction, and drop those nobody needs any more."""
    await connection.execute(
        insert(changes).values(kind=kind.value, subject=subject, epoch=epoch, at=at),
    )
    await connection.execute(delete(changes).where(changes.c.at < at - RETENTION))


class SqlChangeFeed:
    """The feed as a table. Numbers grow in the order of commits, because SQLite has one writer at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def since(self, seq: int) -> Sequence[Change]:
        """Return the changes after `seq`, oldest first. Raise `StoreUnavailable`."""
        async with self._database.read() as connection:
            rows = await connection.execute(
                select(changes).where(changes.c.seq > seq).order_by(changes.c.seq),
            )
            return [_change(row) for row in rows]

    async def recent(self, after: float) -> tuple[int, Sequence[Change]]:
        """Return the newest sequence number and the changes since a time. Raise `StoreUnavailable`."""
        async with self._database.read() as connection:
            newest = await connection.scalar(select(func.max(changes.c.seq)))
            rows = await connection.execute(
                select(changes).where(changes.c.at >= after).order_by(changes.c.seq),
            )
            return newest or 0, [_change(row) for row in rows]


def _change(row: Row[tuple[object, ...]]) -> Change:
    return Change(row.seq, ChangeKind(row.kind), row.subject, row.epoch, row.at)
