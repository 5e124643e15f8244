"""`gateway migrate`: the database schema, created or brought up to date."""

import asyncio

from gateway.assembly import open_stores
from gateway.settings import Settings


def migrate(settings: Settings) -> int:
    """Bring the schema up to date; return the exit code. Raise `StartRefused`."""
    return asyncio.run(_migrate(settings))


async def _migrate(settings: Settings) -> int:
    # Opening the stores is what migrates: every command and every start does it.
    async with open_stores(settings) as stores:
        # Its name, not its URL, which may hold a password.
        print(f"the schema of {stores.database.place} is up to date")
    return 0
