"""What is left behind by exchanges that failed: nothing that only the garbage collector could free.

A failure holds the frames that it came through, and those hold the exchange, with what was buffered of it.
Left in a cycle it would stay until the collector comes by, which in a busy process is late and slow.
"""

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
from support.downstream import RecordingClient, Tap, head_of, upload_head
from support.forwarding import Proxy, proxied
from support.upstream import (
    Behaviour,
    Peer,
    Settings,
    answering,
    full_backlog,
    ok,
    unused_port,
    upstream_of,
    upstream_that,
)

from gateway.config import CircuitRules, OpenAfter, OutlierRules
from gateway.model import RequestHead
from gateway.proxy import BodyBroken, BodyTooLarge, ClientLeft, Fault, UpstreamFault

WEBSOCKET = (
    (b"Connection", b"Upgrade"),
    (b"Upgrade", b"websocket"),
    (b"Sec-WebSocket-Version", b"13"),
    (b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
)


@pytest.fixture(scope="module", autouse=True)
def _what_was_there() -> Iterator[None]:
    """The collector does not look at what was there before: with many tests that takes it a while."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@contextmanager
def nothing_left() -> Iterator[None]:
    """Fail when the block leaves objects of the gateway that only the collector frees."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        found = Counter(
            type(one).__qualname__
            for one in gc.garbage
            if type(one).__module__.startswith(("gateway.", "support."))
        )
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not found


async def fail(proxy: Proxy, client: RecordingClient, head: RequestHead) -> Fault | None:
    """Carry an exchange that fails; return what failed."""
    try:
        exchange = await proxy.send(client, head)
    except UpstreamFault as problem:
        return problem.fault
    except (BodyBroken, BodyTooLarge):
        return Fault.REQUEST_BODY_CLIENT
    return exchange.fault


async def settle() -> None:
    """Let the loop end what was closed."""
    for _ in range(5):
        await asyncio.sleep(0)


async def silent(peer: Peer) -> None:
    await peer.request()
    await peer.closed()


def saying(response: bytes, *, close: bool = True) -> Behaviour:
    async def behave(peer: Peer) -> None:
        await peer.head()
        peer.send(response)
        if close:
            peer.close()
        await peer.closed()

    return behave


async def resetting(peer: Peer) -> None:
    await peer.head()
    peer.reset()


TRUNCATED = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"
OPEN = saying(TRUNCATED, close=False)


@pytest.mark.parametrize(
    ("behaviour", "settings", "head", "fault"),
    [
        (saying(b""), {}, head_of(), Fault.RESPONSE_HEAD),
        (resetting, {}, head_of(), Fault.RESPONSE_HEAD),
        (saying(b"nonsense\r\n\r\n"), {}, head_of(), Fault.RESPONSE_HEAD),
        (saying(b"HTTP/1.1 101 Switching\r\n\r\n"), {}, head_of(), Fault.RESPONSE_HEAD),
        (saying(b"HTTP/1.1 101 Switching\r\n\r\n"), {}, head_of(*WEBSOCKET), Fault.RESPONSE_HEAD),
        (silent, {"response": 0.01}, head_of(), Fault.RESPONSE_HEAD_TIMEOUT),
        (saying(TRUNCATED), {}, head_of(), Fault.RESPONSE_BODY_UPSTREAM),
        (OPEN, {"idle": 0.01}, head_of(), Fault.RESPONSE_BODY_UPSTREAM),
        (saying(b"HTTP/1.1 103 Hints\r\n\r\n"), {}, head_of(), Fault.RESPONSE_HEAD),
    ],
)  # fmt: skip
async def test_an_upstream_s_failure(
    behaviour: Behaviour, settings: Settings, head: RequestHead, fault: Fault
) -> None:
    async with proxied(behaviour, **settings) as proxy:
        with nothing_left():
            assert await fail(proxy, RecordingClient(), head) == fault
            await settle()


@pytest.mark.parametrize("problem", [ClientLeft, BodyBroken, BodyTooLarge])
@pytest.mark.parametrize("behaviour", [silent, OPEN])
async def test_a_request_body_that_breaks(problem: type[Exception], behaviour: Behaviour) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        yield b"x"
        await gives_up.wait()
        raise problem

    async def failing() -> None:
        client = RecordingClient(breaking())
        sent = proxy.begin(client, upload_head(100))
        if behaviour is OPEN:
            await client.until(4)
        else:
            await settle()
        gives_up.set()
        await asyncio.wait({sent})

    gives_up = asyncio.Event()
    async with proxied(behaviour) as proxy:
        with nothing_left():
            await failing()
            await settle()


