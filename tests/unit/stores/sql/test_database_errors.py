"""How often the database could not be used is counted; what a caller does wrong is not."""

from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.ports import StoreUnavailable
from gateway.stores.sql import Database


async def test_each_transaction_that_the_database_fails_is_counted_once(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path}/missing/gateway.db")
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            async with database.read():
                pass
    with pytest.raises(StoreUnavailable):
        async with database.write():
            pass
    assert database.errors == 3
    await database.close()


async def test_an_error_of_the_caller_is_not_counted(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path}/gateway.db")
    await database.migrate()

    async def fail() -> None:
        async with database.write() as connection:
            await connection.execute(text("SELECT 1"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert database.errors == 0
    await database.close()
