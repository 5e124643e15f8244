"""Every value in the database that is sealed with keys that follow from the roots, and how it is sealed anew.

Rows are looked at in the order of their keys, some hundred at a time, and what is sealed anew takes the place
of exactly what was read. No transaction waits for a row while it holds others, so that none of a gateway's
waits for more than a moment, and none is given up because two wait for each other: what somebody else holds
is passed over, and found by the next round.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Column, Row, Table, bindparam, func, literal, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.crypto import SealBroken
from gateway.ports import Renew, Round
from gateway.stores.sql.audit_tables import audit_subjects
from gateway.stores.sql.database import Database
from gateway.stores.sql.tables import (
    crypto_key_versions,
    factors,
    mails,
    sessions,
    signing_keys,
)

_AT_ONCE: Final = 200
_MOST_DAMAGED: Final = 100
"""Contexts that are told."""

_Row = Row[*tuple[Any, ...]]


class SealedColumn(NamedTuple):
    """One column of sealed values."""

    column: Column[Any]
    context: str
    """What its values are sealed for, with the names of key columns in braces."""

    @property
    def table(self) -> Table:
        """Its table."""
        table: Table = self.column.table
        return table

    @property
    def keys(self) -> list[Column[Any]]:
        """What tells its rows apart, in the order in which they are looked at."""
        return list(self.table.primary_key.columns)

    def context_of(self, row: _Row) -> str:
        """Return what the value of a row is sealed for."""
        return self.context.format_map(dict(zip((key.name for key in self.keys), row, strict=False)))


SEALED: Final = (
    SealedColumn(signing_keys.c.sealed_private, "signing-key:{kid}"),
    SealedColumn(crypto_key_versions.c.sealed, "crypto-key:{key_name}:{version}"),
    SealedColumn(factors.c.sealed, "totp:{user_id}"),
    SealedColumn(sessions.c.key, "session:{id}"),
    SealedColumn(mails.c.sealed, "mail:{id}"),
    SealedColumn(audit_subjects.c.sealed_key, "audit-subject:{subject}"),
)


class SqlSealedValues:
    """The columns of `SEALED`. Implements `ports.SealedValues`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(self) -> int:
        """Return how many there are, about. Raise `StoreUnavailable`."""
        async with self._database.read() as connection:
            counts = [
                await connection.scalar(select(func.count()).select_from(one.table)) or 0 for one in SEALED
            ]
        return sum(counts)

    async def renew(self, renew: Renew, *, seen: Callable[[int], None] = lambda _: None) -> Round:
        """Look at every value once, and store those that `renew` returns. Raise `StoreUnavailable`."""
        values = renewed = 0
        damaged: list[str] = []
        for sealed in SEALED:
            after: _Row | None = None
            while page := await self._page(sealed, after):
                after = page[-1]
                fresh: list[tuple[_Row, bytes]] = []
                for row in page:
                    context = sealed.context_of(row)
                    try:
                        new = _renewed(row.value, context, renew)
                    except SealBroken:
                        if len(damaged) < _MOST_DAMAGED:
                            damaged.append(context)
                    else:
                        if new is not None:
                            fresh.append((row, new))
                if fresh:
                    await self._store(sealed, fresh)
                values, renewed = values + len(page), renewed + len(fresh)
                seen(len(page))
        return Round(values=values, renewed=renewed, damaged=tuple(damaged))

    async def _page(self, sealed: SealedColumn, after: _Row | None) -> list[_Row]:
        """Return the next rows, by their keys."""
        keys = sealed.keys
        # Erased persons have no key.
        query = select(*keys, sealed.column.label("value")).where(sealed.column.is_not(None))
        if after is not None:
            last = (literal(value, key.type) for key, value in zip(keys, after, strict=False))
            query = query.where(tuple_(*keys) > tuple_(*last))
        async with self._database.read() as connection:
            found = await connection.execute(query.order_by(*keys).limit(_AT_ONCE))
            return list(found)

    async def _store(self, sealed: SealedColumn, fresh: Sequence[tuple[_Row, bytes]]) -> None:
        async with self._database.write() as connection:
            free = await _locked(connection, sealed, [row for row, _ in fresh])
            keys = sealed.keys
            names = [f"key_{number}" for number in range(len(keys))]
            changes = [
                dict(zip(names, row, strict=False)) | {"seen": row.value, "renewed": new}
                for row, new in fresh
                if tuple(row[: len(keys)]) in free
            ]
            if not changes:
                return
            statement = update(sealed.table).where(sealed.column == bindparam("seen"))
            for key, name in zip(keys, names, strict=True):
                statement = statement.where(key == bindparam(name))
            await connection.execute(statement.values({sealed.column: bindparam("renewed")}), changes)


def _renewed(value: object, context: str, renew: Renew) -> bytes | None:
    if not isinstance(value, bytes):
        # SQLite keeps anything in any column.
        raise SealBroken(context)
    return renew(value, context)


async def _locked(
    connection: AsyncConnection, sealed: SealedColumn, rows: Sequence[_Row]
) -> set[tuple[object, ...]]:
    """Return the keys of those rows that nobody else holds; nobody does until the end of the transaction."""
    keys = sealed.keys
    wanted = [
        tuple_(*(literal(value, key.type) for key, value in zip(keys, row, strict=False))) for row in rows
    ]
    query = select(*keys).where(tuple_(*keys).in_(wanted)).with_for_update(key_share=True, skip_locked=True)
    return {tuple(row) for row in await connection.execute(query)}