async def test_an_upload_that_the_upstream_ends() -> None:
    async def failing() -> None:
        tap = Tap()
        tap.let_out(b"x")
        assert await fail(proxy, RecordingClient(tap), upload_head(100)) == Fault.REQUEST_BODY_UPSTREAM

    async with proxied(saying(b"")) as proxy:
        with nothing_left():
            await failing()
            await settle()


async def test_an_upload_that_the_upstream_does_not_take() -> None:
    async def stalling(peer: Peer) -> None:
        await peer.head()
        await asyncio.Event().wait()

    async def failing() -> None:
        body = [b"x" * 2**20] * 20
        head = upload_head(20 * 2**20)
        assert await fail(proxy, RecordingClient(body), head) == Fault.REQUEST_BODY_TIMEOUT

    async with proxied(stalling, idle=0.05) as proxy:
        with nothing_left():
            await failing()
            await settle()


async def test_a_client_that_leaves_or_stops_reading() -> None:
    async def failing(*, leaves: bool) -> Fault | None:
        client = RecordingClient()
        client.reading.clear()
        sent = proxy.begin(client, head_of())
        while not client.drains:
            await asyncio.sleep(0)
        if leaves:
            client.leave()
        return (await sent).fault

    async with proxied(OPEN, idle=0.05) as proxy:
        with nothing_left():
            assert await failing(leaves=True) == Fault.CLIENT_LEFT
            assert await failing(leaves=False) == Fault.RESPONSE_BODY_CLIENT
            await settle()


@pytest.mark.parametrize("behaviour", [silent, OPEN])
@pytest.mark.parametrize("head", [head_of(), upload_head(100)])
async def test_an_exchange_that_is_cancelled(behaviour: Behaviour, head: RequestHead) -> None:
    async def failing() -> None:
        client = RecordingClient(Tap())
        sent = proxy.begin(client, head)
        if behaviour is OPEN:
            await client.until(4)
        else:
            await settle()
        sent.cancel()
        await asyncio.wait({sent})
        assert sent.cancelled()

    async with proxied(behaviour) as proxy:
        with nothing_left():
            await failing()
            await settle()


async def test_targets_that_cannot_be_connected_to() -> None:
    async with upstream_that(answering(ok())) as raw:
        for targets, retries, fault in (
            ([raw.target_at(unused_port())], 0, Fault.CONNECT),
            ([raw.target_at(unused_port()), raw.target_at(unused_port())], 1, Fault.CONNECT),
            ([raw.target_at(unused_port()), raw.target], 1, None),
        ):
            proxy = Proxy(
                upstream_of(
                    *targets,
                    retries=retries,
                    outlier=OutlierRules(consecutive_errors=9, eject_for=1, max_ejected=0.5),
                    circuit=CircuitRules(open_after=OpenAfter(errors=1, within=10, at_least=100)),
                )
            )
            with nothing_left():
                assert await fail(proxy, RecordingClient(), head_of()) == fault
                await settle()
            await proxy.forwarder.close()


async def test_a_target_that_does_not_answer_in_time() -> None:
    with full_backlog() as target:
        proxy = Proxy(upstream_of(target, connect=0.02))
        with nothing_left():
            assert await fail(proxy, RecordingClient(), head_of()) == Fault.CONNECT_TIMEOUT
            await settle()
        await proxy.forwarder.close()


async def test_a_line_that_does_not_move_or_is_full() -> None:
    async with proxied(silent, connect=0.02, max_connections=1, max_waiting=1) as proxy:
        first = proxy.begin(RecordingClient(), head_of())
        await settle()
        with nothing_left():
            assert await fail(proxy, RecordingClient(), head_of()) == Fault.POOL_FULL
            waiting = proxy.begin(RecordingClient(), head_of())
            await settle()
            assert await fail(proxy, RecordingClient(), head_of()) == Fault.POOL_FULL
            waiting.cancel()
            await asyncio.wait({waiting})
            del waiting
            await settle()
        first.cancel()
        await asyncio.wait({first})
