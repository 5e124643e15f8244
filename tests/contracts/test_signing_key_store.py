"""What every store of signing keys, and of the check value of the master secret, does."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from databases import DATABASES, open_database
from sqlalchemy import insert

from gateway.ports import SecretCheck, SigningKeyStore, StoredSigningKey
from gateway.stores.sql import Database, SqlSecretCheck, SqlSigningKeyStore, tables

KEY = StoredSigningKey(
    kid="kid-1", public_pem=b"public", sealed_private=b"\x00sealed\xff", state="active", created_at=1000.0
)


@pytest.fixture(params=DATABASES)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(request.param, tmp_path) as opened:
        yield opened


@pytest.fixture
def signing_keys(database: Database) -> SigningKeyStore:
    return SqlSigningKeyStore(database)


@pytest.fixture
def secret_check(database: Database) -> SecretCheck:
    return SqlSecretCheck(database)


async def test_the_first_key_comes_back_as_it_was_stored(signing_keys: SigningKeyStore) -> None:
    assert await signing_keys.all() == []
    assert await signing_keys.add_first(KEY)
    assert await signing_keys.all() == [KEY]


async def test_of_many_first_keys_at_once_one_is_stored(signing_keys: SigningKeyStore) -> None:
    added = await asyncio.gather(
        *(signing_keys.add_first(replace(KEY, kid=f"kid-{number}")) for number in range(8))
    )
    assert sorted(added) == [False] * 7 + [True]
    assert len(await signing_keys.all()) == 1


async def test_the_active_key_comes_first(database: Database, signing_keys: SigningKeyStore) -> None:
    await signing_keys.add_first(KEY)
    async with database.write() as connection:
        for kid, at in (("kid-2", 3000.0), ("kid-3", 500.0)):
            await connection.execute(
                insert(tables.signing_keys).values(
                    kid=kid, public_pem=b"", sealed_private=b"", state="retired", created_at=at
                )
            )
    assert [key.kid for key in await signing_keys.all()] == ["kid-1", "kid-2", "kid-3"]


async def test_the_first_check_value_counts(secret_check: SecretCheck) -> None:
    assert await secret_check.check_value() is None
    assert await secret_check.set_check_value(b"first") == b"first"
    assert await secret_check.set_check_value(b"second") == b"first"
    assert await secret_check.check_value() == b"first"


async def test_of_many_check_values_at_once_one_counts(secret_check: SecretCheck) -> None:
    kept = await asyncio.gather(*(secret_check.set_check_value(bytes([number])) for number in range(8)))
    assert set(kept) == {await secret_check.check_value()}
