"""When keys were used: noted in memory, brought to a table that may be away."""

import asyncio

import pytest
from support.running import at_work, soon
from unit.identity.world import KeyTable

from gateway.identity import KeyUses
from gateway.ports import StoreUnavailable


async def test_the_last_use_of_each_key_is_brought_to_the_store_once() -> None:
    table = KeyTable()
    uses = KeyUses(table)
    await uses.flush()
    assert table.used == []
    for at in (1.0, 2.0, 3.0):
        uses.note("key_a", at)
    uses.note("key_b", 2.5)
    await uses.flush()
    await uses.flush()
    assert table.used == [{"key_a": 3.0, "key_b": 2.5}]


async def test_what_a_store_that_is_away_does_not_take_is_kept_and_newer_uses_win() -> None:
    table = KeyTable()
    table.broken = True
    uses = KeyUses(table)
    uses.note("key_a", 1.0)
    uses.note("key_b", 1.0)
    with pytest.raises(StoreUnavailable):
        await uses.flush()
    uses.note("key_a", 2.0)
    table.broken = False
    await uses.flush()
    assert table.used == [{"key_a": 2.0, "key_b": 1.0}]


async def test_uses_are_brought_now_and_then_even_after_an_outage_and_once_more_at_the_end() -> None:
    table = KeyTable()
    table.broken = True
    uses = KeyUses(table)
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0.001)

    uses.note("key_a", 1.0)
    async with at_work(uses.run(pause=pause)):
        await soon(lambda: len(pauses) > 3)
        table.broken = False
        await soon(lambda: table.used == [{"key_a": 1.0}])
        uses.note("key_a", 2.0)
    assert table.used[-1] == {"key_a": 2.0}
    assert set(pauses) == {5.0}


async def test_an_end_without_the_store_ends() -> None:
    table = KeyTable()
    table.broken = True
    uses = KeyUses(table)
    uses.note("key_a", 1.0)
    async with at_work(uses.run()):
        await asyncio.sleep(0)
    assert table.used == []
