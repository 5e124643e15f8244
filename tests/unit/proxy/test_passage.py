"""An exchange whose response is encrypted, and one whose request is decrypted, over real sockets."""

import asyncio
import gc
from collections.abc import AsyncIterator

import pytest
from support.downstream import ALICE, RecordingClient, Tap, head_of, upload_head
from support.forwarding import proxied
from support.running import soon
from support.upstream import Behaviour, Peer, answering, ok
from unit.proxy.enveloped import BATCH, KEY, LARGEST, Ring, opened_by_client

from gateway.config import OutlierRules
from gateway.model import Framing, Line, Outcome, Reason
from gateway.proxy import (
    Envelope,
    EnvelopeRefused,
    Exchange,
    Fault,
    Ongoing,
    UpstreamFault,
)
from gateway.proxy.envelope_response import ResponseSealing

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
JSON = b"Content-Type: application/json"


class Watched:
    """A watch that keeps what it is told of."""

    def __init__(self) -> None:
        self.ongoing: list[Ongoing] = []
        self.begun = asyncio.Event()

    def begin(self, exchange: Ongoing) -> None:
        self.ongoing.append(exchange)
        self.begun.set()

    def over(self, exchange: Ongoing) -> None:
        self.ongoing.remove(exchange)


@pytest.fixture
async def ring() -> AsyncIterator[Ring]:
    ring = await Ring.open()
    yield ring
    assert ring.memory.held == 0, "however an exchange ends, it gives back what it held"


def sending(*pieces: bytes, then: str = "wait") -> Behaviour:
    """Answer the first request piece by piece; then wait for others, close, or reset."""

    async def behave(peer: Peer) -> None:
        await peer.request()
        for piece in pieces:
            peer.send(piece)
            await asyncio.sleep(0.01)
        if then == "close":
            peer.close()
        elif then == "reset":
            peer.reset()
        else:
            await peer.closed()

    return behave


async def carried(
    ring: Ring, behaviour: Behaviour, *fields: tuple[str, ...], method: str = "GET", largest: int = 1000
) -> tuple[Exchange, RecordingClient]:
    client = RecordingClient()
    async with proxied(behaviour) as proxy:
        envelope = ring.encrypting(*fields, largest=largest)
        return await proxy.send(client, head_of(method=method), envelope=envelope), client


@pytest.mark.parametrize(
    "pieces",
    [
        [ok(b"secret", JSON)],
        [ok(b"secret", JSON)[:-6], b"sec", b"ret"],
        [CHUNKED + JSON + b"\r\n\r\n3\r\nsec\r\n3\r\nret\r\n0\r\nX-Sum: 1\r\n\r\n"],
        [CHUNKED + JSON + b"\r\n\r\n3\r\nsec\r\n", b"3\r\nret\r\n", b"0\r\n", b"\r\n"],
        [b"HTTP/1.1 200 OK\r\n" + JSON + b"\r\n\r\nsec", b"ret"],
    ],
)
async def test_a_response_arrives_encrypted_however_it_was_sent(ring: Ring, pieces: list[bytes]) -> None:
    exchange, client = await carried(ring, sending(*pieces, then="close"))
    opened = await ring.keys.unseal(KEY, client.body)
    assert (opened.plaintext, opened.content_type) == (b"secret", "application/json")
    assert client.values(b"content-type") == [b"application/jose"]
    assert client.values(b"content-length") == [b"%d" % len(client.body)]
    assert (client.framing, client.ending, client.trailers) == (Framing.LENGTH, "finished", [])
    assert exchange == Exchange(200, 0, len(client.body), Outcome.COMPLETE)


async def test_a_response_arrives_encrypted_for_the_client(ring: Ring) -> None:
    client = RecordingClient()
    async with proxied(answering(ok(b"secret", b"Cache-Control: public"))) as proxy:
        await proxy.send(client, principal=BATCH, envelope=ring.encrypting(key=None))
        with pytest.raises(EnvelopeRefused):
            await proxy.send(RecordingClient(), principal=ALICE, envelope=ring.encrypting(key=None))
        assert len(proxy.raw.received) == 1
    assert opened_by_client(client.body) == b"secret"
    assert client.values(b"cache-control") == [b"no-store"]


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("HEAD", ok(b"", b'ETag: "x"', JSON, b"Content-Range: bytes 0-1/2")[:-2] + b"\r\n"),
        ("GET", b'HTTP/1.1 204 No Content\r\nETag: "x"\r\nContent-Type: application/json\r\n\r\n'),
        ("GET", b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n' + JSON + b"\r\nContent-Length: 5\r\n\r\n"),
    ],
)
async def test_a_response_without_a_body_stays_one(ring: Ring, method: str, answer: bytes) -> None:
    exchange, client = await carried(ring, answering(answer), method=method)
    assert (exchange.outcome, client.framing, client.body) == (Outcome.COMPLETE, Framing.NONE, b"")
    assert client.values(b"content-type") == [b"application/json"]
    assert client.values(b"etag") == client.values(b"content-length") == []


