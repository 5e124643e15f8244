"""The schema's version, and the way to the newest one. Alembic is loaded only when there is work to do.

A migration is a file `migrations/NNNN_what.py`; its revision is its number, so versions can be compared.
"""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from gateway.stores.sql.faults import DatabaseUnusable

_MIGRATIONS = Path(__file__).parent / "migrations"


def newest() -> str:
    """Return the version that this program works with: `0002`."""
    return max(path.name.partition("_")[0] for path in _MIGRATIONS.glob("[0-9]*_*.py"))


def is_behind(connection: Connection, place: str) -> bool:
    """Say whether the schema must be upgraded. Raise `DatabaseUnusable` when it is newer than the program."""
    if not inspect(connection).has_table("alembic_version"):
        return True
    version = connection.scalar(text("SELECT version_num FROM alembic_version"))
    if version is None:
        return True
    if str(version) > newest():
        raise DatabaseUnusable(
            f"{place}: its schema has version {version}, this program knows {newest()}: "
            "start the newer gateway that wrote it, or restore a backup"
        )
    return str(version) < newest()


def upgrade(connection: Connection, place: str) -> None:
    """Run the missing migrations inside the transaction of the connection, whole or not at all."""
    # Another process may have been quicker while this one waited for the transaction.
    if not is_behind(connection, place):
        return
    from alembic.config import Config  # noqa: PLC0415 - half a second that most starts do not need
    from alembic.runtime.environment import EnvironmentContext  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    script = ScriptDirectory(str(_MIGRATIONS), version_locations=[str(_MIGRATIONS)])
    with EnvironmentContext(
        Config(),
        script,
        fn=lambda revision, _: script._upgrade_revs("head", revision),  # noqa: SLF001 - what `command.upgrade` does
        destination_rev="head",
    ) as environment:
        environment.configure(connection=connection, transactional_ddl=True)
        with environment.begin_transaction():
            environment.run_migrations()
