"""Long responses: at once, no faster than the client reads, and ended when somebody goes. Real sockets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from support.downstream import RecordingClient, Tap, head_of, upload_head
from support.forwarding import proxied
from support.upstream import Peer, answering, ok

from gateway.model import Outcome
from gateway.proxy import Fault, UpstreamFault, reason_for

CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_each_event_arrives_before_the_next_is_sent() -> None:
    client = RecordingClient()

    async def behave(peer: Peer) -> None:
        await peer.request()
        peer.send(CHUNKED)
        while not client.started:
            await client.arrived.wait()
        for number in range(1, 6):
            peer.send(b"8\r\ndata: %d\n\r\n" % number)
            await client.until(8 * number)
        peer.send(b"0\r\n\r\n")
        await peer.closed()

    async with proxied(behave) as proxy:
        exchange = await proxy.send(client)
    assert client.body == b"".join(b"data: %d\n" % number for number in range(1, 6))
    assert exchange.outcome is Outcome.COMPLETE
    assert client.drains >= 1


async def test_a_client_that_does_not_read_slows_the_upstream() -> None:
    sent = 0
    size = 100 * 2**20

    async def behave(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        while sent < size:
            await peer.send_all(b"x" * 65_536)
            sent += 65_536
        await peer.closed()

    async with proxied(behave, idle=30) as proxy:
        client = RecordingClient()
        client.keeps = False
        client.reading.clear()
        running = proxy.begin(client, head_of())
        last = -1
        while sent != last or sent == 0:
            last = sent
            await asyncio.sleep(0.05)
        assert sent < 20 * 2**20
        assert client.size < 2**20
        client.reading.set()
        exchange = await running
    assert exchange.bytes_out == client.size == size


async def test_a_client_that_leaves_during_the_response_ends_it_upstream() -> None:
    async def behave(peer: Peer) -> None:
        await peer.request()
        peer.send(CHUNKED)
        with contextlib.suppress(ConnectionError):
            while not peer.writer.transport.is_closing():
                await peer.send_all(b"1\r\nx\r\n")
                await asyncio.sleep(0)

    async with proxied(behave, max_connections=1) as proxy:
        for count in (1, 2):
            client = RecordingClient()
            running = proxy.begin(client, head_of())
            await client.until(1)
            client.leave()
            exchange = await running
            assert (exchange.outcome, exchange.fault) == (Outcome.CLIENT_LEFT, Fault.CLIENT_LEFT)
            await proxy.raw.peers[count - 1].gone.wait()


@pytest.mark.parametrize("stage", ["connecting", "waiting", "uploading", "streaming"])
async def test_a_cancelled_exchange_closes_its_connection_and_gives_its_place_back(stage: str) -> None:
    reached = asyncio.Event()

    async def behave(peer: Peer) -> None:
        await peer.head()
        if peer.number > 1:
            peer.send(ok())
            return
        if stage == "streaming":
            peer.send(CHUNKED + b"1\r\nx\r\n")
        reached.set()
        await peer.closed()

    async with proxied(behave, max_connections=1) as proxy:
        client = RecordingClient(tap := Tap())
        running = proxy.begin(client, upload_head() if stage == "uploading" else head_of())
        if stage != "connecting":
            await reached.wait()
        if stage == "streaming":
            await client.until(1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert tap.ended == (stage == "uploading")
        if stage != "connecting":
            await proxy.raw.peers[0].gone.wait()
            _, client = await proxy.get()
            assert client.body == b"hello"


async def test_silence_in_the_middle_of_a_body_cuts_the_client_off() -> None:
    async def behave(peer: Peer) -> None:
        await peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        await peer.closed()

    async with proxied(behave, idle=0.05) as proxy:
        exchange, client = await proxy.get()
        await proxy.raw.peers[0].gone.wait()
    assert (client.body, client.ending) == (b"abc", "aborted")
    assert (exchange.outcome, exchange.fault) == (Outcome.UPSTREAM_FAILED, Fault.RESPONSE_BODY_UPSTREAM)


async def test_every_byte_starts_the_idle_time_anew() -> None:
    async def behave(peer: Peer) -> None:
        await peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        for _ in range(10):
            await asyncio.sleep(0.06)
            peer.send(b"x")
        await peer.closed()

    async with proxied(behave, idle=0.5, response=0.5) as proxy:
        exchange, client = await proxy.get()
    assert (client.body, exchange.outcome) == (b"x" * 10, Outcome.COMPLETE)


async def test_a_client_that_stops_reading_is_cut_off() -> None:
    async def behave(peer: Peer) -> None:
        await peer.request()
        peer.send(CHUNKED + b"1\r\nx\r\n")
        await peer.closed()

    async with proxied(behave, idle=0.05, response=60) as proxy:
        client = RecordingClient()
        client.reading.clear()
        exchange = await proxy.send(client)
        await proxy.raw.peers[0].gone.wait()
    assert client.ending == "aborted"
    assert (exchange.outcome, exchange.fault) == (Outcome.CUT, Fault.RESPONSE_BODY_CLIENT)


@pytest.mark.parametrize("announced", [b"30000", b"60000"])
async def test_a_client_that_stops_reading_is_cut_off_also_when_the_upstream_has_gone(
    announced: bytes,
) -> None:
    async def behave(peer: Peer) -> None:
        await peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " + announced + b"\r\n\r\nx")
        await client.arrived.wait()
        await asyncio.sleep(0)
        await peer.send_all(b"x" * 29_999)
        peer.close()

    async with proxied(behave, idle=0.1) as proxy:
        client = RecordingClient()
        client.reading.clear()
        async with asyncio.timeout(2):
            exchange = await proxy.send(client, head_of())
    is_whole = announced == b"30000"
    assert exchange.fault is (Fault.RESPONSE_BODY_CLIENT if is_whole else Fault.RESPONSE_BODY_UPSTREAM)
    assert client.ending == "aborted"


async def test_no_answer_in_time_is_a_504() -> None:
    async def behave(peer: Peer) -> None:
        await peer.request()
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
        await peer.closed()

    async with proxied(behave, response=0.05) as proxy:
        with pytest.raises(UpstreamFault) as caught:
            await proxy.get()
        await proxy.raw.peers[0].gone.wait()
        assert proxy.raw.connections == 1
    assert caught.value.fault is Fault.RESPONSE_HEAD_TIMEOUT
    assert reason_for(caught.value.fault) == "upstream-timeout"


async def test_the_time_for_an_answer_begins_when_the_request_is_complete() -> None:
    async def slowly() -> AsyncIterator[bytes]:
        for _ in range(6):
            await asyncio.sleep(0.04)
            yield b"x"

    async with proxied(answering(ok()), response=0.1, idle=1) as proxy:
        exchange = await proxy.send(RecordingClient(slowly()), upload_head(6))
    assert exchange.outcome is Outcome.COMPLETE


async def test_a_client_that_stops_sending_is_told_so() -> None:
    async def behave(peer: Peer) -> None:
        await peer.head()
        await peer.closed()

    async with proxied(behave, idle=0.05) as proxy:
        client = RecordingClient(tap := Tap())
        tap.let_out(b"abc")
        with pytest.raises(UpstreamFault) as caught:
            await proxy.send(client, upload_head())
        assert tap.ended
    assert caught.value.fault is Fault.REQUEST_BODY_CLIENT
    assert reason_for(caught.value.fault) == "request-timeout"


async def test_an_upstream_that_stops_reading_is_a_504() -> None:
    released = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65_536

    async def behave(peer: Peer) -> None:
        await peer.head()
        await released.wait()

    async with proxied(behave, idle=0.2) as proxy:
        with pytest.raises(UpstreamFault) as caught:
            await proxy.send(RecordingClient(endless()), upload_head())
        released.set()
    assert caught.value.fault is Fault.REQUEST_BODY_TIMEOUT
    assert reason_for(caught.value.fault) == "upstream-timeout"


@pytest.mark.parametrize("reads", [True, False])
async def test_a_client_that_stalls_both_ways_is_not_the_upstream_s_failure(*, reads: bool) -> None:
    async def echo(peer: Peer) -> None:
        await peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        while data := await peer.reader.read(65_536):
            await peer.send_all(data)

    async def sending() -> AsyncIterator[bytes]:
        yield b"x"
        if reads:
            await asyncio.Event().wait()
        while True:
            yield b"x" * 65_536

    async with proxied(echo, idle=0.1) as proxy:
        client = RecordingClient(sending())
        running = proxy.begin(client, upload_head(100_000_000))
        await client.until(1)
        if not reads:
            client.reading.clear()
        async with asyncio.timeout(2):
            exchange = await running
    assert exchange.fault is (Fault.REQUEST_BODY_CLIENT if reads else Fault.RESPONSE_BODY_CLIENT)
    assert (client.ending, exchange.outcome) == ("aborted", Outcome.CUT)


async def test_closing_the_forwarder_ends_what_runs() -> None:
    async def behave(peer: Peer) -> None:
        await peer.request()
        peer.send(CHUNKED + b"1\r\nx\r\n")
        await peer.closed()

    async with proxied(behave) as proxy:
        client = RecordingClient()
        running = proxy.begin(client, head_of())
        await client.until(1)
        await proxy.forwarder.close()
        exchange = await running
    assert (client.ending, exchange.outcome, exchange.fault) == ("aborted", Outcome.CUT, Fault.GIVEN_UP)
