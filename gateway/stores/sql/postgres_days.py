"""Days in PostgreSQL: each is a partition of every table that has days, `audit_chunks_20261121`.

A day's partitions are detached and dropped, which costs the same however much is in them. Whoever does that
keeps everybody else from the tables, so it waits for them for a second only.
"""

import re
from datetime import date
from typing import Final

from sqlalchemy import Integer, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.ports import RetentionRefused

_BY_DAY: Final = ("audit_chunks", "audit_terms", "audit_personal")
"""In the order in which shipping locks them."""
_EPOCH: Final = date(1970, 1, 1).toordinal()
_DAY: Final = re.compile(r"audit_[a-z]+_(\d{4})(\d\d)(\d\d)")
_PREPARE: Final = text("SELECT audit_prepare_days(:first, :last)").bindparams(
    bindparam("first", type_=Integer), bindparam("last", type_=Integer)
)
_MAY_DROP: Final = text(
    "SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = 'audit_chunks'::regclass"
)
_PARTITIONS: Final = text(
    "SELECT c.relname FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = ANY("
    "ARRAY['audit_chunks', 'audit_terms', 'audit_personal']::regclass[])"
)
_PATIENCE: Final = "SET LOCAL lock_timeout = '1s'"


async def prepare(connection: AsyncConnection, first: int, last: int) -> None:
    """Make the partitions that are missing of some days, and move into them what came before they were."""
    await connection.execute(_PREPARE, {"first": first, "last": last})


async def days_before(connection: AsyncConnection, before: int) -> list[int]:
    """Return the days before one that have partitions, the oldest first. Raise `RetentionRefused`."""
    if not await connection.scalar(_MAY_DROP):
        raise RetentionRefused(
            "the gateway's role does not own the audit tables, so it adds records and removes none: "
            "run gateway audit prune with the database URL of the role that owns them"
        )
    await prepare(connection, 1, 0)
    names = await connection.scalars(_PARTITIONS)
    days = {_day(match) for name in names if (match := _DAY.fullmatch(name))}
    return sorted(day for day in days if day < before)


async def close_days(connection: AsyncConnection) -> None:
    """Let nobody add to any day until the end of the transaction."""
    await connection.exec_driver_sql(_PATIENCE)
    # What detaching takes in the end: taken at once, it cannot wait for somebody who waits for us.
    await connection.exec_driver_sql("LOCK TABLE ONLY audit_chunks IN ACCESS EXCLUSIVE MODE")


async def drop_day(connection: AsyncConnection, day: int) -> None:
    """Drop the partitions of a day."""
    names = set(await connection.scalars(_PARTITIONS))
    suffix = date.fromordinal(_EPOCH + day).isoformat().replace("-", "")
    for table in _BY_DAY:
        name = f"{table}_{suffix}"
        if name in names:
            await connection.exec_driver_sql(f"ALTER TABLE {table} DETACH PARTITION {name}")
            await connection.exec_driver_sql(f"DROP TABLE {name}")


def _day(match: re.Match[str]) -> int:
    year, month, day = map(int, match.groups())
    return date(year, month, day).toordinal() - _EPOCH
