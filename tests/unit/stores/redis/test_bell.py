import asyncio
import time
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs
from support.running import at_work, soon
from support.servers import RedisServer, empty_redis_url, free_port

from gateway.stores.redis import Bell, RedisAddress
from gateway.stores.redis.bell import KEY, LENGTH

LONG = 10.0


@pytest.fixture
def address() -> RedisAddress:
    return RedisAddress.parse(empty_redis_url())


@pytest.fixture
def own() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


async def heard(bell: Bell, within: float) -> bool:
    """Whether a wait ended early."""
    begun = time.monotonic()
    await bell.wait(within)
    return time.monotonic() - begun < within - 0.01


async def listening(*bells: Bell) -> None:
    """Return when all listen, with what they heard by connecting behind them."""
    for bell in bells:
        assert await heard(bell, LONG)


async def test_a_ring_is_heard_by_every_process(address: RedisAddress) -> None:
    bells = [Bell(address) for _ in range(3)]
    async with at_work(*(bell.run() for bell in bells)):
        await listening(*bells)
        begun = time.monotonic()
        bells[0].ring()
        assert all(await asyncio.gather(*(heard(bell, LONG) for bell in bells)))
        assert time.monotonic() - begun < 0.5


async def test_without_a_ring_a_wait_takes_its_time(address: RedisAddress) -> None:
    bell = Bell(address)
    async with at_work(bell.run()):
        await listening(bell)
        # Longer than Redis holds a question, so that one that ends without news is seen too.
        assert not await heard(bell, 1.3)
        bell.ring()
        assert await heard(bell, LONG)


async def test_a_ring_between_two_waits_is_not_lost(address: RedisAddress) -> None:
    bell = Bell(address)
    async with at_work(bell.run()):
        await listening(bell)
        bell.ring()
        await soon(bell._heard.is_set)
        assert await heard(bell, LONG)
        assert not await heard(bell, 0.2)


async def test_many_rings_are_few_messages_and_one_awakening(address: RedisAddress) -> None:
    bell = Bell(address)
    async with at_work(bell.run()), address.client() as client:
        await listening(bell)
        for _ in range(1000):
            bell.ring()
        assert await heard(bell, LONG)
        assert not await heard(bell, 0.2)
        assert await client.xlen(KEY) <= 2


async def test_the_stream_stays_short(address: RedisAddress) -> None:
    async with address.client() as client:
        await client.eval(
            f"for _ = 1, {3 * LENGTH} do redis.call('XADD', KEYS[1], '*', 'rung', '1') end", 1, KEY
        )
        bell = Bell(address)
        bell.ring()
        await bell.flush()
        assert await client.xlen(KEY) <= 2 * LENGTH


async def test_a_process_that_ends_at_once_is_heard(address: RedisAddress) -> None:
    bell, command = Bell(address), Bell(address)
    async with at_work(bell.run()):
        await listening(bell)
        command.ring()
        await command.flush()
        assert await heard(bell, LONG)


@pytest.mark.parametrize("turns", range(10))
async def test_a_cancellation_is_not_lost_whenever_it_comes(address: RedisAddress, turns: int) -> None:
    bell = Bell(address)
    async with at_work(bell.run()):
        await listening(bell)
        bell.ring()
        assert await heard(bell, LONG)
        # With the connection made, a ring is sent within a few turns of the loop.
        bell.ring()
        for _ in range(turns):
            await asyncio.sleep(0)


async def test_a_flush_without_a_ring_asks_nobody() -> None:
    await Bell(RedisAddress.parse(f"redis://127.0.0.1:{free_port()}")).flush()


async def test_a_flush_gives_up_in_time(own: RedisServer) -> None:
    bell = Bell(RedisAddress.parse(own.url))
    own.pause()
    bell.ring()
    begun = time.monotonic()
    await bell.flush(within=0.3)
    assert time.monotonic() - begun < 1.0
    own.stop("kill")
    bell.ring()
    await bell.flush()


async def test_a_restarted_redis_wakes_everybody_and_carries_the_next_ring(own: RedisServer) -> None:
    address = RedisAddress.parse(own.url)
    bell, other = Bell(address), Bell(address)
    with capture_logs() as logs:
        async with at_work(bell.run(), other.run()):
            await listening(bell, other)
            own.stop("kill")
            await soon(lambda: len(logs) == 2)
            # Nobody hears this one.
            bell.ring()
            assert not await heard(bell, 0.2)
            own.start()
            # Rings may have been missed.
            await listening(bell, other)
            bell.ring()
            assert await heard(other, LONG)
    assert {log["event"] for log in logs} == {"redis.failing", "redis.recovered"}
    assert len(logs) <= 6


async def test_a_stalled_redis_is_noticed_and_its_recovery_too(own: RedisServer) -> None:
    bell = Bell(RedisAddress.parse(own.url))
    with capture_logs() as logs:
        async with at_work(bell.run()):
            await listening(bell)
            own.pause()
            await soon(lambda: logs)
            own.resume()
            await listening(bell)
            bell.ring()
            assert await heard(bell, LONG)
            own.pause()
    assert [log["event"] for log in logs][:2] == ["redis.failing", "redis.recovered"]


async def test_credentials_that_are_refused_stop_nothing_and_are_not_told() -> None:
    with RedisServer(password="right") as server:
        bell = Bell(RedisAddress.parse(f"redis://:wr0ng@127.0.0.1:{server.port}"))
        with capture_logs() as logs:
            async with at_work(bell.run()):
                bell.ring()
                await soon(lambda: len(logs) == 2)
                assert not await heard(bell, 0.1)
        assert "wr0ng" not in str(logs)
