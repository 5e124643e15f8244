"""Who gets which connection, at the moments when it matters."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from support.upstream import Peer, RawUpstream, answering, ok, upstream_that

from gateway.config import PoolRules, Timeouts
from gateway.proxy import Fault, UpstreamFault
from gateway.proxy.connection import Connection
from gateway.proxy.pool import Pool

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
TIMEOUTS = Timeouts(connect=5, response=5, idle=5)


@asynccontextmanager
async def pooled(*, most: int = 1, line: int = 10) -> AsyncIterator[tuple[Pool, RawUpstream]]:
    async with upstream_that(answering(ok())) as raw:
        pool = Pool(raw.target, PoolRules(max_connections=most, max_waiting=line, keepalive=30))
        yield pool, raw
        pool.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (pool.count, pool.idle, pool.waiting) == (0, 0, 0)


async def use(connection: Connection) -> None:
    connection.send_head(HEAD, bodiless=False, body=False, chunked=False, timeouts=TIMEOUTS)
    await connection.head()
    while await connection.body():
        pass


async def line_up(pool: Pool) -> "asyncio.Task[Connection]":
    before = pool.waiting
    task = asyncio.ensure_future(pool.get(5))
    while pool.waiting == before:
        await asyncio.sleep(0)
    return task


async def test_a_connection_goes_to_whoever_waits_longest() -> None:
    async with pooled() as (pool, raw):
        connection = await pool.get(5)
        first, second = await line_up(pool), await line_up(pool)
        await use(connection)
        pool.give_back(connection)
        assert await first is connection
        assert not second.done()
        assert pool.take() is None
        await use(connection)
        pool.give_back(connection)
        assert await second is connection
        pool.give_back(connection)
        assert raw.connections == 1


async def test_a_connection_given_to_somebody_who_leaves_is_passed_on() -> None:
    async with pooled() as (pool, _):
        connection = await pool.get(5)
        leaving, staying = await line_up(pool), await line_up(pool)
        await use(connection)
        pool.give_back(connection)
        # It has been handed over, and the one it was handed to has not woken up yet.
        leaving.cancel()
        assert await staying is connection
        assert leaving.cancelled()
        pool.give_back(connection)


async def test_room_given_to_somebody_who_leaves_is_passed_on() -> None:
    async with pooled() as (pool, raw):
        connection = await pool.get(5)
        leaving, staying = await line_up(pool), await line_up(pool)
        pool.give_back(connection)
        while pool.waiting == 2:
            await asyncio.sleep(0)
        leaving.cancel()
        fresh = await staying
        assert fresh is not connection
        assert (pool.count, raw.connections) == (1, 2)
        pool.give_back(fresh)


async def test_a_connection_that_dies_while_it_is_handed_over_is_replaced() -> None:
    async with pooled() as (pool, raw):
        connection = await pool.get(5)
        waiting = await line_up(pool)
        await use(connection)
        pool.give_back(connection)
        connection.abort()
        fresh = await waiting
        assert fresh is not connection
        assert raw.connections == 2
        pool.give_back(fresh)


async def test_cancelling_while_a_connection_is_opened_frees_its_room() -> None:
    async with pooled() as (pool, _):
        opening = asyncio.ensure_future(pool.get(5))
        await asyncio.sleep(0)
        assert pool.count == 1
        opening.cancel()
        await asyncio.wait([opening])
        assert pool.count == 0
        pool.give_back(await pool.get(5))


async def test_a_failed_connection_frees_its_room_for_the_next_in_line() -> None:
    async with pooled() as (pool, raw):
        connection = await pool.get(5)
        waiting = [await line_up(pool) for _ in range(3)]
        raw.close()
        pool.give_back(connection)
        for task in waiting:
            with pytest.raises(UpstreamFault) as caught:
                await task
            assert caught.value.fault is Fault.CONNECT


async def test_closing_turns_away_whoever_waits() -> None:
    async with pooled() as (pool, _):
        await pool.get(5)
        waiting = await line_up(pool)
        pool.close()
        with pytest.raises(UpstreamFault):
            await waiting


async def test_an_upstream_that_has_closed_is_noticed_before_the_loop_tells() -> None:
    async def behave(peer: Peer) -> None:
        await peer.request()
        peer.send(ok())

    async with upstream_that(behave) as raw:
        pool = Pool(raw.target, PoolRules(max_connections=2, max_waiting=0, keepalive=30))
        connection = await pool.get(5)
        await use(connection)
        pool.give_back(connection)
        await raw.peers[0].gone.wait()
        assert pool.take() is None
        pool.close()
