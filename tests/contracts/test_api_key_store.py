"""What every API key store does."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from databases import DATABASES, open_database

from gateway.ports import (
    ApiKey,
    ApiKeyStore,
    AuditUnavailable,
    ChangeKind,
    KeySecret,
    StoreUnavailable,
    Taken,
    User,
)
from gateway.stores.sql import Database, SqlApiKeyStore, SqlChangeFeed, SqlUserStore

OWNER = User(
    id="usr_1",
    username="Ada",
    email=None,
    password_hash=None,
    roles=frozenset({"customer", "support"}),
    epoch=0,
    created_at=0.0,
    verified_at=None,
)
KEY = ApiKey(
    id="key_1",
    name="nightly",
    owner_id="usr_1",
    owner_name="Ada",
    owner_roles=OWNER.roles,
    owner_active=True,
    secrets=(KeySecret(hash=b"\x00" * 31 + b"\xff"),),
    scopes=frozenset({"orders:read", "orders:write"}),
    created_at=1000.0,
    expires_at=2000.5,
    revoked_at=None,
    networks=("203.0.113.0/24", "2001:db8::/32"),
)


@pytest.fixture(params=DATABASES)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(request.param, tmp_path) as opened:
        await SqlUserStore(opened).add(OWNER)
        await SqlUserStore(opened).add(
            replace(OWNER, id="usr_2", username="bob", roles=frozenset(), disabled_at=5.0)
        )
        yield opened


@pytest.fixture
def keys(database: Database) -> ApiKeyStore:
    return SqlApiKeyStore(database)


async def test_a_key_comes_back_with_its_owner_as_of_now(keys: ApiKeyStore) -> None:
    await keys.add(replace(KEY, owner_name="somebody", owner_roles=frozenset({"admin"}), owner_active=False))
    assert await keys.find("key_1") == KEY
    assert await keys.find("key_2") is None


async def test_a_key_of_a_disabled_owner_says_so(keys: ApiKeyStore) -> None:
    await keys.add(replace(KEY, owner_id="usr_2"))
    found = await keys.find("key_1")
    assert found is not None
    assert not found.owner_active
    assert found.owner_roles == frozenset()


@pytest.mark.parametrize("scopes", [None, frozenset[str](), frozenset({"orders:*"})])
async def test_all_scopes_and_no_scope_are_told_apart(
    keys: ApiKeyStore, scopes: frozenset[str] | None
) -> None:
    await keys.add(replace(KEY, scopes=scopes, expires_at=None))
    assert await keys.find("key_1") == replace(KEY, scopes=scopes, expires_at=None)


async def test_a_name_is_taken_for_its_owner_alone(keys: ApiKeyStore) -> None:
    await keys.add(KEY)
    with pytest.raises(Taken) as taken:
        await keys.add(replace(KEY, id="key_2"))
    assert taken.value.field == "name"
    await keys.add(replace(KEY, id="key_3", owner_id="usr_2"))


async def test_an_id_is_never_given_twice(keys: ApiKeyStore) -> None:
    await keys.add(KEY)
    with pytest.raises(StoreUnavailable):
        await keys.add(replace(KEY, name="other"))


async def test_a_key_of_nobody_is_not_stored(keys: ApiKeyStore) -> None:
    with pytest.raises(StoreUnavailable):
        await keys.add(replace(KEY, owner_id="usr_9"))
    assert await keys.list() == []


async def test_nothing_is_stored_when_it_cannot_be_written_down(keys: ApiKeyStore) -> None:
    async def fail() -> None:
        raise AuditUnavailable("the audit trail cannot record")

    with pytest.raises(AuditUnavailable):
        await keys.add(KEY, before_commit=fail)
    assert await keys.list() == []


async def test_keys_are_listed_newest_first(keys: ApiKeyStore) -> None:
    await keys.add(KEY)
    newer = replace(KEY, id="key_2", name="newer", created_at=1500.0)
    await keys.add(newer)
    assert await keys.list() == [newer, KEY]


async def test_ending_a_key_is_announced_once(database: Database, keys: ApiKeyStore) -> None:
    await keys.add(KEY)
    assert await keys.revoke("key_1", at=1100.0)
    assert not await keys.revoke("key_1", at=1200.0)
    assert not await keys.revoke("key_9", at=1200.0)
    assert await keys.find("key_1") == replace(KEY, revoked_at=1100.0)
    changes = await SqlChangeFeed(database).since(0)
    assert [(change.kind, change.subject) for change in changes] == [(ChangeKind.KEY_REVOKED, "key_1")]


async def test_a_rotated_key_has_two_secrets_and_then_the_newest_two(
    database: Database, keys: ApiKeyStore
) -> None:
    await keys.add(KEY)
    rotated = await keys.rotate("key_1", b"second", at=1100.0, old_until=1200.0)
    (first,) = KEY.secrets
    second = KeySecret(hash=b"second")
    assert rotated == replace(KEY, secrets=(second, replace(first, expires_at=1200.0)))
    assert await keys.find("key_1") == rotated
    # In the same moment, so that no order of times tells them apart.
    rotated = await keys.rotate("key_1", b"third", at=1100.0, old_until=1300.0)
    assert rotated is not None
    assert rotated.secrets == (KeySecret(hash=b"third"), replace(second, expires_at=1300.0))
    assert await keys.list() == [rotated]
    changes = await SqlChangeFeed(database).since(0)
    assert [(change.kind, change.subject) for change in changes] == [(ChangeKind.KEY_REVOKED, "key_1")] * 2


async def test_without_an_overlap_the_old_secret_ends_at_once(keys: ApiKeyStore) -> None:
    await keys.add(KEY)
    rotated = await keys.rotate("key_1", b"second", at=1100.0, old_until=1100.0)
    assert rotated is not None
    assert rotated.secrets == (KeySecret(hash=b"second"),)


async def test_a_key_that_has_ended_is_not_rotated(keys: ApiKeyStore) -> None:
    await keys.add(KEY)
    await keys.add(replace(KEY, id="key_2", name="other"))
    await keys.revoke("key_1", at=1100.0)
    for id, at in (("key_1", 1200.0), ("key_2", 2000.5), ("key_9", 1200.0)):
        assert await keys.rotate(id, b"second", at=at, old_until=at + 1) is None
    found = await keys.find("key_2")
    assert found is not None
    assert found.secrets == KEY.secrets


async def test_a_rotation_that_cannot_be_written_down_changes_nothing(
    database: Database, keys: ApiKeyStore
) -> None:
    async def fail() -> None:
        raise AuditUnavailable("the audit trail cannot record")

    await keys.add(KEY)
    with pytest.raises(AuditUnavailable):
        await keys.rotate("key_1", b"second", at=1100.0, old_until=1200.0, before_commit=fail)
    assert await keys.find("key_1") == KEY
    assert await SqlChangeFeed(database).since(0) == []


async def test_of_two_rotations_at_once_each_secret_counts(keys: ApiKeyStore) -> None:
    await keys.add(KEY)
    await asyncio.gather(
        keys.rotate("key_1", b"second", at=1100.0, old_until=1200.0),
        keys.rotate("key_1", b"third", at=1100.0, old_until=1200.0),
    )
    found = await keys.find("key_1")
    assert found is not None
    assert {secret.hash for secret in found.secrets} == {b"second", b"third"}
    assert [secret.expires_at for secret in found.secrets] == [None, 1200.0]


async def test_the_last_use_is_noted_and_never_moved_back(keys: ApiKeyStore) -> None:
    await keys.add(KEY)
    await keys.add(replace(KEY, id="key_2", name="other"))
    await keys.note_used({})
    await keys.note_used({"key_2": 1500.0, "key_1": 1600.0, "key_9": 1.0})
    await keys.note_used({"key_1": 1400.0, "key_2": 1700.0})
    assert {key.id: key.last_used_at for key in await keys.list()} == {"key_1": 1600.0, "key_2": 1700.0}
