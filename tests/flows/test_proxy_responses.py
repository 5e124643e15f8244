"""What upstreams answer, well or badly, and what the client is told. Real sockets, bytes as they are."""

import asyncio

import pytest
from support.downstream import RecordingClient, head_of
from support.forwarding import proxied
from support.upstream import Peer, answering, ok, rules

from gateway.model import Framing, Outcome
from gateway.proxy import Exchange, Fault, UpstreamFault, reason_for


async def test_status_reason_lines_and_body_arrive_as_they_were_sent() -> None:
    response = (
        b"HTTP/1.1 299 Odd Reason\r\nX-MiXed-Case: a\r\nSet-Cookie: b=1\r\nx-dup: 1\r\nX-DUP: 2\r\n"
        b"Set-Cookie: c=2\r\nEmpty:\r\nLatin: caf\xe9\r\nContent-Length: 5\r\nDate: today\r\n\r\nhello"
    )
    async with proxied(answering(response)) as proxy:
        exchange, client = await proxy.get()
    assert (client.status, client.reason, client.body) == (299, b"Odd Reason", b"hello")
    assert client.lines == [
        (b"X-MiXed-Case", b"a"),
        (b"Set-Cookie", b"b=1"),
        (b"x-dup", b"1"),
        (b"X-DUP", b"2"),
        (b"Set-Cookie", b"c=2"),
        (b"Empty", b""),
        (b"Latin", b"caf\xe9"),
        (b"Content-Length", b"5"),
        (b"Date", b"today"),
    ]
    assert exchange == Exchange(status=299, bytes_in=0, bytes_out=5, outcome=Outcome.COMPLETE)


@pytest.mark.parametrize(
    ("response", "framing", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", Framing.LENGTH, b"abc"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Framing.LENGTH, b""),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\nT: x\r\n\r\n",
            Framing.CHUNKED,
            b"abc",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", Framing.CHUNKED, b""),
    ],
)
async def test_the_kind_of_framing_is_kept_and_the_connection_reused(
    response: bytes, framing: Framing, body: bytes
) -> None:
    async with proxied(answering(response)) as proxy:
        for _ in range(3):
            _, client = await proxy.get()
            assert (client.framing, client.body, client.ending) == (framing, body, "finished")
            assert not client.values(b"transfer-encoding")
        assert proxy.raw.connections == 1


async def test_a_body_that_ends_with_the_connection_is_whole() -> None:
    async with proxied(answering(b"HTTP/1.1 200 OK\r\n\r\nabc", close=True)) as proxy:
        for _ in range(2):
            exchange, client = await proxy.get()
            assert (client.framing, client.body, client.ending) == (Framing.CLOSE, b"abc", "finished")
            assert exchange.outcome is Outcome.COMPLETE
        assert proxy.raw.connections == 2


@pytest.mark.parametrize(
    ("method", "response", "length"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", [b"5000"]),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", []),
        ("HEAD", b"HTTP/1.1 200 OK\r\n\r\n", []),
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", [b"0"]),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", []),
        ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n", []),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5000\r\n\r\n", [b"5000"]),
    ],
)
async def test_responses_without_a_body_keep_their_fields_and_their_connection(
    method: str, response: bytes, length: list[bytes]
) -> None:
    async with proxied(answering(response, response, ok(b"next"))) as proxy:
        for _ in range(2):
            exchange, client = await proxy.get(method)
            assert (client.framing, client.body, client.ending) == (Framing.NONE, b"", "finished")
            assert client.values(b"content-length") == length
            assert exchange.outcome is Outcome.COMPLETE
        _, client = await proxy.get()
        assert client.body == b"next"
        assert proxy.raw.connections == 1


@pytest.mark.parametrize(
    ("method", "response"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\nevil"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nevil"),
    ],
)
async def test_a_body_where_none_belongs_reaches_nobody(method: str, response: bytes) -> None:
    async def behave(peer: Peer) -> None:
        await peer.request()
        peer.send(response if peer.number == 1 else ok(b"next"))
        await peer.closed()

    async with proxied(behave) as proxy:
        exchange, client = await proxy.get(method)
        assert (client.body, exchange.outcome) == (b"", Outcome.COMPLETE)
        _, client = await proxy.get()
        assert client.body == b"next"
        assert proxy.raw.connections == 2


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nSEE-THISBUT-NOT-THIS",
        b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nSEE-THISHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nSEE-THIS\r\n0\r\n\r\nBUT-NOT-THIS",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 8\r\n\r\nSEE-THISBUT-NOT-THIS",
    ],
)
async def test_bytes_after_the_response_are_dropped_with_their_connection(response: bytes) -> None:
    async with proxied(answering(response)) as proxy:
        for count in (1, 2):
            _, client = await proxy.get()
            assert (client.body, client.ending) == (b"SEE-THIS", "finished")
            assert proxy.raw.connections == count


