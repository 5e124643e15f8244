"""Days of the audit trail: made ready before they come, and dropped when they are old."""

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Integer, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.crypto import HEAD_BYTES
from gateway.ports import Dropped
from gateway.stores.sql.audit_tables import SEQ_BITS, SEQ_MASK, audit_chunks, audit_writers
from gateway.stores.sql.database import Database
from gateway.stores.sql.engine import Lock, engine_of

DAY_SECONDS: Final = 86400
AHEAD: Final = 7
"""Days that are made ready before they come."""
_NUMBER: Final = audit_chunks.c.key.op(">>")(literal(SEQ_BITS, Integer))
"""Number of a chunk's writer."""
_UNKNOWN: Final = bytes(HEAD_BYTES)
_BEFORE: Final = slice(0, HEAD_BYTES)
_AFTER: Final = slice(HEAD_BYTES, 2 * HEAD_BYTES)


async def prepare_days(database: Database, first: int, last: int | None = None) -> None:
    """Have a database ready for records of some days, or of one and the week that follows; quick when it is.

    Days are those of UTC, as days since 1970. Raise `StoreUnavailable`; records are kept even so, and go to
    their day when this succeeds.
    """
    async with database.write() as connection:
        engine = engine_of(connection)
        await engine.lock(connection, Lock.AUDIT_DAYS)
        await engine.prepare_days(connection, first, first + AHEAD if last is None else last)


class SqlRetention:
    """Drops old days, the oldest first, each in a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def expired(self, before: int) -> Sequence[Dropped]:
        """Return what `drop` would remove. Where records are older than the chain, and none of their writer
        stays, nobody knows the head: it is all zeros. Raise `StoreUnavailable`.
        """
        chunk = audit_chunks.c
        async with self._database.read() as connection:
            newest = select(func.max(chunk.key)).where(chunk.day < before).group_by(_NUMBER)
            wanted = select(chunk.key, chunk.last_key, chunk.chain).where(
                chunk.day < before, chunk.key.in_(newest)
            )
            rows = (await connection.execute(wanted.order_by(chunk.key))).all()
            writers = {row.id: row.writer for row in await connection.execute(select(audit_writers))}
            return [
                Dropped(
                    writer=writers[row.key >> SEQ_BITS],
                    upto=row.last_key & SEQ_MASK,
                    head=row.chain[_AFTER] if row.chain else await _head_before(connection, row.last_key),
                )
                for row in rows
                # Those of no writer that is known did not get there by shipping: they stay, to be seen.
                if row.key >> SEQ_BITS in writers
            ]

    async def drop(self, before: int, *, signed: Sequence[Dropped]) -> int:
        """Remove the records of the days before one, and what was kept beside them; return how many days.

        A day with more than what was signed stays, and those behind it: old records may come late. Raise
        `StoreUnavailable`, and `RetentionRefused` when this process may not.
        """
        ends = {one.writer: one.upto for one in signed}
        async with self._database.write() as connection:
            engine = engine_of(connection)
            await engine.lock(connection, Lock.AUDIT_DAYS)
            days = await engine.days_before(connection, before)
        for count, day in enumerate(days):
            async with self._database.write() as connection:
                await engine.lock(connection, Lock.AUDIT_DAYS)
                await engine.close_days(connection)
                if await _has_more(connection, day, ends):
                    return count
                await engine.drop_day(connection, day)
        return len(days)


async def _has_more(connection: AsyncConnection, day: int, ends: Mapping[str, int]) -> bool:
    """Say whether records of a day come behind those up to which writers may be removed."""
    chunk, writer = audit_chunks.c, audit_writers.c
    newest = (
        select(_NUMBER.label("id"), func.max(chunk.last_key).label("last"))
        .where(chunk.day == day)
        .group_by(_NUMBER)
        .subquery()
    )
    query = select(newest.c.last, writer.writer).join(audit_writers, writer.id == newest.c.id, isouter=True)
    rows = (await connection.execute(query)).all()
    return any(row.last & SEQ_MASK > ends.get(row.writer, 0) for row in rows)


async def _head_before(connection: AsyncConnection, last_key: int) -> bytes:
    """Return the chain's head after a record, by what follows it."""
    chunk, upto = audit_chunks.c, last_key | SEQ_MASK
    following = select(chunk.chain).where(chunk.key > last_key, chunk.key <= upto)
    chain = await connection.scalar(following.order_by(chunk.key).limit(1))
    return chain[_BEFORE] if chain else _UNKNOWN
