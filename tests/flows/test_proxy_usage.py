"""What an upstream's live side says of itself: connections, retries and what failed."""

import asyncio

import pytest
from support.forwarding import Proxy, proxied
from support.upstream import Peer, answering, ok, unused_port, upstream_of, upstream_that

from gateway.proxy import Fault, Forwarder, UpstreamFault, Usage


def usage(forwarder: Forwarder) -> Usage:
    (only,) = forwarder.usage().values()
    return only


def seen(forwarder: Forwarder) -> tuple[int, int, int]:
    found = usage(forwarder)
    return found.busy, found.idle, found.waiting


async def test_connections_are_busy_then_idle_and_who_waits_is_seen() -> None:
    release = asyncio.Event()

    async def behave(peer: Peer) -> None:
        while True:
            await peer.request()
            await release.wait()
            peer.send(ok())

    async with proxied(behave, max_connections=1) as proxy:
        assert proxy.forwarder.usage() == {}
        both = [asyncio.ensure_future(proxy.get()) for _ in range(2)]
        while not proxy.raw.received:
            await asyncio.sleep(0.001)
        assert seen(proxy.forwarder) == (1, 0, 1)
        release.set()
        await asyncio.gather(*both)
        assert seen(proxy.forwarder) == (0, 1, 0)


async def test_a_failed_exchange_is_a_fault_and_a_target_passed_over_a_retry() -> None:
    async def closing(peer: Peer) -> None:
        await peer.request()

    async with proxied(closing) as proxy:
        for _ in range(2):
            with pytest.raises(UpstreamFault):
                await proxy.get()
        assert usage(proxy.forwarder).faults == {Fault.RESPONSE_HEAD: 2}
    async with upstream_that(answering(ok())) as raw:
        both = Proxy(upstream_of(raw.target_at(unused_port()), raw.target))
        for _ in range(2):
            await both.get()
        assert (usage(both.forwarder).retries, usage(both.forwarder).faults) == (1, {})
        await both.forwarder.close()


async def test_a_response_that_breaks_off_is_a_fault_although_nothing_is_raised() -> None:
    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")

    async with proxied(behave) as proxy:
        await proxy.get()
        assert usage(proxy.forwarder).faults == {Fault.RESPONSE_BODY_UPSTREAM: 1}