async def test_bytes_on_an_idle_connection_are_never_served_to_the_next_request() -> None:
    spoken = asyncio.Event()

    async def behave(peer: Peer) -> None:
        await peer.request()
        peer.send(ok(b"mine"))
        if peer.number == 1:
            await spoken.wait()
            await peer.send_all(ok(b"evil"))
            assert await peer.closed() == b""
        await peer.request()
        peer.send(ok(b"mine"))

    async with proxied(behave) as proxy:
        await proxy.get()
        spoken.set()
        # The bytes are sent and lie in the socket, whether or not the gateway's loop has looked yet.
        await asyncio.sleep(0)
        for _ in range(2):
            _, client = await proxy.get()
            assert client.body == b"mine"
        assert proxy.raw.connections == 2


async def test_a_response_that_says_close_ends_its_connection() -> None:
    async with proxied(answering(ok(b"a", b"Connection: close"))) as proxy:
        for count in (1, 2):
            _, client = await proxy.get()
            assert proxy.raw.connections == count
            assert not client.values(b"connection")


async def test_an_http_1_0_upstream_is_served_and_closed_unless_it_asks_to_stay() -> None:
    plain = b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na"
    stays = b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\na"
    async with proxied(answering(plain)) as proxy:
        for count in (1, 2):
            await proxy.get()
            assert proxy.raw.connections == count
    async with proxied(answering(stays)) as proxy:
        for _ in range(2):
            await proxy.get()
        assert proxy.raw.connections == 1


@pytest.mark.parametrize("cut", range(1, 70))
async def test_a_response_may_arrive_in_any_two_pieces(cut: int) -> None:
    response = b"HTTP/1.1 200 Fine\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send_all(response[:cut])
        await asyncio.sleep(0.001)
        peer.send(response[cut:])
        await peer.closed()

    async with proxied(behave) as proxy:
        exchange, client = await proxy.get()
    assert (client.reason, client.values(b"x-a"), client.body) == (b"Fine", [b"b"], b"hello")
    assert exchange.outcome is Outcome.COMPLETE


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    ],
)
async def test_an_upstream_that_closes_before_its_head_is_whole_is_a_502(response: bytes) -> None:
    async with proxied(answering(response, close=True)) as proxy:
        with pytest.raises(UpstreamFault) as caught:
            await proxy.get()
    assert caught.value.fault is Fault.RESPONSE_HEAD
    assert reason_for(caught.value.fault) == "upstream-protocol-error"


@pytest.mark.parametrize(
    "response",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 888 Odd\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 000 Odd\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: foo\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\na",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\na",
        b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0x1\r\n\r\na",
        b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\na",
        b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\na",
        b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\na",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\na",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n folded\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: a\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX Y: a\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\x1bb\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\rY: b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\nY: b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 O\x00K\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200\rX-Foobar: abc\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 103 Early\rX: a\r\n\r\n" + ok(),
        b"HTTP/1.1 103 Early\x00\r\n\r\n" + ok(),
        b"HTTP/1.1 103 Early Hints\r\nX: a\x00\r\n\r\n" + ok(),
        b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n" + ok(),
        b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nhello" + ok(),
        b"HTTP/1.1 199 Odd\r\nContent-Length: 5\r\n\r\nhello" + ok(),
        b"HTTP/1.1 199 Odd\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + ok(),
        b"HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n" + ok(),
        b"HTTP/1.1 103 Early Hints\r\n\r\nnonsense\r\n\r\n",
    ],
)
async def test_an_upstream_that_breaks_the_protocol_in_its_head_is_a_502(response: bytes) -> None:
    async with proxied(answering(response)) as proxy:
        with pytest.raises(UpstreamFault) as caught:
            await proxy.get()
        assert caught.value.fault is Fault.RESPONSE_HEAD
        assert caught.value.diagnosis
        await proxy.raw.peers[0].gone.wait()


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n5\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
    ],
)
@pytest.mark.parametrize("ending", ["close", "reset"])
async def test_a_truncated_body_cuts_the_client_off(response: bytes, ending: str) -> None:
    await cut_off(response, ending)


async def test_a_body_that_ends_with_the_connection_is_not_whole_when_that_is_reset() -> None:
    await cut_off(b"HTTP/1.1 200 OK\r\n\r\nabc", "reset")


