"""The change feed: written in the same transaction as what it announces, so neither is without the other."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Row, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.ports import Change, ChangeKind, PlaceUnknown
from gateway.stores.sql.database import Database, note_announced
from gateway.stores.sql.engine import Lock, engine_of
from gateway.stores.sql.tables import changes

RETENTION: Final = 31 * 86400.0
"""Seconds that a change is kept. A process that starts needs those that are younger than the oldest access
token that is still alive."""
_DROPPED: Final = 100
"""How many changes that nobody needs may go with each announcement."""


async def announce(
    connection: AsyncConnection, kind: ChangeKind, *subjects: str, at: float, epoch: int = 0
) -> None:
    """Write changes into the feed as part of a write transaction, and drop those nobody needs any more.

    It is the last thing that a transaction does. Numbers are given under a lock that is held until the
    commit, so their order is that of the commits: who has seen one never finds a smaller one later.
    """
    if not subjects:
        return
    await engine_of(connection).lock(connection, Lock.CHANGES)
    rows = [{"kind": kind.value, "subject": subject, "epoch": epoch, "at": at} for subject in subjects]
    await connection.execute(insert(changes), rows)
    # A few at a time: no logout waits for all that a long standstill has left.
    old = select(changes.c.seq).where(changes.c.at < at - RETENTION).limit(_DROPPED)
    await connection.execute(delete(changes).where(changes.c.seq.in_(old)))
    note_announced(connection)


class SqlChangeFeed:
    """The feed as a table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def since(self, seq: int) -> Sequence[Change]:
        """Return the changes after `seq`, oldest first. Raise `PlaceUnknown`, `StoreUnavailable`.

        In a database that was set back, to a backup or to a replica that was behind, numbers are given a
        second time, and those that are smaller than `seq` would never be asked for.
        """
        async with self._database.watch() as connection:
            rows = await connection.execute(
                select(changes).where(changes.c.seq >= seq).order_by(changes.c.seq),
            )
            found = [_change(row) for row in rows]
        if seq == 0:
            return found
        if not found or found[0].seq != seq:
            raise PlaceUnknown
        return found[1:]

    async def recent(self, after: float) -> tuple[int, Sequence[Change]]:
        """Return the newest sequence number and the changes since a time. Raise `StoreUnavailable`."""
        async with self._database.watch() as connection:
            newest = await connection.scalar(select(func.max(changes.c.seq)))
            rows = await connection.execute(
                select(changes).where(changes.c.at >= after).order_by(changes.c.seq),
            )
            return newest or 0, [_change(row) for row in rows]


class SqlRevokedTokens:
    """Revoked access tokens, for as long as the feed keeps what it says: longer than they live."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def revoke(self, jti: str, *, at: float) -> None:
        """End an access token and announce it. Raise `StoreUnavailable`."""
        async with self._database.write() as connection:
            await announce(connection, ChangeKind.TOKEN_REVOKED, jti, at=at)


def _change(row: Row[tuple[object, ...]]) -> Change:
    return Change(row.seq, ChangeKind(row.kind), row.subject, row.epoch, row.at)
