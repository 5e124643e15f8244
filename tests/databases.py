"""The databases that contract tests run against. A new one joins by its name and a branch of `open_database`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.stores.sql import Database

DATABASES = ["sqlite"]


@asynccontextmanager
async def open_database(kind: str, folder: Path) -> AsyncIterator[Database]:
    """Lend an empty database with the newest schema."""
    match kind:
        case "sqlite":
            database = Database.open(f"sqlite:///{folder / 'gateway.db'}")
        case _:
            raise AssertionError(kind)
    await database.migrate()
    try:
        yield database
    finally:
        await database.close()