async def cut_off(response: bytes, ending: str) -> None:
    arrived = asyncio.Event()

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send_all(response)
        await arrived.wait()
        peer.reset() if ending == "reset" else peer.close()

    async with proxied(behave) as proxy:
        client = RecordingClient()
        running = asyncio.ensure_future(proxy.send(client))
        await client.until(3)
        arrived.set()
        exchange = await running
    assert (client.body, client.ending) == (b"abc", "aborted")
    assert (exchange.outcome, exchange.fault) == (Outcome.UPSTREAM_FAILED, Fault.RESPONSE_BODY_UPSTREAM)
    assert (exchange.status, exchange.bytes_out) == (200, 3)


@pytest.mark.parametrize(
    "rest",
    [
        b"xyz\r\nabc\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"+3\r\nabc\r\n0\r\n\r\n",
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"3\nabc\r\n0\r\n\r\n",
        b"FFFFFFFFFFFFFFFFF\r\nabc\r\n",
        b"\r\n",
    ],
)
async def test_broken_chunks_cut_the_client_off(rest: bytes) -> None:
    response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n" + rest
    async with proxied(answering(response)) as proxy:
        exchange, client = await proxy.get()
    assert client.ending == "aborted"
    assert client.body.startswith(b"first")
    assert exchange.fault is Fault.RESPONSE_BODY_UPSTREAM


async def test_a_body_that_fails_before_its_first_byte_is_still_a_502() -> None:
    response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n"
    async with proxied(answering(response)) as proxy:
        with pytest.raises(UpstreamFault) as caught:
            await proxy.get()
    assert caught.value.fault is Fault.RESPONSE_BODY_UPSTREAM
    assert reason_for(caught.value.fault) == "upstream-protocol-error"


async def test_interim_responses_are_passed_on_at_once_in_order_and_each_once() -> None:
    proceed = asyncio.Event()

    async def behave(peer: Peer) -> None:
        while True:
            await peer.request()
            peer.send(
                b"HTTP/1.1 100 Continue\r\n\r\n"
                b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: X-Hop\r\nX-Hop: 1\r\nLink: </b>\r\n\r\n"
                b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 199 \r\nContent-Length: 0\r\n"
            )
            await proceed.wait()
            peer.send(b"\r\n" + ok(b"real"))

    async with proxied(behave) as proxy:
        for _ in range(2):
            proceed.clear()
            client = RecordingClient()
            running = proxy.begin(client, head_of())
            await client.arrived.wait()
            assert not client.started
            proceed.set()
            await running
            assert client.interims == [
                (100, b"Continue", []),
                (103, b"Early Hints", [(b"Link", b"</a>"), (b"Link", b"</b>")]),
                (102, b"Processing", []),
                (199, b"", []),
            ]
            assert (client.status, client.body) == (200, b"real")
            assert not client.values(b"link")
        assert proxy.raw.connections == 1


@pytest.mark.parametrize(
    "interim",
    [
        b"HTTP/1.1 103 Early Hints\r\nConnection: close\r\n\r\n",
        b"HTTP/1.0 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
    ],
)
async def test_an_interim_response_ends_neither_the_exchange_nor_the_connection(interim: bytes) -> None:
    async with proxied(answering(interim + ok(b"real"))) as proxy:
        for _ in range(2):
            _, client = await proxy.get()
            assert (client.status, client.body, len(client.interims)) == (200, b"real", 1)
        assert proxy.raw.connections == 1


async def test_an_interim_response_behind_the_real_one_reaches_nobody() -> None:
    async with proxied(answering(ok(b"real") + b"HTTP/1.1 103 Early Hints\r\n\r\n")) as proxy:
        for count in (1, 2):
            _, client = await proxy.get()
            assert (client.body, client.interims) == (b"real", [])
            assert proxy.raw.connections == count


@pytest.mark.parametrize("repeated", [b"HTTP/1.1 102 \r\n\r\n", b"HTTP/1.1 103 \r\nLink: </a>\r\n\r\n"])
@pytest.mark.parametrize("piece", [10_000_000, 1000])
async def test_a_flood_of_interim_responses_is_a_502_however_it_arrives(repeated: bytes, piece: int) -> None:
    flood = repeated * 5000

    async def behave(peer: Peer) -> None:
        await peer.request()
        for at in range(0, len(flood), piece):
            await peer.send_all(flood[at : at + piece])
            await asyncio.sleep(0)
        peer.send(ok())

    async with proxied(behave) as proxy:
        client = RecordingClient()
        with pytest.raises(UpstreamFault) as caught:
            await proxy.send(client)
    assert caught.value.fault is Fault.RESPONSE_HEAD
    assert len(client.interims) <= 65_536 // 16


