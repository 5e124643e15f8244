"""What every store of blocks promises."""

import asyncio
from dataclasses import replace

import pytest

from gateway.ports import REMEMBERED_SECONDS, AuditUnavailable, Block, BlockStore, ChangeKind
from gateway.stores.sql import Database, SqlBlockStore, SqlChangeFeed

NOW = 1_800_000_000.0
BLOCK = Block(
    network="203.0.113.7",
    reason="failed logins",
    created_by=None,
    created_at=NOW,
    until=NOW + 900,
    times=1,
)


@pytest.fixture
def store(database: Database) -> BlockStore:
    return SqlBlockStore(database)


async def announced(database: Database) -> list[str]:
    changes = await SqlChangeFeed(database).since(0)
    assert {change.kind for change in changes} <= {ChangeKind.BLOCKS}
    return [change.subject for change in changes]


async def fail() -> None:
    raise AuditUnavailable("away")


async def test_a_block_is_found_as_it_was_stored_and_announced(database: Database, store: BlockStore) -> None:
    assert await store.find(BLOCK.network) is None
    assert await store.put(BLOCK, now=NOW)
    assert await store.find(BLOCK.network) == BLOCK
    assert await store.present(now=NOW) == [BLOCK]
    assert await announced(database) == [BLOCK.network]


async def test_a_block_holds_until_its_end_and_is_still_found_then(store: BlockStore) -> None:
    await store.put(BLOCK, now=NOW)
    assert await store.present(now=NOW + 899) == [BLOCK]
    assert await store.present(now=NOW + 900) == []
    assert await store.find(BLOCK.network) == BLOCK


async def test_the_newest_comes_first(store: BlockStore) -> None:
    later = replace(BLOCK, network="2001:db8::/64", created_at=NOW + 1, until=None, created_by="uid:0")
    await store.put(BLOCK, now=NOW)
    await store.put(later, now=NOW + 1)
    assert await store.present(now=NOW + 1) == [later, BLOCK]


async def test_what_holds_as_long_or_longer_stays(database: Database, store: BlockStore) -> None:
    await store.put(BLOCK, now=NOW)
    for until in (NOW + 900, NOW + 1):
        assert not await store.put(replace(BLOCK, until=until, reason="other"), now=NOW)
    assert await store.find(BLOCK.network) == BLOCK
    assert await announced(database) == [BLOCK.network]


async def test_a_longer_block_takes_the_place_of_a_shorter_one(store: BlockStore) -> None:
    await store.put(BLOCK, now=NOW)
    longer = replace(BLOCK, until=NOW + 901, reason="longer")
    forever = replace(BLOCK, until=None, reason="for good")
    assert await store.put(longer, now=NOW)
    assert await store.put(forever, now=NOW)
    assert not await store.put(replace(longer, until=NOW + 10**9), now=NOW)
    assert not await store.put(forever, now=NOW)
    assert await store.present(now=NOW) == [forever]


async def test_a_block_takes_the_place_of_one_that_is_over(store: BlockStore) -> None:
    await store.put(BLOCK, now=NOW)
    again = replace(BLOCK, created_at=NOW + 950, until=NOW + 960, times=2)
    assert await store.put(again, now=NOW + 950)
    assert await store.find(BLOCK.network) == again


async def test_who_is_let_in_again_was_never_blocked(database: Database, store: BlockStore) -> None:
    await store.put(replace(BLOCK, times=5), now=NOW)
    assert await store.remove(BLOCK.network, at=NOW + 1)
    assert await store.find(BLOCK.network) is None
    assert not await store.remove(BLOCK.network, at=NOW + 1)
    assert await announced(database) == [BLOCK.network] * 2


async def test_a_block_that_is_over_cannot_be_lifted(store: BlockStore) -> None:
    await store.put(BLOCK, now=NOW)
    assert not await store.remove(BLOCK.network, at=NOW + 900)
    assert await store.find(BLOCK.network) == BLOCK


async def test_what_cannot_be_written_down_does_not_happen(database: Database, store: BlockStore) -> None:
    with pytest.raises(AuditUnavailable):
        await store.put(BLOCK, now=NOW, before_commit=fail)
    assert await store.find(BLOCK.network) is None
    await store.put(BLOCK, now=NOW)
    with pytest.raises(AuditUnavailable):
        await store.put(replace(BLOCK, until=None), now=NOW, before_commit=fail)
    with pytest.raises(AuditUnavailable):
        await store.remove(BLOCK.network, at=NOW, before_commit=fail)
    assert await store.present(now=NOW) == [BLOCK]
    assert await announced(database) == [BLOCK.network]


async def test_of_several_at_once_the_one_that_lasts_longest_stays(store: BlockStore) -> None:
    blocks = [replace(BLOCK, until=NOW + 900 + number, times=number) for number in range(8)]
    stored = await asyncio.gather(*(store.put(block, now=NOW) for block in blocks))
    assert any(stored)
    assert await store.find(BLOCK.network) == blocks[-1]


async def test_what_lengthens_no_block_any_more_is_dropped_with_new_ones(store: BlockStore) -> None:
    await store.put(BLOCK, now=NOW)
    later = NOW + 900 + REMEMBERED_SECONDS
    await store.put(replace(BLOCK, network="198.51.100.1", until=later + 60), now=later)
    assert await store.find(BLOCK.network) == BLOCK
    await store.put(replace(BLOCK, network="198.51.100.2", until=later + 60), now=later + 1)
    assert await store.find(BLOCK.network) is None