@pytest.mark.parametrize(
    ("answer", "is_whole"),
    [
        (ok(b"x" * 1001), True),
        (ok(b"x" * 1001)[:-1], False),
        (CHUNKED + b"\r\n3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n", True),
        (CHUNKED + b"\r\n3e9\r\n" + b"x" * 1001 + b"\r\n", False),
        (ok(b"x", b"Content-Encoding: gzip"), True),
        (ok(b"x", b"Content-Type: text/event-stream"), True),
        (CHUNKED + b"Content-Type: text/event-stream\r\n\r\n1\r\nx\r\n", False),
        (b"HTTP/1.1 206 Partial\r\nContent-Length: 1\r\n\r\nx", True),
        (b"HTTP/1.1 206 Partial\r\nContent-Length: 2\r\n\r\nx", False),
    ],
)
async def test_what_cannot_be_encrypted_is_not_sent(ring: Ring, answer: bytes, *, is_whole: bool) -> None:
    async def behave(peer: Peer) -> None:
        await peer.request()
        peer.send(answer)
        await peer.request()
        peer.send(ok(b"next"))
        await peer.closed()

    client = RecordingClient()
    async with proxied(behave) as proxy:
        with pytest.raises(UpstreamFault) as caught:
            await proxy.send(client, envelope=ring.encrypting(largest=1000))
        assert caught.value.fault is Fault.NOT_ENCRYPTABLE
        assert (client.started, client.ending, client.body) == (False, None, b"")
        assert proxy.forwarder.usage()["orders"].faults == {Fault.NOT_ENCRYPTABLE: 1}
        if is_whole:
            assert (await proxy.get())[1].body == b"next", "its connection is used again"
            assert proxy.raw.connections == 1
        else:
            assert proxy.forwarder.usage()["orders"].idle == 0


@pytest.mark.parametrize("body", [b"{", b'{"a": "\xff"}', b"{} {}", b""])
async def test_fields_of_what_is_not_json_are_not_sent(ring: Ring, body: bytes) -> None:
    with pytest.raises(UpstreamFault) as caught:
        await carried(ring, answering(ok(body, JSON)), ("a",))
    assert caught.value.fault is Fault.NOT_ENCRYPTABLE
    assert caught.value.__context__ is None, "nothing holds on to the body"


async def test_fields_are_encrypted_and_the_rest_is_as_it_was(ring: Ring) -> None:
    body = b'{"n": 1e400, "card": {"number": "4711"}}'
    _, client = await carried(ring, answering(ok(body, JSON, b'ETag: "x"')), ("card", "number"))
    assert client.body.startswith(b'{"n": 1e400, "card": {"number": {"$enc":"ey')
    assert client.body.endswith(b'"}}}')
    assert client.values(b"content-length") == [b"%d" % len(client.body)]
    assert (client.values(b"content-type"), client.values(b"etag")) == ([b"application/json"], [])


async def test_a_response_that_cannot_be_encrypted_does_not_count_against_the_upstream(ring: Ring) -> None:
    outlier = OutlierRules(consecutive_errors=1, eject_for=60, max_ejected=1.0)
    async with proxied(answering(ok(b"x", b"Content-Encoding: gzip")), outlier=outlier) as proxy:
        for _ in range(3):
            with pytest.raises(UpstreamFault):
                await proxy.send(RecordingClient(), envelope=ring.encrypting())
        assert [target.ejections for target in proxy.forwarder.usage()["orders"].targets.values()] == [0]


@pytest.mark.parametrize(
    ("pieces", "then"),
    [
        ([ok(b"x" * 10)[:-3]], "close"),
        ([ok(b"x" * 10)[:-3]], "reset"),
        ([CHUNKED + b"\r\n3\r\nxyz\r\n"], "close"),
        ([CHUNKED + b"\r\n3\r\nxyzt\r\n"], "wait"),
    ],
)
async def test_a_response_that_breaks_off_is_a_proper_answer(
    ring: Ring, pieces: list[bytes], then: str
) -> None:
    with pytest.raises(UpstreamFault) as caught:
        await carried(ring, sending(*pieces, then=then))
    assert caught.value.fault is Fault.RESPONSE_BODY_UPSTREAM


