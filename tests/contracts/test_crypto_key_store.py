"""What every store of encryption keys does."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest
from databases import opened

from gateway.ports import (
    AuditUnavailable,
    ChangeKind,
    CryptoKeyStore,
    StoredCryptoKey,
    StoredKeyVersion,
    Taken,
)
from gateway.stores.sql import Database, SqlChangeFeed, SqlCryptoKeyStore

FIRST = StoredKeyVersion(version=1, sealed=b"\x01sealed\x00\xff", created_at=1000.25)
SECOND = StoredKeyVersion(version=2, sealed=b"\x01other", created_at=1100.5)
KEY = StoredCryptoKey(name="reports", created_at=1000.25, min_decryption_version=1, versions=(FIRST,))


@pytest.fixture
def keys(database: Database) -> CryptoKeyStore:
    return SqlCryptoKeyStore(database)


@pytest.fixture
async def two(url: str) -> AsyncIterator[Sequence[CryptoKeyStore]]:
    """One database as two processes have it."""
    async with opened(url) as one, opened(url) as other:
        yield SqlCryptoKeyStore(one), SqlCryptoKeyStore(other)


async def away() -> None:
    raise AuditUnavailable("the audit trail cannot record")


async def announced(database: Database) -> list[tuple[ChangeKind, str, float]]:
    return [(change.kind, change.subject, change.at) for change in await SqlChangeFeed(database).since(0)]


async def test_a_key_comes_back_as_it_was_and_is_announced(database: Database, keys: CryptoKeyStore) -> None:
    assert await keys.all() == []
    await keys.add(KEY)
    assert await keys.find("reports") == KEY
    assert await keys.find("Reports") is None
    assert await announced(database) == [(ChangeKind.CRYPTO_KEYS, "reports", 1000.25)]


async def test_keys_come_by_name_and_their_versions_by_age(keys: CryptoKeyStore) -> None:
    await keys.add(KEY)
    await keys.add(replace(KEY, name="a_b"))
    await keys.add(replace(KEY, name="Z"))
    for number in range(2, 12):
        assert await keys.rotate("reports", replace(SECOND, version=number))
    found = await keys.all()
    assert [key.name for key in found] == ["Z", "a_b", "reports"]
    assert [version.version for version in found[2].versions] == list(range(1, 12))
    assert found[2].newest.version == 11


async def test_a_name_is_given_once(database: Database, keys: CryptoKeyStore) -> None:
    await keys.add(KEY)
    with pytest.raises(Taken) as taken:
        await keys.add(replace(KEY, created_at=2000.0, versions=(replace(FIRST, sealed=b"mine"),)))
    assert taken.value.field == "name"
    assert await keys.all() == [KEY]
    assert len(await announced(database)) == 1


async def test_what_cannot_be_recorded_is_not_done(database: Database, keys: CryptoKeyStore) -> None:
    with pytest.raises(AuditUnavailable):
        await keys.add(KEY, before_commit=away)
    assert await keys.all() == []
    await keys.add(KEY)
    with pytest.raises(AuditUnavailable):
        await keys.rotate("reports", SECOND, before_commit=away)
    await keys.rotate("reports", SECOND)
    with pytest.raises(AuditUnavailable):
        await keys.retire("reports", min_decryption_version=2, at=1200.0, before_commit=away)
    assert await keys.all() == [replace(KEY, versions=(FIRST, SECOND))]
    assert len(await announced(database)) == 2


async def test_only_the_version_after_the_newest_is_the_next(
    database: Database, keys: CryptoKeyStore
) -> None:
    await keys.add(KEY)
    for version in (1, 3):
        assert not await keys.rotate("reports", replace(SECOND, version=version), before_commit=away)
    assert not await keys.rotate("others", SECOND, before_commit=away)
    assert not await keys.rotate("others", FIRST, before_commit=away)
    assert await keys.rotate("reports", SECOND)
    assert await keys.find("reports") == replace(KEY, versions=(FIRST, SECOND))
    assert await announced(database) == [
        (ChangeKind.CRYPTO_KEYS, "reports", 1000.25),
        (ChangeKind.CRYPTO_KEYS, "reports", 1100.5),
    ]


async def test_versions_are_refused_and_let_in_again_and_stay(
    database: Database, keys: CryptoKeyStore
) -> None:
    await keys.add(KEY)
    await keys.rotate("reports", SECOND)
    for least in (2, 1):
        assert await keys.retire("reports", min_decryption_version=least, at=1200.0 + least)
        assert await keys.find("reports") == replace(
            KEY, min_decryption_version=least, versions=(FIRST, SECOND)
        )
    for least in (0, -1, 3):
        assert not await keys.retire("reports", min_decryption_version=least, at=1.0, before_commit=away)
    assert not await keys.retire("others", min_decryption_version=1, at=1.0, before_commit=away)
    assert (await announced(database))[2:] == [
        (ChangeKind.CRYPTO_KEYS, "reports", 1202.0),
        (ChangeKind.CRYPTO_KEYS, "reports", 1201.0),
    ]


async def test_messages_are_added_up_and_nothing_is_announced(
    database: Database, keys: CryptoKeyStore
) -> None:
    await keys.add(KEY)
    await keys.add(replace(KEY, name="notes"))
    await keys.rotate("reports", SECOND)
    await keys.count({})
    await keys.count({("reports", 2): 2**31, ("notes", 1): 1, ("reports", 1): 5, ("gone", 1): 7})
    await keys.count({("reports", 2): 2**31})
    counted = {(key.name, each.version): each.messages for key in await keys.all() for each in key.versions}
    assert counted == {("reports", 1): 5, ("reports", 2): 2**32, ("notes", 1): 1}
    assert len(await announced(database)) == 3


async def test_of_many_keys_of_a_name_at_once_one_is_made(two: Sequence[CryptoKeyStore]) -> None:
    made = await asyncio.gather(
        *(
            two[number % 2].add(replace(KEY, versions=(replace(FIRST, sealed=bytes([number])),)))
            for number in range(10)
        ),
        return_exceptions=True,
    )
    assert made.count(None) == 1
    assert all(result is None or isinstance(result, Taken) for result in made)
    (kept,) = await two[0].all()
    assert [version.sealed for version in kept.versions] == [bytes([made.index(None)])]


async def test_of_many_rotations_at_once_one_is_done_and_recorded(two: Sequence[CryptoKeyStore]) -> None:
    await two[0].add(KEY)
    recorded: list[bytes] = []

    async def rotate(number: int) -> bool:
        async def record() -> None:
            recorded.append(bytes([number]))

        version = replace(SECOND, sealed=bytes([number]))
        return await two[number % 2].rotate("reports", version, before_commit=record)

    done = await asyncio.gather(*map(rotate, range(10)))
    assert done.count(True) == 1
    kept = await two[0].find("reports")
    assert kept is not None
    assert [version.sealed for version in kept.versions[1:]] == recorded == [bytes([done.index(True)])]


async def test_whatever_happens_to_a_key_at_once_nobody_waits_for_ever_and_all_counts(
    two: Sequence[CryptoKeyStore],
) -> None:
    await two[0].add(KEY)
    await two[0].add(replace(KEY, name="notes"))
    counted = {("reports", 1): 1, ("notes", 1): 1}

    async def rotate_until_done(store: CryptoKeyStore, name: str) -> None:
        while True:
            key = await store.find(name)
            assert key is not None
            if await store.rotate(name, replace(SECOND, version=key.newest.version + 1)):
                return

    async with asyncio.timeout(30):
        await asyncio.gather(
            *(
                act
                for number, store in enumerate([*two] * 5)
                for act in (
                    rotate_until_done(store, "reports" if number % 3 else "notes"),
                    store.retire("reports", min_decryption_version=1, at=1200.0),
                    store.count(counted if number % 2 else dict(reversed(counted.items()))),
                )
            )
        )
    notes, reports = await two[1].all()
    assert (notes.newest.version, reports.newest.version) == (5, 7)
    assert (notes.versions[0].messages, reports.versions[0].messages) == (10, 10)
    assert reports.min_decryption_version == 1
