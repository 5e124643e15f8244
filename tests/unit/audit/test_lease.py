"""Which process serves an outlet."""

from collections.abc import Mapping

import pytest

from gateway.audit.lease import SECONDS, Lease
from gateway.ports import Position


class Positions:
    """Positions in memory, as all processes see them."""

    def __init__(self) -> None:
        self.positions: dict[str, dict[str, int]] = {}
        self.holders: dict[str, tuple[str, float]] = {}
        self.asked = 0

    async def hold(self, outlet: str, *, holder: str, now: float, until: float) -> bool:
        self.asked += 1
        known = self.holders.get(outlet)
        if known is not None and known[0] != holder and known[1] > now:
            return False
        self.holders[outlet] = (holder, until)
        return True

    async def position(self, outlet: str) -> Position:
        return dict(self.positions.get(outlet, {}))

    async def advance(self, outlet: str, position: Mapping[str, int]) -> None:
        self.positions.setdefault(outlet, {}).update(position)


class Clock:
    """Time that moves when it is told to."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


@pytest.fixture
def positions() -> Positions:
    return Positions()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lease(positions: Positions, clock: Clock) -> Lease:
    return Lease(positions, "stdout", clock, holder="one")


@pytest.fixture
def other(positions: Positions, clock: Clock) -> Lease:
    return Lease(positions, "stdout", clock, holder="other")


async def test_one_process_has_an_outlet_and_keeps_it(lease: Lease, other: Lease, clock: Clock) -> None:
    assert await lease.keep()
    for _ in range(10):
        clock.time += SECONDS / 3
        assert await lease.keep()
        assert not await other.keep()
    assert lease.remaining > 0 > other.remaining


async def test_keeping_it_does_not_ask_the_store_each_time(lease: Lease, positions: Positions) -> None:
    for _ in range(100):
        assert await lease.keep()
    assert positions.asked == 1


async def test_another_goes_on_where_one_that_fell_silent_was(
    lease: Lease, other: Lease, clock: Clock
) -> None:
    assert await lease.keep()
    await lease.advance({"w": 7})
    clock.time += SECONDS + 1
    assert await other.keep()
    assert other.position == {"w": 7}
    await other.advance({"w": 9, "v": 1})
    assert not await lease.keep()
    assert lease.position == {}


async def test_one_that_slept_finds_out_how_far_others_came(lease: Lease, other: Lease, clock: Clock) -> None:
    assert await lease.keep()
    await lease.advance({"w": 7})
    clock.time += SECONDS + 1
    assert await other.keep()
    await other.advance({"w": 9})
    clock.time += SECONDS + 1
    assert await lease.keep()
    assert lease.position == {"w": 9}


async def test_what_is_released_is_free_at_once(lease: Lease, other: Lease) -> None:
    assert await lease.keep()
    await lease.advance({"w": 7})
    await lease.release()
    assert lease.remaining < 0
    assert await other.keep()
    assert other.position == {"w": 7}


async def test_what_another_has_is_not_released(lease: Lease, other: Lease, positions: Positions) -> None:
    assert await lease.keep()
    assert not await other.keep()
    await other.release()
    assert positions.holders["stdout"][0] == "one"


async def test_outlets_are_held_apart(positions: Positions, clock: Clock, lease: Lease) -> None:
    assert await lease.keep()
    assert await Lease(positions, "file /x", clock, holder="other").keep()
