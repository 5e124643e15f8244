"""Blocked addresses as one process knows them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

import pytest

from gateway.ports import Block, Change, ChangeKind, StoreUnavailable
from gateway.stores.memory import FollowedBlocks

PROXY = "10.0.0.1"


@dataclass
class Clock:
    at: float = 1000.0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


@dataclass
class Kept:
    """A store in a dictionary, which may be away."""

    blocks: dict[str, Block] = field(default_factory=dict)
    away: bool = False
    asked: int = 0

    async def present(self, *, now: float) -> list[Block]:
        return [block for block in self.blocks.values() if block.until is None or block.until > now]

    async def find(self, network: str) -> Block | None:
        self.asked += 1
        if self.away:
            raise StoreUnavailable("away")
        return self.blocks.get(network)

    async def put(self, block: Block, **_options: Any) -> bool:
        raise NotImplementedError

    async def remove(self, network: str, **_options: Any) -> bool:
        raise NotImplementedError


def block(network: str, until: float | None = 1900.0) -> Block:
    return Block(
        network=network, reason="failed logins", created_by=None, created_at=1000.0, until=until, times=1
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> Kept:
    return Kept()


@pytest.fixture
def blocked(store: Kept, clock: Clock) -> FollowedBlocks:
    return FollowedBlocks(store, clock, spares=lambda client: client == PROXY)


@asynccontextmanager
async def following(blocked: FollowedBlocks) -> AsyncIterator[None]:
    async def pause(_seconds: float) -> None:
        await asyncio.sleep(0)

    task = asyncio.ensure_future(blocked.follow(pause=pause))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def settled(blocked: FollowedBlocks) -> None:
    while blocked._stale or blocked._noticed.is_set():
        await asyncio.sleep(0)


def anybody(blocked: FollowedBlocks) -> bool:
    return blocked.any


def change(network: str) -> Change:
    return Change(1, ChangeKind.BLOCKS, network, 0, 1000.0)


async def test_a_process_that_starts_knows_who_is_blocked(
    store: Kept, blocked: FollowedBlocks, clock: Clock
) -> None:
    store.blocks = {each.network: each for each in (block("203.0.113.7"), block("2001:db8::/64", None))}
    assert not anybody(blocked)
    await blocked.start()
    assert anybody(blocked)
    assert len(blocked) == 2
    assert blocked.holds("203.0.113.7") == 900
    assert blocked.holds("::ffff:203.0.113.7") == 900
    assert blocked.holds("2001:db8::1") == inf
    assert blocked.holds("2001:db8:0:1::1") is None
    assert blocked.holds("203.0.113.8") is None


async def test_a_block_is_over_to_the_moment(blocked: FollowedBlocks, clock: Clock) -> None:
    blocked.take(block("203.0.113.7"))
    clock.at = 1899.9
    assert blocked.holds("203.0.113.7") == pytest.approx(0.1)
    clock.at = 1900.0
    assert blocked.holds("203.0.113.7") is None
    assert anybody(blocked)
    blocked.sweep()
    assert not anybody(blocked)
    assert len(blocked) == 0


async def test_no_block_holds_for_a_trusted_proxy_or_a_unix_socket(blocked: FollowedBlocks) -> None:
    blocked.take(block(PROXY, None))
    blocked.take(block("", None))
    assert blocked.holds(PROXY) is None
    assert blocked.holds("") is None
    assert blocked.spares(PROXY)
    assert blocked.spares("")
    assert not blocked.spares("203.0.113.7")


async def test_what_is_announced_is_looked_up(store: Kept, blocked: FollowedBlocks) -> None:
    async with following(blocked):
        store.blocks["203.0.113.7"] = block("203.0.113.7")
        blocked.notice(change("203.0.113.7"))
        await settled(blocked)
        assert blocked.holds("203.0.113.7") == 900
        store.blocks["203.0.113.7"] = replace(store.blocks["203.0.113.7"], until=None)
        blocked.notice(change("203.0.113.7"))
        await settled(blocked)
        assert blocked.holds("203.0.113.7") == inf
        del store.blocks["203.0.113.7"]
        blocked.notice(change("203.0.113.7"))
        await settled(blocked)
        assert blocked.holds("203.0.113.7") is None
        assert not anybody(blocked)


async def test_while_the_store_is_away_what_is_known_holds_and_the_rest_is_asked_for_again(
    store: Kept, blocked: FollowedBlocks
) -> None:
    blocked.take(block("198.51.100.1"))
    store.blocks = {each.network: each for each in (block("198.51.100.1"), block("203.0.113.7"))}
    store.away = True
    async with following(blocked):
        blocked.notice(change("203.0.113.7"))
        while store.asked < 3:
            await asyncio.sleep(0)
        assert blocked.holds("198.51.100.1") == 900
        assert blocked.holds("203.0.113.7") is None
        store.away = False
        await settled(blocked)
        assert blocked.holds("203.0.113.7") == 900


async def test_who_is_blocked_is_not_said_in_logs(blocked: FollowedBlocks) -> None:
    blocked.take(block("203.0.113.7"))
    assert repr(blocked) == "FollowedBlocks(1)"
