"""`gateway migrate`: the database schema, created or brought up to date, and who may use it."""

from gateway.assembly import open_stores
from gateway.cli.refusals import run_command
from gateway.settings import Settings


def migrate(settings: Settings, *, grant: str | None = None) -> int:
    """Bring the schema up to date, and give a role of the database what a gateway needs, if one is named.

    Return the exit code. Raise `StartRefused`.
    """
    return run_command(_migrate(settings, grant))


async def _migrate(settings: Settings, grant: str | None) -> int:
    # Opening the stores is what migrates: every command and every start does it.
    async with open_stores(settings) as stores:
        # Its name, not its URL, which may hold a password.
        print(f"the schema of {stores.database.place} is up to date")
        if grant is not None:
            await stores.database.grant(grant)
            print(f"role {grant} may do in it what a gateway does; of the audit trail, it changes nothing")
    return 0
