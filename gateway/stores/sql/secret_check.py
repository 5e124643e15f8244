"""The check value of the master secret in SQL."""

from typing import Final

from sqlalchemy import LargeBinary, bindparam, select, text

from gateway.stores.sql.database import Database
from gateway.stores.sql.tables import settings

_NAME: Final = "secret_check"
_GET: Final = select(settings.c.value).where(settings.c.name == _NAME)
_SET: Final = text(
    "INSERT INTO settings (name, value) VALUES (:name, :value) ON CONFLICT DO NOTHING"
).bindparams(bindparam("value", type_=LargeBinary))


class SqlSecretCheck:
    """The check value as one row of the settings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def check_value(self) -> bytes | None:
        """Return the stored value, None in a new database. Raise `StoreUnavailable`."""
        async with self._database.read() as connection:
            return await connection.scalar(_GET)

    async def set_check_value(self, value: bytes) -> bytes:
        """Store the value unless there is one; return the one that counts. Raise `StoreUnavailable`."""
        async with self._database.write() as connection:
            await connection.execute(_SET, {"name": _NAME, "value": value})
            kept: bytes = (await connection.execute(_GET)).scalar_one()
            return kept
