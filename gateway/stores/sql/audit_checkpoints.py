"""Checkpoints of the audit trail, kept beside it."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import BigInteger, Row, bindparam, select, text

from gateway.ports import Checkpoint, StoreUnavailable
from gateway.stores.sql.audit_tables import audit_checkpoints
from gateway.stores.sql.database import Database
from gateway.stores.sql.text import Text

_ADD: Final = text(
    "INSERT INTO audit_checkpoints (number, at, note) VALUES (:number, :at, :note) ON CONFLICT DO NOTHING"
).bindparams(
    bindparam("number", type_=BigInteger), bindparam("at", type_=Text), bindparam("note", type_=Text)
)

_LAST: Final = (1 << 63) - 1
"""The largest number that a database keeps."""


class SqlCheckpoints:
    """The signed statements as a table that is only added to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(self) -> Checkpoint | None:
        """Return the last one. Raise `StoreUnavailable`, also when none can follow it."""
        last = select(audit_checkpoints).order_by(audit_checkpoints.c.number.desc()).limit(1)
        async with self._database.read() as connection:
            row = (await connection.execute(last)).one_or_none()
        if row is not None and row.number == _LAST:
            raise _strange(row.number)
        return None if row is None else _checkpoint(row)

    async def add(self, checkpoint: Checkpoint) -> bool:
        """Keep one; False when its number is taken. Raise `StoreUnavailable`."""
        values = {"number": checkpoint.number, "at": checkpoint.at, "note": checkpoint.note}
        async with self._database.write() as connection:
            return (await connection.execute(_ADD, values)).rowcount == 1

    async def after(self, number: int, *, limit: int) -> Sequence[Checkpoint]:
        """Return those that follow a number, in order. Raise `StoreUnavailable`."""
        table = audit_checkpoints.c
        following = select(audit_checkpoints).where(table.number > number).order_by(table.number).limit(limit)
        async with self._database.read() as connection:
            return [_checkpoint(row) for row in await connection.execute(following)]


def _checkpoint(row: Row[tuple[int, str, str]]) -> Checkpoint:
    if type(row.number) is not int:
        raise _strange(row.number)
    return Checkpoint(number=row.number, at=row.at, note=row.note)


def _strange(number: object) -> StoreUnavailable:
    return StoreUnavailable(f"audit_checkpoints holds what the gateway never wrote: number {number!r:.40}")
