"""Mails that wait, in SQL. A claim is a due time in the future: a process that dies with it only delays."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Row, delete, insert, select, update

from gateway.ports import QueuedMail, StoreUnavailable
from gateway.stores.sql.database import Database
from gateway.stores.sql.faults import UniqueViolation
from gateway.stores.sql.tables import mails

_OLDEST: Final = mails.c.due_at, mails.c.id


class SqlMailQueue:
    """Mails that wait, as one table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, mail: QueuedMail) -> None:
        """Keep a mail until it is sent; it is due at once. Raise `StoreUnavailable`."""
        row = {
            "id": mail.id,
            "sealed": mail.sealed,
            "created_at": mail.created_at,
            "due_at": mail.created_at,
            "attempts": mail.attempts,
        }
        try:
            async with self._database.write() as connection:
                await connection.execute(insert(mails).values(row))
        except UniqueViolation as violation:
            raise StoreUnavailable(f"a mail with this {violation} exists") from None

    async def claim(self, *, now: float, until: float, limit: int) -> Sequence[QueuedMail]:
        """Take the oldest that are due; nobody else gets them before `until`, and they count as tried once
        more. Raise `StoreUnavailable`."""
        due = select(mails.c.id).where(mails.c.due_at <= now).order_by(*_OLDEST).limit(limit)
        # Most of the time none is, and looking disturbs nobody.
        async with self._database.read() as connection:
            if (await connection.execute(due)).first() is None:
                return ()
        claimed = (
            update(mails)
            # Passing over what another process claims at this moment.
            .where(mails.c.id.in_(due.with_for_update(skip_locked=True)))
            .values(due_at=until, attempts=mails.c.attempts + 1)
            .returning(mails.c.id, mails.c.sealed, mails.c.created_at, mails.c.attempts)
        )
        async with self._database.write() as connection:
            rows = (await connection.execute(claimed)).all()
        return sorted(map(_mail, rows), key=lambda mail: (mail.created_at, mail.id))

    async def waiting(self) -> Sequence[QueuedMail]:
        """Return all mails, the oldest first. Raise `StoreUnavailable`."""
        oldest_first = select(mails).order_by(mails.c.created_at, mails.c.id)
        async with self._database.read() as connection:
            return [_mail(row) for row in await connection.execute(oldest_first)]

    async def sent(self, id: str) -> None:
        """Forget a mail. Raise `StoreUnavailable`."""
        async with self._database.write() as connection:
            await connection.execute(delete(mails).where(mails.c.id == id))

    async def later(self, id: str, *, at: float) -> None:
        """Give a claimed mail back, due at a time. Raise `StoreUnavailable`."""
        async with self._database.write() as connection:
            await connection.execute(update(mails).where(mails.c.id == id).values(due_at=at))


def _mail(row: Row[tuple[object, ...]]) -> QueuedMail:
    return QueuedMail(id=row.id, sealed=row.sealed, created_at=row.created_at, attempts=row.attempts)
