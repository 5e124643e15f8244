"""What lasts longer than a moment is known to the watch, and ends when it says so. Real sockets."""

import asyncio

import pytest
from support.downstream import RecordingClient, Tap, head_of, upload_head
from support.forwarding import Proxy
from support.upstream import Behaviour, Peer, answering, ok, upstream_of, upstream_that

from gateway.model import Outcome
from gateway.proxy import Fault, Ongoing, reason_for

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n"


class Watcher:
    """Remembers what goes on, and what went on."""

    def __init__(self) -> None:
        self.ongoing: list[Ongoing] = []
        self.begun = 0
        self.changed = asyncio.Event()

    def begin(self, exchange: Ongoing) -> None:
        self.ongoing.append(exchange)
        self.begun += 1
        self.changed.set()

    def over(self, exchange: Ongoing) -> None:
        self.ongoing.remove(exchange)


def saying(*first: bytes, then: bytes = b"") -> Behaviour:
    """Answer with some bytes, and with the rest once the gateway reads them or closes."""

    async def behave(peer: Peer) -> None:
        await peer.request()
        for piece in first:
            await peer.send_all(piece)
            await asyncio.sleep(0)
        if then:
            peer.send(then)
        await peer.closed()

    return behave


@pytest.mark.parametrize("going_away", [False, True])
async def test_a_body_on_its_way_is_cut_when_it_is_recalled(*, going_away: bool) -> None:
    watch = Watcher()
    async with upstream_that(saying(HEAD + b"\r\nhello")) as raw:
        proxy = Proxy(upstream_of(raw.target), watch=watch)
        client = RecordingClient()
        running = proxy.begin(client, head_of())
        await client.until(5)
        (exchange,) = watch.ongoing
        assert exchange.permit.head.target == "/orders/1"
        assert not exchange.is_stream
        exchange.recall(going_away=going_away)
        ended = await running
        fault = Fault.GIVEN_UP if going_away else Fault.RECALLED
        assert (ended.outcome, ended.fault, client.ending) == (Outcome.CUT, fault, "aborted")
        assert reason_for(fault) == ("draining" if going_away else "credentials-invalid")
        assert watch.ongoing == []
        await raw.peers[0].gone.wait()
        assert proxy.forwarder.usage()["orders"].busy == 0
        await proxy.forwarder.close()


async def test_a_client_that_does_not_read_hears_of_it_too() -> None:
    watch = Watcher()
    async with upstream_that(saying(HEAD + b"\r\nhello")) as raw:
        proxy = Proxy(upstream_of(raw.target), watch=watch)
        client = RecordingClient()
        client.reading.clear()
        running = proxy.begin(client, head_of())
        await watch.changed.wait()
        watch.ongoing[0].recall()
        ended = await running
        assert (ended.outcome, ended.fault) == (Outcome.CUT, Fault.RECALLED)
        await proxy.forwarder.close()


async def test_an_upload_in_progress_ends_with_it() -> None:
    watch, body = Watcher(), Tap()

    async def behave(peer: Peer) -> None:
        await peer.head()
        peer.send(HEAD + b"\r\nhello")
        await peer.closed()

    async with upstream_that(behave) as raw:
        proxy = Proxy(upstream_of(raw.target), watch=watch)
        client = RecordingClient(body)
        running = proxy.begin(client, upload_head())
        body.let_out(b"piece")
        await client.until(5)
        watch.ongoing[0].recall()
        ended = await running
        assert (ended.outcome, ended.fault, ended.bytes_in) == (Outcome.CUT, Fault.RECALLED, 5)
        assert body.ended
        await proxy.forwarder.close()


@pytest.mark.parametrize(
    ("content_type", "is_stream"),
    [
        (b"text/event-stream", True),
        (b"Text/Event-Stream; charset=utf-8", True),
        (b"text/plain", False),
    ],
)
async def test_server_sent_events_are_a_stream(content_type: bytes, *, is_stream: bool) -> None:
    watch = Watcher()
    async with upstream_that(saying(HEAD + b"content-type: " + content_type + b"\r\n\r\nhello")) as raw:
        proxy = Proxy(upstream_of(raw.target), watch=watch)
        client = RecordingClient()
        running = proxy.begin(client, head_of())
        await client.until(5)
        assert watch.ongoing[0].is_stream is is_stream
        client.leave()
        raw.peers[0].send(b"12345")
        await running
        await proxy.forwarder.close()


async def test_what_arrives_whole_is_nobody_s_business() -> None:
    watch = Watcher()
    async with upstream_that(answering(ok())) as raw:
        proxy = Proxy(upstream_of(raw.target), watch=watch)
        for _ in range(3):
            await proxy.get()
        assert watch.begun == 0
        await proxy.forwarder.close()


async def test_however_an_exchange_ends_the_watch_hears_of_it() -> None:
    watch = Watcher()
    async with upstream_that(saying(HEAD + b"\r\nhello")) as raw:
        proxy = Proxy(upstream_of(raw.target), watch=watch)
        client = RecordingClient()
        running = proxy.begin(client, head_of())
        await client.until(5)
        running.cancel()
        await asyncio.wait({running})
        assert (watch.begun, watch.ongoing) == (1, [])
        client = RecordingClient()
        running = proxy.begin(client, head_of())
        await client.until(5)
        raw.peers[1].reset()
        assert (await running).outcome is Outcome.UPSTREAM_FAILED
        assert (watch.begun, watch.ongoing) == (2, [])
        await proxy.forwarder.close()