async def test_trailers_follow_the_last_chunk_whether_or_not_they_were_announced() -> None:
    response = (
        b"HTTP/1.1 200 OK\r\nTrailer: X-Sum, Set-Cookie\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"
        b"X-Sum: 1\r\nSet-Cookie: a=b\r\nX-More: caf\xe9\r\nX-Forwarded-For: me\r\nX-Sum:\r\n\r\n"
    )
    async with proxied(answering(response)) as proxy:
        for _ in range(2):
            _, client = await proxy.get()
            assert (client.body, client.ending) == (b"hello", "finished")
            assert client.lines == [(b"Trailer", b"X-Sum, Set-Cookie")]
            assert client.trailers == [(b"X-Sum", b"1"), (b"X-More", b"caf\xe9"), (b"X-Sum", b"")]
        assert proxy.raw.connections == 1


async def test_a_response_has_no_trailers_of_the_one_before() -> None:
    first = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 1\r\n\r\n"
    second = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    async with proxied(answering(first, second)) as proxy:
        assert (await proxy.get())[1].trailers == [(b"X-Sum", b"1")]
        assert (await proxy.get())[1].trailers == []
        assert proxy.raw.connections == 1


@pytest.mark.parametrize("cut", range(54, 82))
async def test_trailers_may_arrive_in_any_two_pieces(cut: int) -> None:
    response = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-A: b\r\nX-C:  d\r\n\r\n"
    )

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send_all(response[:cut])
        await asyncio.sleep(0.001)
        peer.send(response[cut:])
        await peer.closed()

    async with proxied(behave) as proxy:
        _, client = await proxy.get()
    assert (client.body, client.trailers) == (b"a", [(b"X-A", b"b"), (b"X-C", b"d")])


@pytest.mark.parametrize(
    "broken", [b"X-A : b\r\n\r\n", b"X-A: b\r\n c\r\n\r\n", b"X-A: b\x00\r\n\r\n", b"no colon\r\n\r\n"]
)
async def test_broken_trailers_cut_the_client_off(broken: bytes) -> None:
    response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" + broken
    async with proxied(answering(response)) as proxy:
        exchange, client = await proxy.get()
    assert (client.body, client.ending, client.trailers) == (b"a", "aborted", [])
    assert exchange.fault is Fault.RESPONSE_BODY_UPSTREAM


@pytest.mark.parametrize(
    "endless",
    [
        b"X-Long: " + b"a" * 1000,
        b"a" * 1000 + b": b\r\n",
        b"X: y\r\n" * 200,
        b"\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n",
    ],
)
async def test_an_endless_head_is_a_502(endless: bytes) -> None:
    async def behave(peer: Peer) -> None:
        await peer.request()
        peer.send(b"HTTP/1.1 103 Early Hints\r\n")
        while not peer.writer.transport.is_closing():
            await peer.send_all(endless)
            await asyncio.sleep(0)

    async with proxied(behave, response=10) as proxy:
        with pytest.raises(UpstreamFault) as caught:
            await proxy.get()
    assert caught.value.fault is Fault.RESPONSE_HEAD


@pytest.mark.parametrize("endless", [b"a" * 1000, b"T: x\r\n" * 100, b"T: x\r\n" * 20_000])
async def test_endless_trailers_cut_the_client_off(endless: bytes) -> None:
    async def behave(peer: Peer) -> None:
        await peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nT: ")
        while not peer.writer.transport.is_closing():
            await peer.send_all(endless)
            await asyncio.sleep(0)

    async with proxied(behave) as proxy:
        exchange, client = await proxy.get()
    assert (client.body, client.ending) == (b"a", "aborted")
    assert exchange.fault is Fault.RESPONSE_BODY_UPSTREAM


async def test_a_long_but_bounded_head_passes() -> None:
    async with proxied(answering(ok(b"hello", b"X-Long: " + b"a" * 12_000))) as proxy:
        _, client = await proxy.get()
    assert client.values(b"x-long") == [b"a" * 12_000]


async def test_fields_of_the_connection_do_not_travel() -> None:
    response = ok(
        b"hello",
        b"Connection: X-Hop, keep-alive",
        b"connection: x-oTher",
        b"X-Hop: 1",
        b"X-Other: 2",
        b"Keep-Alive: timeout=5",
        b"Proxy-Authenticate: Basic",
        b"Upgrade: h2c",
        b"Trailer: X-T",
        b"X-Extension: kept",
        b"Server: secret/1.0",
        b"X-Request-Id: theirs",
    )
    async with proxied(answering(response), forward=rules(set_response=(("x-extra", "set"),))) as proxy:
        _, client = await proxy.get()
    assert client.lines == [(b"Content-Length", b"5"), (b"X-Extension", b"kept"), (b"x-extra", b"set")]


async def test_a_compressed_body_is_none_of_our_business() -> None:
    body = b"\x1f\x8b not really gzip \x00\xff"
    async with proxied(answering(ok(body, b"Content-Encoding: gzip"))) as proxy:
        _, client = await proxy.get()
    assert client.body == body
    assert client.values(b"content-encoding") == [b"gzip"]
