"""Sessions as rows: what those who end many of them at once have in common."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.stores.sql.order import lock_in_order
from gateway.stores.sql.tables import sessions


async def end_sessions(
    connection: AsyncConnection, condition: ColumnElement[bool], *, at: float
) -> Sequence[str]:
    """End the sessions that meet a condition; return the ids of those that were alive."""
    alive = condition & sessions.c.revoked_at.is_(None)
    await lock_in_order(connection, sessions.c.id, alive)
    ended = update(sessions).where(alive).values(revoked_at=at).returning(sessions.c.id)
    return sorted(await connection.scalars(ended))
