"""Signing keys in SQL; the private halves arrive sealed."""

from collections.abc import Sequence

from sqlalchemy import case, insert, select

from gateway.ports import StoredSigningKey
from gateway.stores.sql.database import Database
from gateway.stores.sql.engine import Lock, engine_of
from gateway.stores.sql.tables import signing_keys


class SqlSigningKeyStore:
    """Signing keys as one table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> Sequence[StoredSigningKey]:
        """Return every key that still verifies, the active one first. Raise `StoreUnavailable`."""
        active_first = case((signing_keys.c.state == "active", 0), else_=1)
        query = select(signing_keys).order_by(active_first, signing_keys.c.created_at.desc())
        async with self._database.read() as connection:
            return [
                StoredSigningKey(
                    kid=row.kid,
                    public_pem=row.public_pem,
                    sealed_private=row.sealed_private,
                    state=row.state,
                    created_at=row.created_at,
                )
                for row in await connection.execute(query)
            ]

    async def add_first(self, key: StoredSigningKey) -> bool:
        """Store the very first key; False when there is one. Raise `StoreUnavailable`.

        Looking and storing are done under a lock: no other process can come between.
        """
        async with self._database.write() as connection:
            await engine_of(connection).lock(connection, Lock.FIRST_SIGNING_KEY)
            if (await connection.execute(select(signing_keys.c.kid).limit(1))).first() is not None:
                return False
            await connection.execute(
                insert(signing_keys).values(
                    kid=key.kid,
                    public_pem=key.public_pem,
                    sealed_private=key.sealed_private,
                    state=key.state,
                    created_at=key.created_at,
                ),
            )
            return True
