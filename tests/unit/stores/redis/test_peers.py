import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs
from support.redis_peer import commands, serving
from support.running import at_work, soon
from support.servers import RedisServer, empty_redis_url

from gateway.stores.redis import Bell, Peers, RedisAddress
from gateway.stores.redis.peers import KEY


@pytest.fixture
def address() -> RedisAddress:
    return RedisAddress.parse(empty_redis_url())


@pytest.fixture
def own() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
async def client(address: RedisAddress) -> AsyncIterator[Redis]:
    async with address.client() as client:
        yield client


def test_a_process_that_has_heard_of_nobody_counts_itself(address: RedisAddress) -> None:
    assert Peers(address, name="a").count == 1


async def test_processes_count_each_other(address: RedisAddress) -> None:
    peers = [Peers(address, name=name) for name in "abc"]
    async with at_work(*(one.run() for one in peers)):
        await soon(lambda: [one.count for one in peers] == [3, 3, 3])


async def test_a_process_that_ends_cleanly_is_not_counted_any_more(
    address: RedisAddress, client: Redis
) -> None:
    stays, goes = Peers(address, name="stays"), Peers(address, name="goes")
    async with at_work(stays.run()):
        async with at_work(goes.run()):
            await soon(lambda: stays.count == 2)
        assert await client.zrange(KEY, 0, -1) == [b"stays"]
        await soon(lambda: stays.count == 1)
    assert await client.zcard(KEY) == 0


async def test_a_process_that_was_killed_is_forgotten(address: RedisAddress, client: Redis) -> None:
    seconds, _ = await client.time()
    await client.zadd(KEY, {"killed long ago": (seconds - 6) * 1000, "alive": seconds * 1000})
    # The server's clock was set back since.
    await client.zadd(KEY, {"from the future": (seconds + 3600) * 1000})
    peers = Peers(address, name="a")
    async with at_work(peers.run()):
        await soon(lambda: peers.count == 2)
        assert set(await client.zrange(KEY, 0, -1)) == {b"alive", b"a"}


async def test_what_is_kept_in_redis_expires_when_everybody_was_killed(
    address: RedisAddress, client: Redis
) -> None:
    peers = Peers(address, name="a")
    async with at_work(peers.run()):
        while not await client.exists(KEY):
            await asyncio.sleep(0.01)
        assert 0 < await client.pttl(KEY) <= 10_000


async def test_the_last_number_holds_while_redis_is_away(own: RedisServer) -> None:
    address = RedisAddress.parse(own.url)
    one, other = Peers(address, name="one"), Peers(address, name="other")
    with capture_logs() as logs:
        async with at_work(one.run(), other.run()):
            await soon(lambda: one.count == other.count == 2)
            own.stop("kill")
            await soon(lambda: [log["event"] for log in logs] == ["redis.failing"] * 2)
            await asyncio.sleep(1.5)
            assert (one.count, other.count) == (2, 2)
            own.start()
            await soon(lambda: len(logs) == 4)
            assert (one.count, other.count) == (2, 2)
    assert [log["event"] for log in logs] == ["redis.failing"] * 2 + ["redis.recovered"] * 2


async def test_a_redis_that_restarts_empty_makes_nobody_a_process_alone(own: RedisServer) -> None:
    address = RedisAddress.parse(own.url)
    peers = [Peers(address, name=str(number)) for number in range(4)]
    async with at_work(*(one.run() for one in peers)):
        await soon(lambda: all(one.count == 4 for one in peers))
        own.restart("kill")
        for _ in range(30):
            await asyncio.sleep(0.05)
            assert [one.count for one in peers] == [4, 4, 4, 4]


async def test_a_stalled_redis_is_survived_and_the_end_is_quick(own: RedisServer) -> None:
    address = RedisAddress.parse(own.url)
    peers = Peers(address, name="a")
    with capture_logs() as logs:
        async with at_work(peers.run()):
            async with address.client() as client:
                while not await client.zcard(KEY):
                    await asyncio.sleep(0.01)
            own.pause()
            await soon(lambda: [log["event"] for log in logs] == ["redis.failing"])
            own.resume()
            await soon(lambda: [log["event"] for log in logs] == ["redis.failing", "redis.recovered"])
            own.pause()
        # Whoever cannot say that it goes is forgotten a little later.


async def test_credentials_that_are_refused_stop_nothing_and_are_not_told() -> None:
    with RedisServer(password="right") as server:
        peers = Peers(RedisAddress.parse(f"redis://:wr0ng@127.0.0.1:{server.port}"), name="a")
        with capture_logs() as logs:
            async with at_work(peers.run()):
                await soon(lambda: logs)
        assert peers.count == 1
        assert "Authentication" in logs[0]["detail"]
        assert "wr0ng" not in str(logs)


async def test_the_processes_of_a_gateway_know_of_each_other_without_redis(address: RedisAddress) -> None:
    peers = Peers(address, name="a", at_least=4)
    assert peers.count == 4
    others = [Peers(address, name=name) for name in "bcdef"]
    async with at_work(peers.run()):
        await soon(lambda: peers._counts)
        assert peers.count == 4
        async with at_work(*(one.run() for one in others)):
            await soon(lambda: peers.count == 6)


@pytest.mark.parametrize("answer", [b"+OK\r\n", b"$-1\r\n", b"*1\r\n*0\r\n", b"*1\r\n*1\r\n$-1\r\n"])
async def test_what_only_looks_like_redis_ends_nothing(answer: bytes) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for _ in commands(reader):
            writer.write(answer)

    async with serving(handler) as port:
        address = RedisAddress.parse(f"redis://127.0.0.1:{port}")
        peers, bell = Peers(address, name="a", at_least=2), Bell(address)
        bell.ring()
        with capture_logs() as logs:
            async with at_work(peers.run(), bell.run()):
                await soon(lambda: {entry.get("what") for entry in logs} >= {"count of processes"})
                await asyncio.sleep(0.1)
        assert peers.count == 2
