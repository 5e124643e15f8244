"""Blocked addresses in SQL: one row for each, which its next block takes over."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Row, delete, insert, or_, select, update

from gateway.ports import REMEMBERED_SECONDS, BeforeCommit, Block, ChangeKind
from gateway.stores.sql.changes import announce
from gateway.stores.sql.database import Database
from gateway.stores.sql.faults import UniqueViolation
from gateway.stores.sql.tables import blocks

_DROPPED = 100
"""How many rows that nobody needs any more may go with each new one."""


class SqlBlockStore:
    """Blocks as one table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def present(self, *, now: float) -> Sequence[Block]:
        """Return the blocks that hold, newest first. Raise `StoreUnavailable`."""
        newest_first = (
            select(blocks).where(_holds(now)).order_by(blocks.c.created_at.desc(), blocks.c.network)
        )
        async with self._database.read() as connection:
            return [_block(row) for row in await connection.execute(newest_first)]

    async def find(self, network: str) -> Block | None:
        """Return the last block of an address, though it may be over. Raise `StoreUnavailable`."""
        async with self._database.read() as connection:
            found = await connection.execute(select(blocks).where(blocks.c.network == network))
            row = found.one_or_none()
        return None if row is None else _block(row)

    async def put(self, block: Block, *, now: float, before_commit: BeforeCommit | None = None) -> bool:
        """Store a block in place of one that is over; False, and nothing is stored, when one holds that lasts
        as long or longer. Raise `StoreUnavailable`, and what `before_commit` raises."""
        while True:
            try:
                return await self._put(block, now, before_commit)
            except UniqueViolation:
                # Somebody else was first; which of the two lasts longer, the row that is there says now.
                continue

    async def remove(self, network: str, *, at: float, before_commit: BeforeCommit | None = None) -> bool:
        """Lift a block and forget the ones before it; False when there is none that holds. Raise
        `StoreUnavailable`, and what `before_commit` raises."""
        async with self._database.write() as connection:
            lifted = await connection.execute(
                delete(blocks).where((blocks.c.network == network) & _holds(at))
            )
            if lifted.rowcount == 0:
                return False
            if before_commit is not None:
                await before_commit()
            await announce(connection, ChangeKind.BLOCKS, network, at=at)
            return True

    async def _put(self, block: Block, now: float, before_commit: BeforeCommit | None) -> bool:
        async with self._database.write() as connection:
            # One that is lifted by hand only, NULL, is shorter than none.
            shorter = (
                blocks.c.until.is_not(None)
                if block.until is None
                else or_(blocks.c.until <= now, blocks.c.until < block.until)
            )
            here = blocks.c.network == block.network
            taken_over = await connection.execute(
                update(blocks).where(here & shorter).values(_columns(block))
            )
            if taken_over.rowcount == 0:
                if await connection.scalar(select(blocks.c.network).where(here)) is not None:
                    return False
                await connection.execute(insert(blocks).values(_columns(block)))
                old = select(blocks.c.network).where(blocks.c.until < now - REMEMBERED_SECONDS)
                await connection.execute(delete(blocks).where(blocks.c.network.in_(old.limit(_DROPPED))))
            if before_commit is not None:
                await before_commit()
            await announce(connection, ChangeKind.BLOCKS, block.network, at=now)
            return True


def _holds(now: float) -> ColumnElement[bool]:
    return or_(blocks.c.until.is_(None), blocks.c.until > now)


def _columns(block: Block) -> dict[str, object]:
    return {
        "network": block.network,
        "reason": block.reason,
        "created_by": block.created_by,
        "created_at": block.created_at,
        "until": block.until,
        "times": block.times,
    }


def _block(row: Row[tuple[object, ...]]) -> Block:
    return Block(
        network=row.network,
        reason=row.reason,
        created_by=row.created_by,
        created_at=row.created_at,
        until=row.until,
        times=row.times,
    )
