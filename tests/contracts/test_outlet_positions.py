"""What every store of outlets' positions does: one process at a time, and never back."""

import asyncio

import pytest
from databases import opened

from gateway.ports import OutletPositions
from gateway.stores.sql import Database, SqlOutletPositions

HOOK = "webhook https://siem.example.com/ingest"


@pytest.fixture
def positions(database: Database) -> OutletPositions:
    return SqlOutletPositions(database)


async def test_an_outlet_is_held_by_one_process_until_its_time_is_over(positions: OutletPositions) -> None:
    assert await positions.hold(HOOK, holder="a", now=100.0, until=130.0)
    assert not await positions.hold(HOOK, holder="b", now=129.9, until=160.0)
    assert await positions.hold("stdout", holder="b", now=129.9, until=160.0)
    assert await positions.hold(HOOK, holder="a", now=120.0, until=150.0)
    assert not await positions.hold(HOOK, holder="b", now=149.0, until=160.0)
    assert await positions.hold(HOOK, holder="b", now=150.0, until=180.0)
    assert not await positions.hold(HOOK, holder="a", now=151.0, until=181.0)


async def test_an_outlet_that_is_given_up_is_free_at_once(positions: OutletPositions) -> None:
    assert await positions.hold(HOOK, holder="a", now=100.0, until=130.0)
    assert await positions.hold(HOOK, holder="a", now=101.0, until=101.0)
    assert await positions.hold(HOOK, holder="b", now=101.0, until=130.0)


async def test_of_many_who_want_an_outlet_at_once_one_has_it(database: Database, url: str) -> None:
    async with opened(url) as other:
        held = await asyncio.gather(
            *(
                SqlOutletPositions(one).hold(HOOK, holder=f"{name}{number}", now=1.0, until=2.0)
                for number in range(5)
                for one, name in ((database, "a"), (other, "b"))
            )
        )
    assert sum(held) == 1


async def test_a_position_is_empty_at_first_and_then_what_it_was_moved_to(positions: OutletPositions) -> None:
    assert await positions.position(HOOK) == {}
    await positions.advance(HOOK, {})
    await positions.advance(HOOK, {"w1": 5, "w2": 1 << 40})
    await positions.advance(HOOK, {"w1": 7})
    await positions.advance("stdout", {"w1": 1})
    assert await positions.position(HOOK) == {"w1": 7, "w2": 1 << 40}
    assert await positions.position("stdout") == {"w1": 1}


async def test_a_position_never_goes_back(positions: OutletPositions) -> None:
    await positions.advance(HOOK, {"w1": 7})
    await positions.advance(HOOK, {"w1": 5, "w2": 1})
    assert await positions.position(HOOK) == {"w1": 7, "w2": 1}