async def test_a_response_that_stops_coming_is_given_up(ring: Ring) -> None:
    client = RecordingClient()
    async with proxied(sending(ok(b"x" * 10)[:-3]), idle=0.1) as proxy:
        with pytest.raises(UpstreamFault) as caught:
            await proxy.send(client, envelope=ring.encrypting())
    assert caught.value.fault is Fault.RESPONSE_BODY_UPSTREAM
    assert not client.started


async def test_a_byte_now_and_then_is_enough(ring: Ring) -> None:
    async def behave(peer: Peer) -> None:
        await peer.request()
        peer.send(ok(b"x" * 5)[:-5])
        for _ in range(5):
            await asyncio.sleep(0.1)  # a third of what is allowed, and longer together
            peer.send(b"x")
        await peer.closed()

    client = RecordingClient()
    async with proxied(behave, idle=0.3, response=0.3) as proxy:
        await proxy.send(client, envelope=ring.encrypting())
    assert await ring.opened(client.body) == b"xxxxx"


async def test_a_response_that_finds_no_memory_is_an_overload(ring: Ring) -> None:
    client = RecordingClient()
    ring.memory.take(16 * LARGEST - 100)
    async with proxied(answering(ok(b"x" * 101), ok(b"x" * 100))) as proxy:
        with pytest.raises(UpstreamFault) as caught:
            await proxy.send(client, envelope=ring.encrypting())
        assert (caught.value.fault, client.started) == (Fault.MEMORY_FULL, False)
        await proxy.send(client, envelope=ring.encrypting())
    ring.memory.give_back(16 * LARGEST - 100)
    assert await ring.opened(client.body) == b"x" * 100


async def test_a_key_that_is_rotated_while_an_answer_is_awaited_is_not_used_any_more(ring: Ring) -> None:
    """Its older versions may have been retired, because they are known to others."""

    async def behave(peer: Peer) -> None:
        await peer.request()
        ring.rows.put(KEY, 2)
        await ring.keys.look_again(KEY)
        peer.send(ok(b"secret"))
        await peer.closed()

    client = RecordingClient()
    async with proxied(behave) as proxy:
        await proxy.send(client, envelope=ring.encrypting())
    assert (await ring.keys.unseal(KEY, client.body)).version == 2


async def test_a_client_whose_key_is_taken_away_while_an_answer_is_awaited_gets_none(ring: Ring) -> None:
    async def behave(peer: Peer) -> None:
        await peer.request()
        ring.take_key_away()
        peer.send(ok(b"secret"))
        await peer.closed()

    client = RecordingClient()
    async with proxied(behave) as proxy:
        with pytest.raises(EnvelopeRefused) as caught:
            await proxy.send(client, principal=BATCH, envelope=ring.encrypting(key=None))
    assert caught.value.reason is Reason.CONDITION_NOT_MET
    assert not client.started


async def test_a_client_that_leaves_while_a_response_is_gathered_ends_it(ring: Ring) -> None:
    watch = Watched()
    async with proxied(sending(ok(b"x" * 10)[:-3]), watch=watch) as proxy:
        carrying = asyncio.ensure_future(proxy.send(RecordingClient(), envelope=ring.encrypting()))
        await watch.begun.wait()
        carrying.cancel()
        await asyncio.wait({carrying})
        await proxy.raw.peers[0].gone.wait()
        assert watch.ongoing == []


async def test_a_response_is_recalled_while_it_is_gathered(ring: Ring) -> None:
    watch = Watched()
    client = RecordingClient()
    async with proxied(sending(ok(b"x" * 10)[:-3]), watch=watch) as proxy:
        carrying = asyncio.ensure_future(proxy.send(client, envelope=ring.encrypting()))
        await watch.begun.wait()
        (exchange,) = watch.ongoing
        assert not exchange.is_stream
        exchange.recall()
        with pytest.raises(UpstreamFault) as caught:
            await carrying
    assert caught.value.fault is Fault.RECALLED
    assert (client.ending, client.body) == ("aborted", b"")


LONG = b"secret" * 100_000


