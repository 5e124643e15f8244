"""Secrets as rows: the newest of an owner, and while a rotation overlaps, the one before it with an end."""

from collections.abc import Collection, Mapping

from sqlalchemy import Column, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

Kept = tuple[bytes, float | None]
"""A secret's hash, and when it ends although its owner does not."""


async def replace_secret(
    connection: AsyncConnection, owner: Column[str], id: str, hash_: bytes, *, at: float, old_until: float
) -> None:
    """Give an owner, who is locked already, a new secret. The one before it ends at `old_until`, any older
    one at once. `owner` is the column of the table of secrets that says whose one is."""
    table, mine = owner.table, owner == id
    if old_until > at:
        await connection.execute(delete(table).where(mine & table.c.expires_at.is_not(None)))
        await connection.execute(update(table).where(mine).values(expires_at=old_until))
    else:
        await connection.execute(delete(table).where(mine))
    await add_secrets(connection, owner, id, [(hash_, None)], at=at)


async def add_secrets(
    connection: AsyncConnection, owner: Column[str], id: str, secrets: Collection[Kept], *, at: float
) -> None:
    """Store the secrets of an owner."""
    rows = [
        {owner.name: id, "hash": hash_, "created_at": at, "expires_at": expires_at}
        for hash_, expires_at in secrets
    ]
    await connection.execute(insert(owner.table), rows)


async def secrets_of(
    connection: AsyncConnection, owner: Column[str], ids: Collection[str] | None = None
) -> Mapping[str, list[Kept]]:
    """Return the secrets of these owners, or of all, by owner, the newest first."""
    columns = owner.table.c
    # What has no end replaces what has one, also when both were made in the same moment.
    query = select(owner, columns.hash, columns.expires_at).order_by(
        columns.expires_at.is_not(None), columns.created_at.desc()
    )
    if ids is not None:
        query = query.where(owner.in_(ids))
    found: dict[str, list[Kept]] = {}
    for owner_id, hash_, expires_at in await connection.execute(query):
        found.setdefault(owner_id, []).append((hash_, expires_at))
    return found
