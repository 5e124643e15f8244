"""What ends at once with two of its owners, or while it is used: nobody waits for ever."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from databases import database_url, execute, opened

from gateway.ports import ApiKey, ClientSecret, KeySecret, OAuthClient, Session, User
from gateway.stores.sql import Database, SqlApiKeyStore, SqlClientStore, SqlSessionStore, SqlUserStore

ADA = User(
    id="usr_1", username="ada", email=None, password_hash=None, roles=frozenset(), epoch=0,
    created_at=0.0, verified_at=None,
)  # fmt: skip
CLIENT = OAuthClient(
    id="cli_1",
    name="machine",
    roles=frozenset(),
    secrets=(ClientSecret(hash=b"hash"),),
    epoch=0,
    created_at=1.0,
)
KEY = ApiKey(
    id="key_1", name="nightly", owner_id=ADA.id, owner_name="ada", owner_roles=frozenset(), owner_active=True,
    secrets=(KeySecret(hash=b"hash"),), scopes=None, created_at=1.0, expires_at=None, revoked_at=None,
)  # fmt: skip
BY_INDEX = "enable_seqscan", "enable_bitmapscan"
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"


def session(id: str) -> Session:
    return Session(
        id=id, user_id=ADA.id, client_id=CLIENT.id, key=b"key", counter=0, rotated_at=1.0, confirmed=False,
        created_at=1.0, last_used_at=1.0, expires_at=9000.0,
    )  # fmt: skip


@asynccontextmanager
async def opened_by_index(url: str) -> AsyncIterator[Database]:
    """Lend the database to somebody who reads each table in the order of an index."""
    name = url.rpartition("/")[2]
    await execute(url, *(f'ALTER DATABASE "{name}" SET {each} = off' for each in BY_INDEX))
    try:
        async with opened(url) as database:
            yield database
    finally:
        await execute(url, f'ALTER DATABASE "{name}" RESET ALL')


async def wait_for(connection: asyncpg.Connection, count: int) -> None:
    async with asyncio.timeout(5):
        while await connection.fetchval(WAITING) < count:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("what", ["delete", "revoke_all", "disable"])
async def test_whoever_ends_sessions_does_so_in_one_order(what: str, tmp_path: Path) -> None:
    async with database_url("postgresql", tmp_path) as url, opened(url) as one:
        await SqlUserStore(one).add(ADA)
        await SqlClientStore(one).add(CLIENT)
        store = SqlSessionStore(one)
        for id_ in ("ses_1", "ses_2"):
            assert await store.add(session(id_), user=ADA)
        # A row that is written anew moves to the end of its table, and stays where it is in its indexes.
        await store.touch("ses_1", at=2.0)
        # Of a table this small, whoever may reads all of it, in its own order.
        await execute(url, "ANALYZE sessions")
        async with opened_by_index(url) as two:
            await end_at_once(url, one, two, what)
        left = [await store.find(id_) for id_ in ("ses_1", "ses_2")]
        assert all(each is None or each.revoked_at == 3.0 for each in left)


async def end_at_once(url: str, one: Database, two: Database, what: str) -> None:
    """End both sessions with their user and with their client, while somebody else holds the first."""
    acts: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
        "delete": lambda: SqlUserStore(two).delete(ADA.id, at=3.0),
        "revoke_all": lambda: SqlSessionStore(two).revoke_all(ADA.id, at=3.0),
        "disable": lambda: SqlUserStore(two).set_disabled(ADA.id, disabled=True, at=3.0),
    }
    others = await asyncpg.connect(url)
    try:
        async with others.transaction():
            await others.execute("SELECT * FROM sessions WHERE id = 'ses_1' FOR UPDATE")
            by_user = asyncio.create_task(acts[what]())
            await wait_for(others, 1)
            by_client = asyncio.create_task(SqlClientStore(one).revoke(CLIENT.id, at=3.0))
            await wait_for(others, 2)
        assert await by_client is True
        assert await by_user
    finally:
        await others.close()


async def test_keys_that_were_used_and_end_with_their_owner_wait_for_nobody(tmp_path: Path) -> None:
    async with database_url("postgresql", tmp_path) as url, opened(url) as one, opened(url) as two:
        await SqlUserStore(one).add(ADA)
        keys = SqlApiKeyStore(one)
        for id_ in ("key_1", "key_2"):
            await keys.add(replace(KEY, id=id_, name=id_))
        await keys.note_used({"key_1": 2.0})
        await execute(url, "ANALYZE api_keys")
        others = await asyncpg.connect(url)
        try:
            async with others.transaction():
                await others.execute("SELECT * FROM api_keys WHERE id = 'key_1' FOR UPDATE")
                used = asyncio.create_task(SqlApiKeyStore(two).note_used({"key_1": 3.0, "key_2": 3.0}))
                await wait_for(others, 1)
                gone = asyncio.create_task(SqlUserStore(one).delete(ADA.id, at=3.0))
                await wait_for(others, 2)
            await used
            assert await gone
        finally:
            await others.close()
        assert await keys.list() == []