async def test_a_long_response_is_sent_as_fast_as_the_client_takes_it(ring: Ring) -> None:
    client = RecordingClient()
    client.reading.clear()
    async with proxied(answering(ok(LONG)), idle=5) as proxy:
        sending_ = asyncio.ensure_future(proxy.send(client, envelope=ring.encrypting(largest=len(LONG))))
        await client.until(65_536)
        assert client.size == 65_536
        await soon(lambda: proxy.forwarder.usage()["orders"].idle == 1)
        client.reading.set()
        exchange = await sending_
    assert await ring.opened(client.body) == LONG
    assert (exchange.bytes_out, client.ending) == (len(client.body), "finished")


async def test_a_client_that_stops_reading_is_cut(ring: Ring) -> None:
    client = RecordingClient()
    client.reading.clear()
    watch = Watched()
    async with proxied(answering(ok(LONG)), idle=0.1, watch=watch) as proxy:
        exchange = await proxy.send(client, envelope=ring.encrypting(largest=len(LONG)))
    assert (exchange.outcome, exchange.fault) == (Outcome.CUT, Fault.RESPONSE_BODY_CLIENT)
    assert client.ending == "aborted"
    assert watch.ongoing == []


async def test_a_response_is_recalled_while_a_slow_client_takes_it(ring: Ring) -> None:
    client = RecordingClient()
    client.reading.clear()
    watch = Watched()
    async with proxied(answering(ok(LONG)), watch=watch) as proxy:
        carrying = asyncio.ensure_future(proxy.send(client, envelope=ring.encrypting(largest=len(LONG))))
        await client.until(65_536)
        watch.ongoing[0].recall()
        exchange = await carrying
    assert exchange.outcome is Outcome.CLIENT_LEFT
    assert (client.ending, client.size) == ("aborted", 65_536)


async def test_a_request_is_repeated_where_that_is_written_and_the_second_answer_encrypted(
    ring: Ring,
) -> None:
    client = RecordingClient()
    first = b"HTTP/1.1 503 Oh\r\nContent-Length: 5\r\n\r\nfirst"
    async with proxied(answering(first, ok(b"second")), retry_on={"503"}) as proxy:
        await proxy.send(client, envelope=ring.encrypting())
        assert len(proxy.raw.received) == 2
    assert await ring.opened(client.body) == b"second"


async def test_an_error_is_encrypted_with_its_status(ring: Ring) -> None:
    exchange, client = await carried(ring, answering(b"HTTP/1.1 500 Oh\r\nContent-Length: 3\r\n\r\nwhy"))
    assert (exchange.status, client.reason) == (500, b"Oh")
    assert await ring.opened(client.body) == b"why"


async def test_interim_responses_pass(ring: Ring) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    _, client = await carried(ring, sending(hints, ok(b"secret")))
    assert [status for status, _, _ in client.interims] == [103]
    assert await ring.opened(client.body) == b"secret"


async def test_interim_responses_say_nothing_of_the_plaintext(ring: Ring) -> None:
    hints = b'HTTP/1.1 103 Early Hints\r\nETag: "x"\r\nLink: </a>\r\nRepr-Digest: y\r\nX-A: b\r\n\r\n'
    _, client = await carried(ring, sending(hints, ok(b"secret")))
    assert [lines for _, _, lines in client.interims] == [[(b"Link", b"</a>"), (b"X-A", b"b")]]
    async with proxied(sending(hints, ok(b"open"))) as proxy:
        await proxy.send(client := RecordingClient())
    assert (b"ETag", b'"x"') in client.interims[0][2]


async def test_a_request_body_is_carried_beside_a_response_that_is_encrypted(ring: Ring) -> None:
    client = RecordingClient([b"hel", b"lo"])
    async with proxied(answering(ok(b"secret"))) as proxy:
        exchange = await proxy.send(client, upload_head(5), envelope=ring.encrypting())
        assert proxy.raw.received[0].body == b"hello"
    assert exchange.bytes_in == 5
    assert await ring.opened(client.body) == b"secret"


async def test_an_answer_before_the_end_of_the_request_is_encrypted_too(ring: Ring) -> None:
    async def behave(peer: Peer) -> None:
        await peer.head()
        peer.send(ok(b"enough"))
        await peer.closed()

    tap = Tap()
    tap.let_out(b"hello")
    client = RecordingClient(tap)
    async with proxied(behave) as proxy:
        await proxy.send(client, upload_head(), envelope=ring.encrypting())
        assert tap.ended
        assert proxy.forwarder.usage()["orders"].idle == 0, "the request was not sent to its end"
    assert await ring.opened(client.body) == b"enough"


EXPECT: Line = (b"Expect", b"100-continue")


