"""What every store of signing keys does."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from databases import DATABASES, open_database

from gateway.ports import ChangeKind, SigningKeyStore, StoredSigningKey
from gateway.stores.sql import Database, SqlChangeFeed, SqlSigningKeyStore

KEY = StoredSigningKey(
    kid="kid-1",
    public_pem=b"public",
    sealed_private=b"\x00sealed\xff",
    created_at=1000.0,
    signs_from=1000.5,
)


class NotRecorded(Exception):
    """The audit trail is away."""


async def not_recorded() -> None:
    raise NotRecorded


@pytest.fixture(params=DATABASES)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(request.param, tmp_path) as opened:
        yield opened


@pytest.fixture
def signing_keys(database: Database) -> SigningKeyStore:
    return SqlSigningKeyStore(database)


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


async def test_a_first_key_that_cannot_be_recorded_is_not_stored(signing_keys: SigningKeyStore) -> None:
    with pytest.raises(NotRecorded):
        await signing_keys.add_first(KEY, before_commit=not_recorded)
    assert await signing_keys.all() == []


def after(key: StoredSigningKey, *, kid: str = "kid-2", seconds: float = 100.0) -> StoredSigningKey:
    """Return a key that was made later than another."""
    return replace(key, kid=kid, created_at=key.created_at + seconds, signs_from=key.signs_from + seconds)


async def test_the_next_key_comes_first_and_those_before_it_get_an_end(
    database: Database, signing_keys: SigningKeyStore
) -> None:
    await signing_keys.add_first(KEY)
    second = after(KEY)
    assert await signing_keys.rotate(second, after="kid-1", old_until=5000.0)
    assert await signing_keys.all() == [second, replace(KEY, verifies_until=5000.0)]
    third = after(second, kid="kid-3")
    assert await signing_keys.rotate(third, after="kid-2", old_until=6000.0)
    # What has an end keeps it, unless it would be later than that of all.
    assert await signing_keys.all() == [
        third,
        replace(second, verifies_until=6000.0),
        replace(KEY, verifies_until=5000.0),
    ]
    assert [(change.kind, change.subject) for change in await SqlChangeFeed(database).since(0)] == [
        (ChangeKind.SIGNING_KEYS, "")
    ] * 2


async def test_keys_whose_time_is_over_go_with_a_rotation(signing_keys: SigningKeyStore) -> None:
    await signing_keys.add_first(KEY)
    await signing_keys.rotate(after(KEY), after="kid-1", old_until=1500.0)
    await signing_keys.rotate(after(KEY, kid="kid-3", seconds=500.0), after="kid-2", old_until=9000.0)
    assert [key.kid for key in await signing_keys.all()] == ["kid-3", "kid-2", "kid-1"]
    await signing_keys.rotate(after(KEY, kid="kid-4", seconds=501.0), after="kid-3", old_until=9000.0)
    assert [key.kid for key in await signing_keys.all()] == ["kid-4", "kid-3", "kid-2"]


async def test_of_many_rotations_at_once_one_is_done(
    database: Database, signing_keys: SigningKeyStore
) -> None:
    await signing_keys.add_first(KEY)
    recorded: list[str] = []

    async def rotate(number: int) -> bool:
        async def record() -> None:
            recorded.append(f"new-{number}")

        key = after(KEY, kid=f"new-{number}")
        return await signing_keys.rotate(key, after="kid-1", old_until=5000.0, before_commit=record)

    done = await asyncio.gather(*(rotate(number) for number in range(8)))
    assert sorted(done) == [False] * 7 + [True]
    assert [key.kid for key in await signing_keys.all()] == [*recorded, "kid-1"]
    assert len(await SqlChangeFeed(database).since(0)) == 1


async def test_a_rotation_that_cannot_be_recorded_changes_nothing(
    database: Database, signing_keys: SigningKeyStore
) -> None:
    await signing_keys.add_first(KEY)
    with pytest.raises(NotRecorded):
        await signing_keys.rotate(after(KEY), after="kid-1", old_until=5000.0, before_commit=not_recorded)
    assert await signing_keys.all() == [KEY]
    assert await SqlChangeFeed(database).since(0) == []


async def test_a_revoked_key_is_gone_at_once_and_named_in_the_feed(
    database: Database, signing_keys: SigningKeyStore
) -> None:
    await signing_keys.add_first(KEY)
    second = after(KEY)
    await signing_keys.rotate(second, after="kid-1", old_until=5000.0)
    assert await signing_keys.revoke("kid-1", successor=None, old_until=9.0, at=1200.0)
    assert not await signing_keys.revoke("kid-1", successor=None, old_until=9.0, at=1201.0)
    assert await signing_keys.all() == [second]
    fresh = after(second, kid="kid-3")
    assert await signing_keys.revoke("kid-2", successor=fresh, old_until=9000.0, at=1300.0)
    assert await signing_keys.all() == [fresh]
    changes = [(change.subject, change.at) for change in await SqlChangeFeed(database).since(1)]
    assert changes == [("kid-1", 1200.0), ("kid-2", 1300.0)]


async def test_a_successor_gives_those_before_it_an_end(signing_keys: SigningKeyStore) -> None:
    await signing_keys.add_first(KEY)
    pending = after(KEY)
    await signing_keys.rotate(pending, after="kid-1", old_until=5000.0)
    fresh = after(pending, kid="kid-3")
    assert await signing_keys.revoke("kid-1", successor=fresh, old_until=9000.0, at=1200.0)
    assert await signing_keys.all() == [fresh, replace(pending, verifies_until=9000.0)]


async def test_nothing_takes_the_place_of_a_key_that_there_is_not(
    database: Database, signing_keys: SigningKeyStore
) -> None:
    await signing_keys.add_first(KEY)
    assert not await signing_keys.revoke("kid-9", successor=after(KEY), old_until=9000.0, at=1200.0)
    assert await signing_keys.all() == [KEY]
    assert await SqlChangeFeed(database).since(0) == []


async def test_of_a_revocation_and_a_rotation_at_once_none_leaves_a_key_without_a_successor(
    signing_keys: SigningKeyStore,
) -> None:
    await signing_keys.add_first(KEY)
    _, revoked = await asyncio.gather(
        signing_keys.rotate(after(KEY, kid="next"), after="kid-1", old_until=5000.0),
        signing_keys.revoke("kid-1", successor=after(KEY, kid="fresh"), old_until=5000.0, at=1200.0),
    )
    assert revoked
    left = {key.kid: key.verifies_until for key in await signing_keys.all()}
    assert "kid-1" not in left
    assert left["fresh"] is None
