"""The check value of the master secret in SQL."""

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.stores.sql.database import Database
from gateway.stores.sql.tables import settings

_NAME = "secret_check"


class SqlSecretCheck:
    """The check value as one row of the settings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def check_value(self) -> bytes | None:
        """Return the stored value, None in a new database. Raise `StoreUnavailable`."""
        async with self._database.read() as connection:
            return await _value(connection)

    async def set_check_value(self, value: bytes) -> bytes:
        """Store the value unless there is one; return the one that counts. Raise `StoreUnavailable`."""
        async with self._database.write() as connection:
            present = await _value(connection)
            if present is not None:
                return present
            await connection.execute(insert(settings).values(name=_NAME, value=value))
            return value


async def _value(connection: AsyncConnection) -> bytes | None:
    return await connection.scalar(select(settings.c.value).where(settings.c.name == _NAME))
