"""What every store of roots does."""

import asyncio
from dataclasses import replace

import pytest
from databases import opened
from sqlalchemy import text

from gateway.ports import ChangeKind, RootKeyStore, StoredRoots, StoredSigningKey
from gateway.stores.sql import Database, SqlChangeFeed, SqlRootKeyStore, SqlSigningKeyStore

OLD = StoredRoots(check_value=b"\x00old\xff", sealed=b"\x01sealed", created_at=1000.25)
NEW = StoredRoots(check_value=b"new", sealed=b"\x01sealed too", created_at=2000.5)


class NotRecorded(Exception):
    """The audit trail is away."""


async def not_recorded() -> None:
    raise NotRecorded


@pytest.fixture
def store(database: Database) -> RootKeyStore:
    return SqlRootKeyStore(database)


async def begun(store: RootKeyStore) -> None:
    """Have two master secrets open the roots."""
    assert await store.add_first(OLD, check_value_before=None)
    assert await store.change([OLD], [replace(OLD, sealed=b"more"), NEW], at=2000.5)


async def test_the_first_roots_come_back_as_they_were_stored(store: RootKeyStore) -> None:
    assert list(await store.all()) == []
    assert await store.check_value_before_roots() is None
    assert await store.add_first(OLD, check_value_before=None)
    assert list(await store.all()) == [OLD]
    assert not await store.add_first(NEW, check_value_before=None)
    assert list(await store.all()) == [OLD]


async def test_roots_are_not_the_first_where_keys_are_sealed(store: RootKeyStore, database: Database) -> None:
    await SqlSigningKeyStore(database).add_first(
        StoredSigningKey(kid="k", public_pem=b"", sealed_private=b"\x01", created_at=1.0, signs_from=1.0)
    )
    assert not await store.add_first(OLD, check_value_before=None)
    assert list(await store.all()) == []


async def test_of_many_first_roots_at_once_one_is_stored(store: RootKeyStore) -> None:
    added = await asyncio.gather(
        *(
            store.add_first(replace(OLD, check_value=bytes([number])), check_value_before=None)
            for number in range(8)
        )
    )
    assert sorted(added) == [False] * 7 + [True]
    assert len(await store.all()) == 1


async def test_a_database_from_before_there_were_roots_is_known(
    store: RootKeyStore, database: Database
) -> None:
    async with database.write() as connection:
        await connection.execute(
            text("INSERT INTO settings (name, value) VALUES ('secret_check', :value)"), {"value": b"before"}
        )
    assert await store.check_value_before_roots() == b"before"
    assert not await store.add_first(OLD, check_value_before=None)
    assert await store.add_first(OLD, check_value_before=b"before")


async def test_two_master_secrets_open_them_while_one_is_changed(store: RootKeyStore) -> None:
    await begun(store)
    assert list(await store.all()) == [replace(OLD, sealed=b"more"), NEW]
    assert await store.shut_out_at(OLD.check_value) is None


async def test_one_that_is_taken_away_is_remembered(store: RootKeyStore) -> None:
    await begun(store)
    assert await store.change(await store.all(), [NEW], at=3000.125)
    assert list(await store.all()) == [NEW]
    assert await store.shut_out_at(OLD.check_value) == 3000.125
    assert await store.shut_out_at(NEW.check_value) is None


async def test_every_change_is_announced_and_only_a_change(store: RootKeyStore, database: Database) -> None:
    feed = SqlChangeFeed(database)
    assert await store.add_first(OLD, check_value_before=None)
    assert not await store.change([NEW], [NEW], at=1500.0)
    assert list(await feed.since(0)) == []
    assert await store.change([OLD], [OLD, NEW], at=2000.5)
    assert await store.change([OLD, NEW], [NEW], at=3000.0)
    announced = await feed.since(0)
    assert [(change.kind, change.at) for change in announced] == [
        (ChangeKind.ROOT_KEYS, 2000.5),
        (ChangeKind.ROOT_KEYS, 3000.0),
    ]


@pytest.mark.parametrize(
    "seen", [[], [NEW], [OLD, NEW], [replace(OLD, sealed=b"other")], [replace(OLD, created_at=1.0)]]
)
async def test_what_is_not_what_was_seen_is_not_changed(store: RootKeyStore, seen: list[StoredRoots]) -> None:
    assert await store.add_first(OLD, check_value_before=None)
    assert not await store.change(seen, [NEW], at=2000.0)
    assert list(await store.all()) == [OLD]


async def test_what_cannot_be_recorded_is_not_changed(store: RootKeyStore, database: Database) -> None:
    await begun(store)
    stored = await store.all()
    with pytest.raises(NotRecorded):
        await store.change(stored, [NEW], at=3000.0, before_commit=not_recorded)
    assert await store.all() == stored
    assert await store.shut_out_at(OLD.check_value) is None
    assert len(await SqlChangeFeed(database).since(0)) == 1


async def test_of_many_changes_at_once_one_is_made(store: RootKeyStore) -> None:
    assert await store.add_first(OLD, check_value_before=None)
    news = [replace(NEW, check_value=bytes([number])) for number in range(6)]
    changed = await asyncio.gather(*(store.change([OLD], [OLD, new], at=2000.0) for new in news))
    assert sorted(changed) == [False] * 5 + [True]
    assert len(await store.all()) == 2


async def test_one_process_is_alone_and_the_next_one_when_that_is_over(url: str, store: RootKeyStore) -> None:
    async with opened(url) as elsewhere:
        other = SqlRootKeyStore(elsewhere)
        async with store.alone() as is_alone:
            assert is_alone
            async with other.alone() as is_other_alone:
                assert not is_other_alone
            assert list(await other.all()) == []
        async with other.alone() as is_alone:
            assert is_alone
