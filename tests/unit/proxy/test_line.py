"""Who waits longest is served first, and what is not used is passed on."""

import asyncio
from typing import cast

import pytest

from gateway.proxy import Fault, UpstreamFault
from gateway.proxy.connection import Connection
from gateway.proxy.line import Line


class Giver:
    def __init__(self) -> None:
        self.got_back: list[Connection | None] = []

    def take_back(self, connection: Connection | None) -> None:
        self.got_back.append(connection)


GIFT = cast("Connection", object())
Waiting = asyncio.Future[tuple[Giver, Connection | None]]


async def joined(line: Line[Giver], *passed_over: Giver, within: float = 5) -> Waiting:
    before = len(line.waiters)
    task = asyncio.ensure_future(line.wait(within, 10, passed_over))
    while len(line.waiters) == before:
        await asyncio.sleep(0)
    return task


async def test_the_longest_wait_ends_first() -> None:
    line, giver = Line[Giver]("orders"), Giver()
    first, second = await joined(line), await joined(line)
    assert line.serve(giver, GIFT)
    assert await first == (giver, GIFT)
    assert not second.done()
    assert line.serve(giver, None)
    assert await second == (giver, None)
    assert not line.serve(giver, GIFT)
    assert not line.waiters


async def test_a_pool_that_somebody_passes_over_serves_the_next() -> None:
    line, tried, other = Line[Giver]("orders"), Giver(), Giver()
    picky, any_will_do = await joined(line, tried), await joined(line)
    assert line.serve(tried, GIFT)
    assert await any_will_do == (tried, GIFT)
    assert not line.serve(tried, GIFT)
    assert line.serve(other, GIFT)
    assert await picky == (other, GIFT)


@pytest.mark.parametrize("gift", [GIFT, None])
async def test_what_somebody_was_given_who_leaves_goes_back(gift: Connection | None) -> None:
    line, giver = Line[Giver]("orders"), Giver()
    leaving = await joined(line)
    line.serve(giver, gift)
    leaving.cancel()
    await asyncio.wait([leaving])
    assert leaving.cancelled()
    assert giver.got_back == [gift]


async def test_somebody_who_is_about_to_leave_is_given_nothing() -> None:
    line, giver = Line[Giver]("orders"), Giver()
    leaving, staying = await joined(line), await joined(line)
    leaving.cancel()
    assert line.serve(giver, GIFT)
    assert await staying == (giver, GIFT)
    await asyncio.wait([leaving])
    assert not giver.got_back
    assert not line.waiters


async def test_a_line_that_does_not_move_or_is_full_is_a_fault() -> None:
    line = Line[Giver]("orders")
    waiting = await joined(line, within=0.01)
    with pytest.raises(UpstreamFault) as caught:
        await line.wait(5, 1, ())
    assert caught.value.fault is Fault.POOL_FULL
    with pytest.raises(UpstreamFault) as caught:
        await waiting
    assert caught.value.fault is Fault.POOL_FULL
    assert not line.waiters


async def test_everybody_can_be_turned_away() -> None:
    line = Line[Giver]("orders")
    all_of_them = [await joined(line) for _ in range(3)]
    all_of_them[0].cancel()
    line.turn_away(UpstreamFault(Fault.GIVEN_UP))
    await asyncio.wait(all_of_them)
    assert [task.cancelled() for task in all_of_them] == [True, False, False]
    assert not line.waiters
    for task in all_of_them[1:]:
        with pytest.raises(UpstreamFault):
            await task
