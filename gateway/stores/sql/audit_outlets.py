"""How far each outlet of the audit trail has come, and which process serves it."""

from typing import Final

from sqlalchemy import BigInteger, Double, bindparam, select, text

from gateway.ports import Position
from gateway.stores.sql.audit_tables import audit_positions
from gateway.stores.sql.database import Database
from gateway.stores.sql.text import Text

_outlet = bindparam("outlet", type_=Text)
_HOLD: Final = text(
    "INSERT INTO audit_outlets (outlet, holder, until) VALUES (:outlet, :holder, :until) "
    "ON CONFLICT (outlet) DO UPDATE SET holder = excluded.holder, until = excluded.until "
    "WHERE audit_outlets.holder = excluded.holder OR audit_outlets.until <= :now"
).bindparams(
    _outlet,
    bindparam("holder", type_=Text),
    bindparam("until", type_=Double),
    bindparam("now", type_=Double),
)
_ADVANCE: Final = text(
    "INSERT INTO audit_positions (outlet, writer, seq) VALUES (:outlet, :writer, :seq) "
    "ON CONFLICT (outlet, writer) DO UPDATE SET seq = excluded.seq WHERE audit_positions.seq < excluded.seq"
).bindparams(_outlet, bindparam("writer", type_=Text), bindparam("seq", type_=BigInteger))


class SqlOutletPositions:
    """Positions and leases as tables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def hold(self, outlet: str, *, holder: str, now: float, until: float) -> bool:
        """Take or keep an outlet for one process until a time (seconds since the epoch); False when another
        process has it. Raise `StoreUnavailable`."""
        values = {"outlet": outlet, "holder": holder, "now": now, "until": until}
        async with self._database.write() as connection:
            return (await connection.execute(_HOLD, values)).rowcount == 1

    async def position(self, outlet: str) -> Position:
        """Return how far an outlet has come, by writer; empty for one that has had nothing.

        Raise `StoreUnavailable`.
        """
        table = audit_positions.c
        async with self._database.read() as connection:
            rows = await connection.execute(select(table.writer, table.seq).where(table.outlet == outlet))
            return {row.writer: row.seq for row in rows}

    async def advance(self, outlet: str, position: Position) -> None:
        """Note how far it has come for the writers that are named; never back. Raise `StoreUnavailable`."""
        rows = [{"outlet": outlet, "writer": writer, "seq": seq} for writer, seq in sorted(position.items())]
        if rows:
            async with self._database.write() as connection:
                await connection.execute(_ADVANCE, rows)