async def test_a_client_is_asked_for_its_body_where_the_response_alone_is_encrypted(ring: Ring) -> None:
    client = RecordingClient([b"hello"])
    async with proxied(answering(ok(b"secret"))) as proxy:
        head = upload_head(5, EXPECT)
        await proxy.send(client, head, envelope=ring.encrypting())
        assert proxy.raw.received[0].values(b"expect") == []
    assert await ring.opened(client.body) == b"secret"


@pytest.mark.parametrize("size", [0, 7, 300_000])
async def test_an_upstream_gets_what_was_decrypted(ring: Ring, size: int) -> None:
    sealed = ring.key.seal_jwe(b"s" * size, content_type="text/plain")
    client = RecordingClient([sealed[:10], sealed[10:]])
    async with proxied(answering(ok())) as proxy:
        head = upload_head(None, EXPECT, (b"Content-Type", b"application/jose"))
        exchange = await proxy.send(client, head, envelope=ring.decrypting())
        (received,) = proxy.raw.received
    assert received.raw_body == b"s" * size
    assert received.values(b"content-length") == [b"%d" % size]
    assert received.values(b"content-type") == [b"text/plain"]
    assert received.values(b"transfer-encoding") == received.values(b"expect") == []
    assert (client.continued, client.body) == (1, b"hello")
    assert exchange.bytes_in == len(sealed)


async def test_nothing_is_asked_of_an_upstream_when_a_request_does_not_open(ring: Ring) -> None:
    async with proxied(answering(ok())) as proxy:
        with pytest.raises(EnvelopeRefused):
            await proxy.send(RecordingClient([b"plain"]), upload_head(5), envelope=ring.decrypting())
        assert proxy.raw.connections == 0


async def test_what_was_decrypted_is_held_until_it_is_sent_and_not_until_it_is_answered(ring: Ring) -> None:
    async def behave(peer: Peer) -> None:
        await peer.request()
        assert ring.memory.held == 0
        peer.send(ok())
        await peer.closed()

    sealed = ring.key.seal_jwe(b"s" * 300_000)
    async with proxied(behave) as proxy:
        exchange = await proxy.send(
            RecordingClient([sealed]), upload_head(len(sealed)), envelope=ring.decrypting()
        )
    assert exchange.outcome is Outcome.COMPLETE


async def test_both_ways_at_once(ring: Ring) -> None:
    async def echo(peer: Peer) -> None:
        peer.send(ok((await peer.request()).body, JSON))
        await peer.closed()

    sealed = ring.key.seal_jwe(b"there and back")
    client = RecordingClient([sealed])
    async with proxied(echo) as proxy:
        await proxy.send(client, upload_head(len(sealed)), envelope=ring.encrypting(request=KEY))
    assert await ring.opened(client.body) == b"there and back"


async def test_a_body_that_was_decrypted_goes_to_another_target_when_the_first_cannot_be_reached(
    ring: Ring,
) -> None:
    sealed = ring.key.seal_jwe(b"secret")
    async with proxied(answering(ok())) as proxy:
        dead = proxy.raw.target_at(1)
        upstream = proxy.upstream
        proxy.upstream = type(upstream)(
            **{name: getattr(upstream, name) for name in upstream.__dataclass_fields__ if name != "targets"},
            targets=(dead, *upstream.targets),
        )
        for _ in range(2):
            await proxy.send(RecordingClient([sealed]), upload_head(len(sealed)), envelope=ring.decrypting())
        assert [one.body for one in proxy.raw.received] == [b"secret", b"secret"]


@pytest.fixture
async def _no_collection() -> AsyncIterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_no_collection")
@pytest.mark.parametrize("size", [1, 200_000])
@pytest.mark.parametrize("is_good", [True, False])
async def test_nothing_of_an_exchange_is_left_behind(ring: Ring, *, is_good: bool, size: int) -> None:
    """Not even until the garbage collector comes: what was encrypted must not lie about in memory."""
    answer = ok(b'{"a": "%b"}'[: None if is_good else -1] % (b"x" * size), JSON)
    sealed = ring.key.seal_jwe(b"x" * size)
    async with proxied(answering(answer)) as proxy:
        client = RecordingClient([sealed])
        try:
            await proxy.send(client, upload_head(len(sealed)), envelope=ring.encrypting(("a",), request=KEY))
        except UpstreamFault:
            assert not is_good
        # A thread that helped lets go a moment later.
        await soon(lambda: not [o for o in gc.get_objects() if isinstance(o, Envelope | ResponseSealing)])
