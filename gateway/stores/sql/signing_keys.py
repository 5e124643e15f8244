"""Signing keys in SQL; the private halves arrive sealed."""

from collections.abc import Sequence

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.ports import BeforeCommit, ChangeKind, StoredSigningKey
from gateway.stores.sql.changes import announce
from gateway.stores.sql.database import Database
from gateway.stores.sql.engine import Lock, engine_of
from gateway.stores.sql.tables import signing_keys

_NEWEST_FIRST = (signing_keys.c.created_at.desc(), signing_keys.c.kid)


class SqlSigningKeyStore:
    """Signing keys as one table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> Sequence[StoredSigningKey]:
        """Return every key that was not revoked, the newest first. Raise `StoreUnavailable`."""
        query = select(signing_keys).order_by(*_NEWEST_FIRST)
        async with self._database.read() as connection:
            return [
                StoredSigningKey(
                    kid=row.kid,
                    public_pem=row.public_pem,
                    sealed_private=row.sealed_private,
                    created_at=row.created_at,
                    signs_from=row.signs_from,
                    verifies_until=row.verifies_until,
                )
                for row in await connection.execute(query)
            ]

    async def add_first(self, key: StoredSigningKey, *, before_commit: BeforeCommit | None = None) -> bool:
        """Store the very first key; False when there is one. Raise `StoreUnavailable`, and what
        `before_commit` raises.

        Looking and storing are done under a lock: no other process can come between.
        """
        async with self._database.write() as connection:
            await engine_of(connection).lock(connection, Lock.FIRST_SIGNING_KEY)
            if (await connection.execute(select(signing_keys.c.kid).limit(1))).first() is not None:
                return False
            await _insert(connection, key)
            if before_commit is not None:
                await before_commit()
            return True

    async def rotate(
        self,
        key: StoredSigningKey,
        *,
        after: str,
        old_until: float,
        before_commit: BeforeCommit | None = None,
    ) -> bool:
        """Store the next key; False when `after` is not the newest any more. Raise `StoreUnavailable`, and
        what `before_commit` raises."""
        async with self._database.write() as connection:
            if await _newest_of_locked(connection) != after:
                return False
            await _succeed(connection, key, old_until)
            if before_commit is not None:
                await before_commit()
            await announce(connection, ChangeKind.SIGNING_KEYS, "", at=key.created_at)
            return True

    async def revoke(
        self, kid: str, *, successor: StoredSigningKey | None, old_until: float, at: float
    ) -> bool:
        """Remove a key at once; False when there is no such key. Raise `StoreUnavailable`."""
        async with self._database.write() as connection:
            await _newest_of_locked(connection)
            gone = await connection.execute(delete(signing_keys).where(signing_keys.c.kid == kid))
            if gone.rowcount == 0:
                return False
            if successor is not None:
                if successor.signs_from > at:
                    # Until then the newest one left signs, for longer than the one that is gone had it do.
                    signs = signing_keys.c.kid == await _newest_of_locked(connection)
                    await connection.execute(update(signing_keys).where(signs).values(verifies_until=None))
                await _succeed(connection, successor, old_until)
            await announce(connection, ChangeKind.SIGNING_KEYS, kid, at=at)
            return True


async def _newest_of_locked(connection: AsyncConnection) -> str | None:
    """Return the newest key, all that there are being locked until the commit: of two transactions that mean
    to replace it, one waits here, and finds out."""
    await connection.execute(select(signing_keys.c.kid).order_by(signing_keys.c.kid).with_for_update())
    newest: str | None = await connection.scalar(select(signing_keys.c.kid).order_by(*_NEWEST_FIRST).limit(1))
    return newest


async def _succeed(connection: AsyncConnection, key: StoredSigningKey, old_until: float) -> None:
    await connection.execute(delete(signing_keys).where(signing_keys.c.verifies_until < key.created_at))
    until = func.coalesce(signing_keys.c.verifies_until, old_until)
    await connection.execute(update(signing_keys).where(until >= old_until).values(verifies_until=old_until))
    await _insert(connection, key)


async def _insert(connection: AsyncConnection, key: StoredSigningKey) -> None:
    await connection.execute(
        insert(signing_keys).values(
            kid=key.kid,
            public_pem=key.public_pem,
            sealed_private=key.sealed_private,
            created_at=key.created_at,
            signs_from=key.signs_from,
            verifies_until=key.verifies_until,
        )
    )
