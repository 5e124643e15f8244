"""Second factors in SQL. What must be decided once is one conditional statement; the database picks the
winner."""

from collections.abc import Sequence

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.ports import BeforeCommit, Totp
from gateway.stores.sql.database import Database
from gateway.stores.sql.faults import UniqueViolation
from gateway.stores.sql.tables import factors, recovery_codes


class SqlFactorStore:
    """Second factors as two tables: the key, and one row for each recovery code."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, user_id: str) -> Totp | None:
        """Return a user's key. Raise `StoreUnavailable`."""
        async with self._database.read() as connection:
            found = await connection.execute(select(factors).where(factors.c.user_id == user_id))
            row = found.one_or_none()
        if row is None:
            return None
        return Totp(
            user_id=row.user_id,
            sealed=row.sealed,
            created_at=row.created_at,
            confirmed_at=row.confirmed_at,
            last_step=row.last_step,
        )

    async def begin(self, totp: Totp) -> bool:
        """Store a key that is not confirmed, in place of another such; False when there is a confirmed one.
        Raise `StoreUnavailable`."""
        values = {"sealed": totp.sealed, "created_at": totp.created_at, "last_step": totp.last_step}
        waiting = (factors.c.user_id == totp.user_id) & factors.c.confirmed_at.is_(None)
        try:
            async with self._database.write() as connection:
                replaced = await connection.execute(update(factors).where(waiting).values(values))
                if replaced.rowcount == 0:
                    await connection.execute(insert(factors).values(user_id=totp.user_id, **values))
                return True
        except UniqueViolation:
            # A confirmed one, or another that was begun at the same moment: the later of the two counts.
            async with self._database.write() as connection:
                replaced = await connection.execute(update(factors).where(waiting).values(values))
                return replaced.rowcount > 0

    async def confirm(
        self,
        totp: Totp,
        *,
        step: int,
        code_hashes: Sequence[bytes],
        at: float,
        before_commit: BeforeCommit | None = None,
    ) -> bool:
        """Make a key count, with these recovery codes and with the code of this step taken; False when it
        does not wait for that any more. Raise `StoreUnavailable`, and what `before_commit` raises."""
        async with self._database.write() as connection:
            confirmed = await connection.execute(
                update(factors)
                .where(
                    (factors.c.user_id == totp.user_id)
                    # Another key has another time; the same one is sealed anew now and then.
                    & (factors.c.created_at == totp.created_at)
                    & factors.c.confirmed_at.is_(None)
                )
                .values(confirmed_at=at, last_step=step)
            )
            if confirmed.rowcount == 0:
                return False
            await _replace(connection, totp.user_id, code_hashes)
            if before_commit is not None:
                await before_commit()
            return True

    async def use_step(self, user_id: str, step: int) -> bool:
        """Take the code of an interval: False when that one or a later one was taken before. Raise
        `StoreUnavailable`."""
        async with self._database.write() as connection:
            used = await connection.execute(
                update(factors)
                .where(
                    (factors.c.user_id == user_id)
                    & (factors.c.last_step < step)
                    & factors.c.confirmed_at.is_not(None)
                )
                .values(last_step=step)
            )
            return used.rowcount > 0

    async def use_code(self, user_id: str, code_hash: bytes, *, at: float) -> bool:
        """Take a recovery code: False when there is none such, or it was taken before. Raise
        `StoreUnavailable`."""
        async with self._database.write() as connection:
            used = await connection.execute(
                update(recovery_codes)
                .where(
                    (recovery_codes.c.user_id == user_id)
                    & (recovery_codes.c.hash == code_hash)
                    & recovery_codes.c.used_at.is_(None)
                )
                .values(used_at=at)
            )
            return used.rowcount > 0

    async def codes_left(self, user_id: str) -> int:
        """Return how many recovery codes are left. Raise `StoreUnavailable`."""
        left = (
            select(func.count())
            .select_from(recovery_codes)
            .where((recovery_codes.c.user_id == user_id) & recovery_codes.c.used_at.is_(None))
        )
        async with self._database.read() as connection:
            return await connection.scalar(left) or 0

    async def replace_codes(
        self, user_id: str, code_hashes: Sequence[bytes], *, before_commit: BeforeCommit | None = None
    ) -> bool:
        """Replace the recovery codes; False when the user has no confirmed key. Raise `StoreUnavailable`, and
        what `before_commit` raises."""
        async with self._database.write() as connection:
            # Written back as it is, which locks it: of two that replace the codes, one waits here.
            held = await connection.execute(
                update(factors)
                .where((factors.c.user_id == user_id) & factors.c.confirmed_at.is_not(None))
                .values(last_step=factors.c.last_step)
            )
            if held.rowcount == 0:
                return False
            await _replace(connection, user_id, code_hashes)
            if before_commit is not None:
                await before_commit()
            return True

    async def remove(self, user_id: str, *, before_commit: BeforeCommit | None = None) -> bool:
        """Remove key and codes; False when there are none. Raise `StoreUnavailable`, and what `before_commit`
        raises."""
        async with self._database.write() as connection:
            removed = await connection.execute(delete(factors).where(factors.c.user_id == user_id))
            if removed.rowcount == 0:
                return False
            await connection.execute(delete(recovery_codes).where(recovery_codes.c.user_id == user_id))
            if before_commit is not None:
                await before_commit()
            return True


async def _replace(connection: AsyncConnection, user_id: str, code_hashes: Sequence[bytes]) -> None:
    await connection.execute(delete(recovery_codes).where(recovery_codes.c.user_id == user_id))
    rows = [{"user_id": user_id, "hash": each} for each in code_hashes]
    await connection.execute(insert(recovery_codes), rows)
