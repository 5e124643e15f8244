"""What accounts of the schema before become: the same accounts, sessions and keys, which work as they did."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from databases import DATABASES, database_url, opened
from sqlalchemy import text

from gateway.ports import KeySecret, Link, LinkPurpose, StoredSigningKey, User
from gateway.stores.sql import (
    Database,
    SqlApiKeyStore,
    SqlChangeFeed,
    SqlLinkStore,
    SqlSessionStore,
    SqlSigningKeyStore,
    SqlUserStore,
    schema,
)

BEFORE = (
    (
        "INSERT INTO users VALUES ('usr_1', 'Ada', 'ada', 'ada@example.com', 'ada@example.com', 'v1$hash', 4, 1000.0,"
        " 1000.0, NULL)"
    ),
    "INSERT INTO users VALUES ('usr_2', 'bob', 'bob', NULL, NULL, NULL, 0, 1001.0, NULL, 1002.0)",
    "INSERT INTO user_roles VALUES ('usr_1', 'customer')",
    (
        "INSERT INTO sessions VALUES ('ses_1', 'usr_1', :key, 3, 1000.0, true, 1000.0, 1500.0, 9000.0, NULL,"
        " '192.0.2.1', 'agent')"
    ),
    "INSERT INTO api_keys VALUES ('key_1', 'usr', 'usr_1', :key, 'a b', 1000.0, NULL, NULL)",
    "INSERT INTO api_keys VALUES ('key_2', 'old', 'usr_1', :key, NULL, 900.0, NULL, 950.0)",
    "INSERT INTO signing_keys VALUES ('kid', :key, :key, 'active', 1000.0)",
    "INSERT INTO changes (kind, subject, epoch, at) VALUES ('user.changed', 'usr_1', 4, 1000.0)",
)


@pytest.fixture(params=DATABASES)
async def database(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Database]:
    """Lend a database with accounts, brought up to date."""
    migrations = tmp_path / "migrations"
    migrations.mkdir()
    for path in schema._MIGRATIONS.glob("000[1-3]_*.py"):
        shutil.copy(path, migrations)
    async with database_url(request.param, tmp_path, schema=False) as url, opened(url) as database:
        with monkeypatch.context() as patch:
            patch.setattr(schema, "_MIGRATIONS", migrations)
            await database.migrate()
        async with database.write() as connection:
            for statement in BEFORE:
                given = {"key": b"\x00key"} if ":key" in statement else {}
                await connection.execute(text(statement), given)
        await database.migrate()
        yield database


async def test_accounts_and_sessions_are_what_they_were(database: Database) -> None:
    users = SqlUserStore(database)
    ada = await users.find_by_login("ada@example.com")
    assert ada == User(
        id="usr_1",
        username="Ada",
        email="ada@example.com",
        password_hash="v1$hash",
        roles=frozenset({"customer"}),
        epoch=4,
        created_at=1000.0,
        verified_at=1000.0,
    )
    sessions = SqlSessionStore(database)
    session = await sessions.find("ses_1")
    assert session is not None
    assert (session.key, session.counter, session.confirmed) == (b"\x00key", 3, True)
    assert (session.client_id, session.amr, session.mfa_at, session.jkt) == (None, ("pwd",), None, None)
    assert await sessions.advance("ses_1", seen=3, at=1600.0)
    assert [change.subject for change in await SqlChangeFeed(database).since(0)] == ["usr_1"]


async def test_keys_have_the_secret_that_they_had(database: Database) -> None:
    keys = {key.id: key for key in await SqlApiKeyStore(database).list()}
    assert [keys[id_].secrets for id_ in ("key_1", "key_2")] == [(KeySecret(hash=b"\x00key"),)] * 2
    assert (keys["key_1"].scopes, keys["key_1"].networks) == (frozenset({"a", "b"}), ())
    assert (keys["key_1"].last_used_at, keys["key_2"].revoked_at) == (None, 950.0)
    assert await SqlSigningKeyStore(database).all() == [
        StoredSigningKey(
            kid="kid", public_pem=b"\x00key", sealed_private=b"\x00key", created_at=1000.0, signs_from=1000.0
        )
    ]


async def test_what_is_new_belongs_to_them_and_goes_with_them(database: Database) -> None:
    users, links = SqlUserStore(database), SqlLinkStore(database)
    assert await links.add(
        Link(
            token_hash=b"1",
            purpose=LinkPurpose.RESET_PASSWORD,
            user_id="usr_1",
            email="ada@example.com",
            password_version=0,
            created_at=1.0,
            expires_at=9.0,
        )
    )
    assert await users.delete("usr_1", at=2000.0)
    async with database.read() as connection:
        for table in ("links", "api_key_secrets", "api_keys", "sessions", "user_roles"):
            assert await connection.scalar(text(f"SELECT count(*) FROM {table}")) == 0
