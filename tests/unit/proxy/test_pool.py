"""Connections to one target: kept, lent, and let go."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from support.upstream import Peer, RawUpstream, answering, ok, unused_port, upstream_that

from gateway.config import PoolRules, Timeouts, TlsRules
from gateway.proxy import Fault, UpstreamFault
from gateway.proxy.connection import Connection
from gateway.proxy.dial import Dial
from gateway.proxy.line import Line
from gateway.proxy.pool import Pool
from gateway.proxy.resolver import Resolver
from gateway.proxy.tls import Credentials

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
TIMEOUTS = Timeouts(connect=5, response=5, idle=5)
STOPPING = UpstreamFault(Fault.GIVEN_UP, "stopping")


def dial() -> Dial:
    async def look_up(_: str) -> Sequence[str]:
        return ["127.0.0.1", "127.0.0.2"]

    return Dial(Resolver(look_up=look_up), Credentials(TlsRules()))


class Pooled:
    """A pool, its line, and the upstream that it leads to."""

    def __init__(self, raw: RawUpstream, most: int, host: str | None = None) -> None:
        self.raw = raw
        self.line: Line[Pool] = Line("orders")
        rules = PoolRules(max_connections=most, max_waiting=10, keepalive=30)
        self.pool = Pool(raw.target_at(raw.port, host), rules, self.line)
        self.dial = dial()

    async def opened(self) -> Connection:
        assert self.pool.reserve()
        return await self.pool.open(self.dial, 5)

    async def used(self, connection: Connection) -> None:
        """Carry one exchange, and give the connection back."""
        connection.send_head(HEAD, bodiless=False, body=False, chunked=False, timeouts=TIMEOUTS)
        await connection.head()
        while await connection.body():
            pass
        if connection.end_exchange():
            self.pool.offer(connection)

    async def waiter(self) -> "asyncio.Future[tuple[Pool, Connection | None]]":
        before = len(self.line.waiters)
        task = asyncio.ensure_future(self.line.wait(5, 10, ()))
        while len(self.line.waiters) == before:
            await asyncio.sleep(0)
        return task


@asynccontextmanager
async def pooled(*, most: int = 1, host: str | None = None) -> AsyncIterator[Pooled]:
    async with upstream_that(answering(ok())) as raw:
        one = Pooled(raw, most, host)
        yield one
        one.pool.close(STOPPING)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (one.pool.count, one.pool.idle, one.pool.busy) == (0, 0, 0)


async def test_the_connection_used_last_is_used_next() -> None:
    async with pooled(most=2) as one:
        first, second = await one.opened(), await one.opened()
        await one.used(first)
        await one.used(second)
        assert (one.pool.count, one.pool.idle, one.pool.busy) == (2, 2, 0)
        assert one.pool.take() is second
        assert one.pool.take() is first
        assert one.pool.take() is None
        assert one.pool.busy == 2


async def test_there_is_no_room_beyond_the_most() -> None:
    async with pooled(most=2) as one:
        assert [one.pool.reserve() for _ in range(3)] == [True, True, False]
        one.pool.take_back(None)
        assert one.pool.reserve()
        one.pool.take_back(None)
        one.pool.take_back(None)


async def test_a_connection_goes_to_whoever_waits() -> None:
    async with pooled() as one:
        connection = await one.opened()
        waiting = await one.waiter()
        await one.used(connection)
        assert await waiting == (one.pool, connection)
        assert one.pool.take() is None


async def test_the_room_of_a_connection_that_ended_goes_to_whoever_waits() -> None:
    async with pooled() as one:
        connection = await one.opened()
        waiting = await one.waiter()
        connection.abort()
        assert await waiting == (one.pool, None)
        assert not one.pool.reserve()
        one.pool.take_back(None)


async def test_what_is_handed_back_unused_is_passed_on() -> None:
    async with pooled() as one:
        connection = await one.opened()
        waiting = await one.waiter()
        one.pool.take_back(connection)
        assert await waiting == (one.pool, connection)
        waiting = await one.waiter()
        connection.abort()
        one.pool.take_back(connection)
        assert await waiting == (one.pool, None)
        waiting = await one.waiter()
        one.pool.take_back(None)
        assert await waiting == (one.pool, None)
        one.pool.take_back(None)


async def test_cancelling_while_a_connection_is_opened_frees_its_room() -> None:
    async with pooled() as one:
        opening = asyncio.ensure_future(one.opened())
        await asyncio.sleep(0)
        assert one.pool.count == 1
        opening.cancel()
        await asyncio.wait([opening])
        assert one.pool.count == 0


async def test_a_connection_that_could_not_be_opened_frees_its_room() -> None:
    async with pooled() as one:
        one.pool.target = one.raw.target_at(unused_port())
        assert one.pool.reserve()
        waiting = await one.waiter()
        with pytest.raises(UpstreamFault):
            await one.pool.open(one.dial, 5)
        assert await waiting == (one.pool, None)
        one.pool.take_back(None)


async def test_an_upstream_that_has_closed_is_noticed_before_the_loop_tells() -> None:
    async def behave(peer: Peer) -> None:
        await peer.request()
        peer.send(ok())

    async with upstream_that(behave) as raw:
        one = Pooled(raw, 2)
        await one.used(await one.opened())
        await raw.peers[0].gone.wait()
        assert one.pool.take() is None
        one.pool.close(STOPPING)


async def test_a_target_that_is_out_keeps_nothing_and_serves_nobody_until_it_is_back() -> None:
    async with pooled(most=2) as one:
        idle, busy = await one.opened(), await one.opened()
        await one.used(idle)
        one.pool.keep_nothing()
        assert one.pool.take() is None
        waiting = await one.waiter()
        await one.used(busy)
        for peer in one.raw.peers:
            await peer.gone.wait()
        assert not waiting.done()
        one.pool.keep_again()
        assert await waiting == (one.pool, None)
        connection = await one.pool.open(one.dial, 5)
        await one.used(connection)
        assert one.pool.take() is connection


async def test_connections_to_addresses_that_a_name_has_lost_are_not_used_again() -> None:
    async with (
        pooled(most=3, host="service") as one,
        upstream_that(answering(ok()), "127.0.0.2", port=one.raw.port),
    ):
        opened = [await one.opened() for _ in range(3)]
        by_address = {one.pool._addresses[connection]: connection for connection in opened}
        for connection in opened[1:]:
            await one.used(connection)
        one.pool.follow(frozenset({"127.0.0.2"}))
        await one.used(opened[0])
        kept = []
        while (found := one.pool.take()) is not None:
            kept.append(found)
        assert {one.pool._addresses[each] for each in kept} == {"127.0.0.2"}
        assert by_address["127.0.0.2"] in kept
        for peer in one.raw.peers:
            await peer.gone.wait()


async def test_an_address_that_is_back_before_its_exchange_ended_is_kept() -> None:
    async with pooled(host="service") as one:
        connection = await one.opened()
        address = one.pool._addresses[connection]
        one.pool.follow(frozenset({"127.0.0.9"}))
        one.pool.follow(frozenset({"127.0.0.9", address}))
        await one.used(connection)
        assert one.pool.take() is connection


async def test_closing_ends_exchanges_with_the_fault() -> None:
    async with pooled() as one:
        connection = await one.opened()
        connection.send_head(HEAD, bodiless=False, body=False, chunked=False, timeouts=TIMEOUTS)
        one.pool.close(STOPPING)
        with pytest.raises(UpstreamFault) as caught:
            await connection.head()
        assert caught.value is STOPPING
