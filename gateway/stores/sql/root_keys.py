"""The roots in SQL: a row for each master secret that opens them, and a note of those that were shut out."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Final

from sqlalchemy import LargeBinary, Row, bindparam, delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.crypto import encode_base64url
from gateway.ports import BeforeCommit, ChangeKind, StoredRoots, StoreUnavailable
from gateway.stores.sql.changes import announce
from gateway.stores.sql.database import Database
from gateway.stores.sql.engine import Lock, engine_of
from gateway.stores.sql.tables import root_keys, settings, signing_keys

_BEFORE: Final = "secret_check"
_SHUT_OUT: Final = "secret_shut_out:"
_IN_ORDER: Final = select(root_keys).order_by(root_keys.c.created_at, root_keys.c.check_value)
_ANY_KEY: Final = select(signing_keys.c.kid).limit(1)
# Never changed nor removed: a role that only adds to the table is enough.
_REMEMBER: Final = text(
    "INSERT INTO settings (name, value) VALUES (:name, :value) ON CONFLICT DO NOTHING"
).bindparams(bindparam("value", type_=LargeBinary))


class SqlRootKeyStore:
    """The roots as one small table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> Sequence[StoredRoots]:
        """Return them, the oldest first. Raise `StoreUnavailable`."""
        async with self._database.read() as connection:
            return [_stored(row) for row in await connection.execute(_IN_ORDER)]

    async def check_value_before_roots(self) -> bytes | None:
        """Return what tells which master secret a database was made with before there were roots. Raise
        `StoreUnavailable`."""
        async with self._database.read() as connection:
            return await _value(connection, _BEFORE)

    async def add_first(self, roots: StoredRoots, *, check_value_before: bytes | None) -> bool:
        """Store the very first roots; False when another process was quicker, or they were lost. Raise
        `StoreUnavailable`.

        Looking and storing are done under a lock: no other process can come between.
        """
        async with self._database.write() as connection:
            await engine_of(connection).lock(connection, Lock.FIRST_ROOTS)
            if (await connection.execute(_IN_ORDER)).first() is not None:
                return False
            if await _value(connection, _BEFORE) != check_value_before:
                return False
            if check_value_before is None and (await connection.execute(_ANY_KEY)).first() is not None:
                return False
            await connection.execute(insert(root_keys).values(_columns(roots)))
            return True

    async def change(
        self,
        seen: Sequence[StoredRoots],
        become: Sequence[StoredRoots],
        *,
        at: float,
        before_commit: BeforeCommit | None = None,
    ) -> bool:
        """Store all in place of all that were seen, and announce it; False when something else is stored.
        Raise `StoreUnavailable`, and what `before_commit` raises."""
        after = {one.check_value: one for one in become}
        gone = [one.check_value for one in seen if one.check_value not in after]
        async with self._database.write() as connection:
            # Of two that change them, one waits here, and then sees what the other has added.
            await connection.execute(_IN_ORDER.with_for_update())
            found = {_stored(row) for row in await connection.execute(_IN_ORDER)}
            if found != set(seen):
                return False
            for check_value in gone:
                await connection.execute(delete(root_keys).where(root_keys.c.check_value == check_value))
                name = _SHUT_OUT + encode_base64url(check_value)
                await connection.execute(_REMEMBER, {"name": name, "value": repr(at).encode()})
            known = {one.check_value for one in seen}
            for one in become:
                if one.check_value in known:
                    its = root_keys.c.check_value == one.check_value
                    await connection.execute(update(root_keys).where(its).values(sealed=one.sealed))
                else:
                    await connection.execute(insert(root_keys).values(_columns(one)))
            if before_commit is not None:
                await before_commit()
            await announce(connection, ChangeKind.ROOT_KEYS, "", at=at)
        if gone:
            with suppress(StoreUnavailable):
                # It is done, whatever the log still holds for a while.
                await self._database.wipe()
        return True

    async def shut_out_at(self, check_value: bytes) -> float | None:
        """Return when a master secret was shut out; None: it never was. Raise `StoreUnavailable`."""
        async with self._database.read() as connection:
            at = await _value(connection, _SHUT_OUT + encode_base64url(check_value))
        return None if at is None else float(at)

    def alone(self) -> AbstractAsyncContextManager[bool]:
        """Give True to one process at a time, for the length of a block."""
        return self._database.alone()


async def _value(connection: AsyncConnection, name: str) -> bytes | None:
    return await connection.scalar(select(settings.c.value).where(settings.c.name == name))


def _stored(row: Row[tuple[bytes, bytes, float]]) -> StoredRoots:
    return StoredRoots(check_value=row.check_value, sealed=row.sealed, created_at=row.created_at)


def _columns(roots: StoredRoots) -> Mapping[str, object]:
    return {"check_value": roots.check_value, "sealed": roots.sealed, "created_at": roots.created_at}
