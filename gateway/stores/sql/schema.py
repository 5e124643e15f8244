"""The schema's version, and the way to the newest one. Alembic is loaded only when there is work to do.

A migration is a file `migrations/NNNN_what.py`; its revision is its number, so versions can be compared.
"""

import re
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Inspector, inspect, text

from gateway.stores.sql.faults import DatabaseUnusable
from gateway.stores.sql.tables import metadata

_MIGRATIONS = Path(__file__).parent / "migrations"
_VERSION: Final = "alembic_version"
_VERSIONS: Final = text("SELECT version_num FROM alembic_version")
_NUMBER: Final = re.compile("[0-9]{4}")
_OWN: Final = "give the gateway a database of its own, or in PostgreSQL a schema (?search_path=NAME)"


def newest() -> str:
    """Return the version that this program works with: `0002`."""
    return max(_versions())


def is_behind(connection: Connection, place: str) -> bool:
    """Say whether the schema must be upgraded. Raise `DatabaseUnusable` when it is newer than the program, or
    somebody else's."""
    found = inspect(connection)
    if not found.has_table(_VERSION):
        _refuse_tables_of_others(found, place)
        return True
    if [column["name"] for column in found.get_columns(_VERSION)] != ["version_num"]:
        raise DatabaseUnusable(f"{place}: its table {_VERSION} is not the gateway's: {_OWN}")
    versions = [str(version) for version in connection.scalars(_VERSIONS)]
    if not versions:
        _refuse_tables_of_others(found, place)
        return True
    if len(versions) == 1 and _NUMBER.fullmatch(versions[0]) and versions[0] > newest():
        raise DatabaseUnusable(
            f"{place}: its schema has version {versions[0]}, this program knows {newest()}: "
            "start the newer gateway that wrote it, or restore a backup"
        )
    if len(versions) > 1 or versions[0] not in _versions():
        raise DatabaseUnusable(f"{place}: its table {_VERSION} is not the gateway's: {_OWN}")
    return versions[0] < newest()


def _versions() -> set[str]:
    return {path.name.partition("_")[0] for path in _MIGRATIONS.glob("[0-9]*_*.py")}


def _refuse_tables_of_others(found: Inspector, place: str) -> None:
    """Raise `DatabaseUnusable` when tables are where the gateway's first would be made."""
    taken = sorted(metadata.tables.keys() & set(found.get_table_names()))
    if taken:
        raise DatabaseUnusable(f"{place}: it holds somebody else's table {taken[0]}: {_OWN}")


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
