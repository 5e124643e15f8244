"""What a gateway can do that runs as a role with the least rights: everything but to change the past."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from databases import database_url, execute, opened
from sqlalchemy import make_url, text
from support.shipped import NAMES_KEY, SEALER, body, numbers, of_person, run_of

from gateway.ports import Checkpoint, RetentionRefused, StoredRoots, StoreUnavailable
from gateway.stores.sql import (
    Database,
    DatabaseUnusable,
    SqlAuditSink,
    SqlCheckpoints,
    SqlErasure,
    SqlOutletPositions,
    SqlRetention,
    SqlRootKeyStore,
    prepare_days,
)
from gateway.stores.sql.tables import metadata

DAY = 20454
"""2026-01-01."""


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    async with database_url("postgresql", tmp_path, schema=False) as lent:
        yield lent


@pytest.fixture
async def owner(url: str) -> AsyncIterator[Database]:
    async with opened(url) as database:
        await database.migrate()
        yield database


@pytest.fixture
async def role(url: str) -> AsyncIterator[str]:
    name = f'gate "way" {uuid4().hex[:8]}'
    quoted = '"' + name.replace('"', '""') + '"'
    await execute(url, f"CREATE ROLE {quoted} LOGIN PASSWORD 'secret'")
    yield name
    await execute(url, f"DROP OWNED BY {quoted}", f"DROP ROLE {quoted}")


@pytest.fixture
async def database(url: str, owner: Database, role: str) -> AsyncIterator[Database]:
    """Lend the database as the role has it."""
    # Rights that it had, and must not have, are taken as well.
    quoted = '"' + role.replace('"', '""') + '"'
    kept = ", ".join(name for name in metadata.tables if name.startswith("audit_") or name == "settings")
    await execute(url, f"GRANT ALL ON {kept} TO {quoted}")
    await owner.grant(role)
    await owner.grant(role)
    as_role = make_url(url).set(username=role, password="secret").render_as_string(hide_password=False)
    async with opened(as_role) as database:
        yield database


async def test_all_that_a_gateway_does_to_the_trail_is_allowed(database: Database) -> None:
    await database.migrate()
    sink = SqlAuditSink(database, SEALER, NAMES_KEY)
    told = [of_person(number, "usr_1", name="ada") for number in range(1, 4)]
    whole = run_of([*(one for one, _ in told), b"{"], personal=[*(said for _, said in told), b""])
    await prepare_days(database, DAY)
    await sink.ship(whole.part(0, 3))
    await sink.skip(whole.part(3, 4))
    await SqlErasure(database).erase("usr_1", at=1.0)
    assert await SqlCheckpoints(database).add(Checkpoint(number=1, at="now", note="note"))
    positions = SqlOutletPositions(database)
    for _ in range(2):
        assert await positions.hold("stdout", holder="a", now=1.0, until=2.0)
        await positions.advance("stdout", {"w": 1})
    assert await numbers(database) == [1, 2, 3, 4]
    await _changes_the_master_secret(database)


async def _changes_the_master_secret(database: Database) -> None:
    store = SqlRootKeyStore(database)
    old = StoredRoots(check_value=b"old", sealed=b"sealed", created_at=1.0)
    new = StoredRoots(check_value=b"new", sealed=b"sealed", created_at=2.0)
    assert await store.add_first(old, check_value_before=None)
    assert await store.change([old], [replace(old, sealed=b"more"), new], at=2.0)
    assert await store.change(await store.all(), [new], at=3.0)
    assert await store.shut_out_at(b"old") == 3.0


async def test_it_may_use_every_table(database: Database) -> None:
    async with database.read() as connection:
        for name in metadata.tables:
            await connection.execute(text(f"SELECT count(*) FROM {name}"))
    async with database.write() as connection:
        for table in metadata.sorted_tables:
            if not table.name.startswith("audit_") and table.name != "settings":
                column = next(iter(table.c)).name
                await connection.execute(text(f"UPDATE {table} SET {column} = {column}"))
                await connection.execute(text(f"DELETE FROM {table}"))
        await connection.execute(
            text("INSERT INTO changes (kind, subject, epoch, at) VALUES ('k', 's', 0, 0)")
        )


REFUSED = [
    *(
        f"{verb} {table}{rest}"
        for table in ("audit_chunks", "audit_terms", "audit_checkpoints")
        for verb, rest in (("DELETE FROM", ""), ("UPDATE", " SET {} = {}"), ("TRUNCATE", ""))
    ),
    "DELETE FROM audit_writers",
    "DELETE FROM audit_subjects",
    "UPDATE audit_personal SET sealed = sealed",
    "UPDATE settings SET value = value",
    "DROP TABLE audit_chunks",
    "ALTER TABLE audit_chunks DISABLE TRIGGER ALL",
    "ALTER TABLE audit_chunks DETACH PARTITION audit_chunks_default",
    "DELETE FROM audit_chunks_default",
    "SET session_replication_role = replica",
]


async def _said_to(database: Database, statement: str) -> str:
    try:
        async with database.write() as connection:
            await connection.execute(text(statement))
    except StoreUnavailable as refusal:
        return str(refusal)
    return "done"


async def test_it_cannot_change_or_remove_what_was_stored(database: Database) -> None:
    await SqlAuditSink(database, SEALER, NAMES_KEY).ship(run_of([body(1)]))
    for statement in REFUSED:
        column = "number" if "checkpoints" in statement else "day"
        said = await _said_to(database, statement.format(column, column))
        assert "permission denied" in said or "must be owner" in said, f"{statement}: {said}"


async def test_it_may_not_drop_days_and_says_so(database: Database) -> None:
    await SqlAuditSink(database, SEALER, NAMES_KEY).ship(run_of([body(1)]))
    with pytest.raises(RetentionRefused, match="run gateway audit prune with the database URL of"):
        await SqlRetention(database).drop(DAY + 1, signed=[])
    assert await numbers(database) == [1]


async def test_days_are_made_by_the_owner_alone_and_in_its_schema(
    url: str, database: Database, role: str
) -> None:
    """Tables of the same name that somebody else puts before them are not taken for them."""
    quoted = '"' + role.replace('"', '""') + '"'
    await execute(url, f"CREATE SCHEMA {quoted} AUTHORIZATION {quoted}")
    async with database.write() as connection:
        # The role's own schema comes first in its search path.
        await connection.execute(text("CREATE TABLE audit_chunks_20260101 (day integer)"))
        await connection.execute(text("CREATE TABLE audit_chunks_default (day integer)"))
        await connection.execute(text("SELECT public.audit_prepare_days(20454, 20454)"))
    owners = await execute(
        url,
        "SELECT pg_get_userbyid(relowner) AS owner FROM pg_class "
        "WHERE oid = 'public.audit_chunks_20260101'::regclass",
    )
    assert [row["owner"] for row in owners] == ["postgres"]


async def test_nobody_else_may_have_days_made(url: str, owner: Database, role: str) -> None:
    await execute(url, "GRANT USAGE ON SCHEMA public TO PUBLIC")
    as_role = make_url(url).set(username=role, password="secret").render_as_string(hide_password=False)
    async with opened(as_role) as stranger:
        with pytest.raises(StoreUnavailable, match="permission denied"):
            await prepare_days(stranger, DAY)


async def test_a_role_that_is_not_there_is_named(owner: Database) -> None:
    with pytest.raises(DatabaseUnusable, match="there is no role nobody: make it with CREATE ROLE"):
        await owner.grant("nobody")


async def test_who_owns_the_tables_cannot_be_held_to_the_least(owner: Database) -> None:
    with pytest.raises(DatabaseUnusable, match="role postgres is a superuser, or may act as the owner"):
        await owner.grant("postgres")


async def test_sqlite_has_no_roles(tmp_path: Path) -> None:
    async with database_url("sqlite", tmp_path) as url, opened(url) as database:
        with pytest.raises(DatabaseUnusable, match="SQLite has none: use PostgreSQL"):
            await database.grant("gateway")
