"""Encryption keys in SQL: the key, and one row for each of its versions, whose material arrives sealed.

Whoever changes a key has its row first, then its versions, then the feed.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby

from sqlalchemy import BindParameter, Row, Select, bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.ports import BeforeCommit, ChangeKind, StoredCryptoKey, StoredKeyVersion, StoreUnavailable, Taken
from gateway.stores.sql.changes import announce
from gateway.stores.sql.database import Database
from gateway.stores.sql.faults import UniqueViolation
from gateway.stores.sql.tables import crypto_key_versions, crypto_keys

_VERSION = crypto_key_versions.c
_KEYS = (
    select(
        crypto_keys.c.name,
        crypto_keys.c.created_at,
        crypto_keys.c.min_decryption_version,
        _VERSION.version,
        _VERSION.sealed,
        _VERSION.created_at.label("version_created_at"),
        _VERSION.messages,
    )
    .join(crypto_key_versions, _VERSION.key_name == crypto_keys.c.name)
    .order_by(crypto_keys.c.name, _VERSION.version)
)


class SqlCryptoKeyStore:
    """Encryption keys as two tables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> Sequence[StoredCryptoKey]:
        """Return every key, by name. Raise `StoreUnavailable`."""
        async with self._database.read() as connection:
            return await _found(connection, _KEYS)

    async def find(self, name: str) -> StoredCryptoKey | None:
        """Return a key. Raise `StoreUnavailable`."""
        async with self._database.read() as connection:
            return next(iter(await _found(connection, _KEYS.where(crypto_keys.c.name == name))), None)

    async def add(self, key: StoredCryptoKey, *, before_commit: BeforeCommit | None = None) -> None:
        """Store a new key with its versions, and announce it. Raise `Taken("name")`, `StoreUnavailable`, and
        what `before_commit` raises."""
        try:
            async with self._database.write() as connection:
                await connection.execute(
                    insert(crypto_keys).values(
                        name=key.name,
                        created_at=key.created_at,
                        min_decryption_version=key.min_decryption_version,
                    )
                )
                for version in key.versions:
                    await _insert(connection, key.name, version)
                if before_commit is not None:
                    await before_commit()
                await announce(connection, ChangeKind.CRYPTO_KEYS, key.name, at=key.created_at)
        except UniqueViolation as violation:
            if "crypto_keys.name" in violation.columns:
                raise Taken("name") from None
            raise StoreUnavailable(f"an encryption key with this {violation} exists") from None

    async def rotate(
        self, name: str, version: StoredKeyVersion, *, before_commit: BeforeCommit | None = None
    ) -> bool:
        """Store the next version of a key, and announce it; False when it is not the one after the newest.
        Raise `StoreUnavailable`, and what `before_commit` raises."""
        async with self._database.write() as connection:
            if await _newest_of_locked(connection, name) != version.version - 1:
                return False
            await _insert(connection, name, version)
            if before_commit is not None:
                await before_commit()
            await announce(connection, ChangeKind.CRYPTO_KEYS, name, at=version.created_at)
            return True

    async def retire(
        self, name: str, *, min_decryption_version: int, at: float, before_commit: BeforeCommit | None = None
    ) -> bool:
        """Have older versions than this one refused, and announce it; False when the key has no such version.
        Raise `StoreUnavailable`, and what `before_commit` raises."""
        async with self._database.write() as connection:
            newest = await _newest_of_locked(connection, name)
            if newest is None or not 1 <= min_decryption_version <= newest:
                return False
            await connection.execute(
                update(crypto_keys)
                .where(crypto_keys.c.name == name)
                .values(min_decryption_version=min_decryption_version)
            )
            if before_commit is not None:
                await before_commit()
            await announce(connection, ChangeKind.CRYPTO_KEYS, name, at=at)
            return True

    async def count(self, messages: Mapping[tuple[str, int], int]) -> None:
        """Add to how many messages were encrypted, by name and version. Raise `StoreUnavailable`."""
        if not messages:
            return
        more: BindParameter[int] = bindparam("more")
        query = (
            update(crypto_key_versions)
            .where((_VERSION.key_name == bindparam("key")) & (_VERSION.version == bindparam("number")))
            .values(messages=_VERSION.messages + more)
        )
        async with self._database.write() as connection:
            # In one order, so that two processes that count the same keys do not wait for each other.
            await connection.execute(
                query,
                [
                    {"key": name, "number": version, "more": count}
                    for (name, version), count in sorted(messages.items())
                ],
            )


async def _newest_of_locked(connection: AsyncConnection, name: str) -> int | None:
    """Return the newest version of a key, None when there is no such key. The key is locked until the commit:
    of two transactions that mean to change it, one waits here, and finds out."""
    locked = select(crypto_keys.c.name).where(crypto_keys.c.name == name).with_for_update()
    if (await connection.execute(locked)).first() is None:
        return None
    newest: int | None = await connection.scalar(
        select(func.max(_VERSION.version)).where(_VERSION.key_name == name)
    )
    return newest


async def _insert(connection: AsyncConnection, name: str, version: StoredKeyVersion) -> None:
    await connection.execute(
        insert(crypto_key_versions).values(
            key_name=name,
            version=version.version,
            sealed=version.sealed,
            created_at=version.created_at,
            messages=version.messages,
        )
    )


async def _found(connection: AsyncConnection, query: Select[tuple[object, ...]]) -> Sequence[StoredCryptoKey]:
    rows = (await connection.execute(query)).all()
    return [_key(list(versions)) for _, versions in groupby(rows, key=lambda row: row.name)]


def _key(rows: Sequence[Row[tuple[object, ...]]]) -> StoredCryptoKey:
    """Return the key that these rows are the versions of."""
    return StoredCryptoKey(
        name=rows[0].name,
        created_at=rows[0].created_at,
        min_decryption_version=rows[0].min_decryption_version,
        versions=tuple(
            StoredKeyVersion(
                version=row.version,
                sealed=row.sealed,
                created_at=row.version_created_at,
                messages=row.messages,
            )
            for row in rows
        ),
    )
