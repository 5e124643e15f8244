"""What upstreams receive: heads and bodies, byte for byte, and who waits for whom. Real sockets."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping

import pytest
from support.downstream import ALICE, REQUEST_ID, RecordingClient, Tap, head_of, permit_for, upload_head
from support.forwarding import proxied
from support.upstream import Peer, answering, ok, rules, upstream_of, upstream_that

from gateway.config import Rewrite
from gateway.model import Outcome
from gateway.ports import SystemClock
from gateway.proxy import (
    Assertions,
    BodyBroken,
    BodyTooLarge,
    ClientLeft,
    Exchange,
    Fault,
    Forwarder,
    UpstreamFault,
    reason_for,
)


async def test_the_head_arrives_as_it_was_sent_with_our_lines_added() -> None:
    async with proxied(answering(ok())) as proxy:
        head = head_of(
            (b"x-dup", b"1"), (b"X-DUP", b"2"), (b"aCCept", b"*/*"), target="/a%2Fb/%c3%a9?q=1&q=&x=%zz"
        )
        await proxy.send(RecordingClient(), head)
        received = proxy.raw.received[0]
    assert received.request_line == b"GET /a%2Fb/%c3%a9?q=1&q=&x=%zz HTTP/1.1"
    assert received.lines[:4] == [
        (b"Host", b"api.example.com"),
        (b"x-dup", b"1"),
        (b"X-DUP", b"2"),
        (b"aCCept", b"*/*"),
    ]
    assert {name for name, _ in received.lines[4:]} == {
        b"X-Request-Id",
        b"X-Forwarded-For",
        b"X-Forwarded-Proto",
        b"X-Forwarded-Host",
        b"Via",
        b"traceparent",
    }
    assert received.body == b""


async def test_the_assertion_goes_with_the_request() -> None:
    async with proxied(answering(ok()), forward=rules(identity="signed_jwt")) as proxy:
        await proxy.send(RecordingClient(), principal=ALICE)
        await proxy.send(RecordingClient())
    assert proxy.raw.received[0].values(b"x-gateway-assertion") == [b"gw-assertion+jwt"]
    assert proxy.raw.received[1].values(b"x-gateway-assertion") == []


async def test_a_body_of_known_length_keeps_its_length() -> None:
    async with proxied(answering(ok())) as proxy:
        client = RecordingClient([b"hel", b"lo"])
        exchange = await proxy.send(client, upload_head(5))
        received = proxy.raw.received[0]
    assert received.values(b"content-length") == [b"5"]
    assert received.values(b"transfer-encoding") == []
    assert received.raw_body == b"hello"
    assert (exchange.bytes_in, exchange.outcome, client.ending) == (5, Outcome.COMPLETE, "finished")


async def test_a_chunked_body_stays_chunked() -> None:
    async with proxied(answering(ok())) as proxy:
        exchange = await proxy.send(RecordingClient([b"hel", b"lo" * 20_000]), upload_head())
        received = proxy.raw.received[0]
    assert received.values(b"transfer-encoding") == [b"chunked"]
    assert received.values(b"content-length") == []
    assert received.raw_body == b"3\r\nhel\r\n9c40\r\n" + b"lo" * 20_000 + b"\r\n0\r\n\r\n"
    assert exchange.bytes_in == 40_003


async def test_an_empty_chunked_body_is_ended() -> None:
    async with proxied(answering(ok())) as proxy:
        await proxy.send(RecordingClient(), upload_head())
    assert proxy.raw.received[0].raw_body == b"0\r\n\r\n"


async def test_a_length_of_zero_is_kept_and_nothing_is_read() -> None:
    async with proxied(answering(ok())) as proxy:
        client = RecordingClient()
        await proxy.send(client, upload_head(0))
    assert proxy.raw.received[0].values(b"content-length") == [b"0"]
    assert client.reads == 0


async def test_head_and_first_bytes_of_the_body_go_in_one_segment() -> None:
    first = asyncio.get_running_loop().create_future()

    async def behave(peer: Peer) -> None:
        first.set_result(await peer.reader.read(65_536))
        peer.send(ok())

    async with proxied(behave) as proxy:
        await proxy.send(RecordingClient([b"hello"]), upload_head(5))
    assert first.result().endswith(b"\r\n\r\nhello")


async def test_the_head_does_not_wait_for_the_body() -> None:
    head_seen = asyncio.Event()

    async def behave(peer: Peer) -> None:
        await peer.head()
        head_seen.set()
        assert await peer.reader.readexactly(5) == b"hello"
        peer.send(ok())

    async with proxied(behave) as proxy:
        tap = Tap()
        running = proxy.begin(RecordingClient(tap), upload_head(5))
        await head_seen.wait()
        tap.let_out(b"hello")
        assert (await running).outcome is Outcome.COMPLETE


async def test_each_part_of_an_upload_arrives_before_the_next_is_sent() -> None:
    tap = Tap()

    async def behave(peer: Peer) -> None:
        await peer.head()
        for number in range(5):
            tap.let_out(b"%d" % number)
            assert await peer.reader.readexactly(6) == b"1\r\n%d\r\n" % number
        tap.let_out(None)
        assert await peer.reader.readexactly(5) == b"0\r\n\r\n"
        peer.send(ok())

    async with proxied(behave) as proxy:
        exchange = await proxy.send(RecordingClient(tap), upload_head())
    assert exchange.bytes_in == 5


async def test_request_and_response_flow_at_the_same_time() -> None:
    tap = Tap()

    async def behave(peer: Peer) -> None:
        await peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while line := await peer.reader.readline():
            data = await peer.reader.readexactly(int(line, 16) + 2)
            peer.send(line + data)
            if line == b"0\r\n":
                return

    async with proxied(behave) as proxy:
        client = RecordingClient(tap)
        running = proxy.begin(client, upload_head())
        for number in range(5):
            tap.let_out(b"%d" % number)
            await client.until(number + 1)
        assert client.body == b"01234"
        tap.let_out(None)
        exchange = await running
    assert (exchange.outcome, exchange.bytes_in, exchange.bytes_out) == (Outcome.COMPLETE, 5, 5)


@pytest.mark.parametrize("closes", [True, False])
async def test_an_early_answer_ends_a_large_upload(*, closes: bool) -> None:
    too_large = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno!"

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65_536
            await asyncio.sleep(0)

    async def behave(peer: Peer) -> None:
        await peer.head()
        peer.send(too_large)
        if not closes:
            await peer.closed()

    async with proxied(behave) as proxy:
        for count in range(1, 11):
            client = RecordingClient(endless())
            exchange = await proxy.send(client, upload_head(40 * 2**20))
            assert (client.status, client.body, client.ending) == (413, b"no!", "finished")
            assert exchange.outcome is Outcome.COMPLETE
            assert proxy.raw.connections == count


async def test_an_upload_stops_being_read_when_the_answer_is_complete() -> None:
    tap = Tap()

    async def behave(peer: Peer) -> None:
        await peer.head()
        peer.send(ok(b"enough"))
        await peer.closed()

    async with proxied(behave) as proxy:
        exchange = await proxy.send(RecordingClient(tap), upload_head(100))
        assert (exchange.status, exchange.bytes_in) == (200, 0)
        await proxy.raw.peers[0].gone.wait()


async def test_a_slow_upstream_slows_the_client() -> None:
    released = asyncio.Event()
    given = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal given
        for _ in range(1600):
            given += 65_536
            yield b"x" * 65_536

    async def behave(peer: Peer) -> None:
        await peer.head()
        await released.wait()
        await peer.reader.readexactly(1600 * 65_536)
        peer.send(ok())

    async with proxied(behave, idle=30) as proxy:
        running = proxy.begin(RecordingClient(body()), upload_head(1600 * 65_536))
        last = -1
        while given != last or given == 0:
            last = given
            await asyncio.sleep(0.05)
        # Socket buffers on both sides, and at most a quarter of a MiB between them.
        assert given < 20 * 2**20
        released.set()
        exchange = await running
    assert exchange.bytes_in == 1600 * 65_536


async def test_a_client_that_leaves_during_its_upload_breaks_the_request() -> None:
    seen = asyncio.get_running_loop().create_future()

    async def behave(peer: Peer) -> None:
        await peer.head()
        seen.set_result(await peer.closed())

    async with proxied(behave) as proxy:
        client = RecordingClient(tap := Tap())
        running = proxy.begin(client, upload_head())
        tap.let_out(b"abc")
        tap.let_out(ClientLeft())
        exchange = await running
        assert exchange == Exchange(
            status=0, bytes_in=3, bytes_out=0, outcome=Outcome.CLIENT_LEFT, fault=Fault.CLIENT_LEFT
        )
        # Never a clean end: no last chunk.
        assert await seen in {b"3\r\nabc\r\n", b""}


@pytest.mark.parametrize("problem", [BodyTooLarge("over 10 bytes"), BodyBroken("bad chunk")])
async def test_a_body_that_must_not_go_on_is_told_and_breaks_the_request(problem: Exception) -> None:
    seen = asyncio.get_running_loop().create_future()

    async def behave(peer: Peer) -> None:
        await peer.head()
        seen.set_result(await peer.closed())

    async with proxied(behave) as proxy:
        tap = Tap()
        client = RecordingClient(tap)
        tap.let_out(b"abc")
        tap.let_out(problem)
        with pytest.raises(type(problem)):
            await proxy.send(client, upload_head())
        assert not client.started
        assert await seen in {b"3\r\nabc\r\n", b""}


async def test_a_body_that_must_not_go_on_cuts_a_response_that_has_begun() -> None:
    async def behave(peer: Peer) -> None:
        await peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
        await peer.closed()

    async with proxied(behave) as proxy:
        client = RecordingClient(tap := Tap())
        running = proxy.begin(client, upload_head())
        await client.until(3)
        tap.let_out(BodyTooLarge("over 10 bytes"))
        exchange = await running
    assert client.ending == "aborted"
    assert (exchange.outcome, exchange.fault) == (Outcome.CUT, Fault.REQUEST_BODY_CLIENT)
    assert "over 10 bytes" in exchange.diagnosis


@pytest.mark.parametrize("parts", [[b"abc"], [b"abcdef"], [b"abc", b"def"]])
async def test_a_body_that_is_not_as_long_as_announced_never_looks_whole(parts: list[bytes]) -> None:
    seen = asyncio.get_running_loop().create_future()

    async def behave(peer: Peer) -> None:
        await peer.head()
        seen.set_result(await peer.closed())

    async with proxied(behave) as proxy:
        with pytest.raises(BodyBroken):
            await proxy.send(RecordingClient(parts), upload_head(5))
        assert len(await seen) < 5


async def test_an_upstream_that_goes_away_during_an_upload_is_a_502() -> None:
    async def behave(peer: Peer) -> None:
        await peer.head()
        peer.reset()

    async with proxied(behave) as proxy:
        with pytest.raises(UpstreamFault) as caught:
            await proxy.send(RecordingClient(Tap()), upload_head())
    assert caught.value.fault is Fault.REQUEST_BODY_UPSTREAM
    assert reason_for(caught.value.fault) == "upstream-protocol-error"


@pytest.mark.parametrize("value", [b"100-continue", b"100-Continue"])
async def test_a_client_that_waits_to_be_asked_is_asked_when_the_upstream_asks(value: bytes) -> None:
    body = Tap()

    async def behave(peer: Peer) -> None:
        await peer.head()
        peer.send(b"HTTP/1.1 100 Continue\r\nX-Early: yes\r\nConnection: keep-alive\r\n\r\n")
        assert await peer.reader.readexactly(5) == b"hello"
        peer.send(ok())

    async with proxied(behave) as proxy:
        client = RecordingClient(body)
        running = proxy.begin(client, upload_head(5, (b"Expect", value)))
        await client.arrived.wait()
        assert client.interims == [(100, b"Continue", [(b"X-Early", b"yes")])]
        body.let_out(b"hello")
        assert (await running).bytes_in == 5
        assert client.continued == 0


async def test_a_client_that_waits_to_be_asked_is_asked_when_the_upstream_says_nothing() -> None:
    body = Tap()

    async def behave(peer: Peer) -> None:
        request = await peer.request()
        assert request.values(b"expect") == []
        assert request.body == b"hello"
        peer.send(ok())

    async with proxied(behave) as proxy:
        client = RecordingClient(body)
        begun = time.monotonic()
        running = proxy.begin(client, upload_head(5, (b"Expect", b"100-continue")))
        await client.arrived.wait()
        assert client.continued == 1
        assert 0.09 < time.monotonic() - begun < 2
        body.let_out(b"hello")
        assert (await running).bytes_in == 5


@pytest.mark.parametrize("status", [b"417 Expectation Failed", b"401 Unauthorized", b"200 OK"])
async def test_a_final_answer_instead_of_a_question_arrives_alone_and_no_body_is_read(status: bytes) -> None:
    body = Tap()

    async def behave(peer: Peer) -> None:
        await peer.head()
        peer.send(b"HTTP/1.1 " + status + b"\r\nContent-Length: 4\r\n\r\nwhy?")
        assert await peer.closed() == b""

    async with proxied(behave) as proxy:
        client = RecordingClient(body)
        exchange = await proxy.send(client, upload_head(5, (b"Expect", b"100-continue")))
        assert (client.status, client.body, client.ending) == (int(status[:3]), b"why?", "finished")
        assert (client.continued, client.interims, exchange.bytes_in) == (0, [], 0)
        assert exchange.outcome is Outcome.COMPLETE
        await proxy.raw.peers[0].gone.wait()
        assert body.ended
    # The question would have been asked by then.
    await asyncio.sleep(0.12)
    assert client.continued == 0


@pytest.mark.parametrize("asks", [True, False])
async def test_a_client_that_was_asked_has_its_body_carried_though_the_answer_has_begun(
    *, asks: bool
) -> None:
    body = Tap()

    async def behave(peer: Peer) -> None:
        await peer.head()
        if asks:
            peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        else:
            await asked.wait()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        peer.send(await peer.reader.readexactly(5))

    asked = asyncio.Event()
    async with proxied(behave) as proxy:
        client = RecordingClient(body)
        running = proxy.begin(client, upload_head(5, (b"Expect", b"100-continue")))
        while not (client.continued or client.interims):
            client.arrived.clear()
            await client.arrived.wait()
        asked.set()
        while not client.started:
            client.arrived.clear()
            await client.arrived.wait()
        body.let_out(b"hello")
        assert (await running).outcome is Outcome.COMPLETE
        assert client.body == b"hello"


async def test_a_client_that_does_not_wait_after_all_has_its_body_carried() -> None:
    async with proxied(answering(ok())) as proxy:
        client = RecordingClient([b"hello"])
        exchange = await proxy.send(client, upload_head(5, (b"Expect", b"100-continue")))
        assert (exchange.bytes_in, client.continued) == (5, 0)
        assert proxy.raw.received[0].body == b"hello"


async def test_nobody_is_asked_who_does_not_wait() -> None:
    async with proxied(answering(b"HTTP/1.1 100 Continue\r\n\r\n" + ok())) as proxy:
        for head in (
            upload_head(5),
            upload_head(5, (b"Expect", b"100-continue"), version=(1, 0)),
            head_of((b"Expect", b"100-continue")),
        ):
            client = RecordingClient([b"hello"])
            await proxy.send(client, head)
            assert client.continued == 0


async def test_a_client_is_not_asked_for_a_body_that_nobody_can_take() -> None:
    async with proxied(answering(ok()), retries=0) as proxy:
        proxy.raw.close()
        client = RecordingClient([b"hello"])
        with pytest.raises(UpstreamFault):
            await proxy.send(client, upload_head(5, (b"Expect", b"100-continue")))
    assert (client.continued, client.reads) == (0, 0)


async def test_a_get_with_a_body_delivers_it() -> None:
    async with proxied(answering(ok())) as proxy:
        head = head_of((b"Content-Length", b"5"), length=5)
        await proxy.send(RecordingClient([b"hello"]), head)
    assert proxy.raw.received[0].body == b"hello"


@pytest.mark.parametrize("_time", range(10))
async def test_an_early_answer_is_not_lost_to_the_reset_that_follows(_time: int) -> None:
    async def behave(peer: Peer) -> None:
        await peer.head()
        await peer.send_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nwhy?")
        # With bytes that it has not read, the kernel makes it a reset.
        peer.close()

    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65_536
            await asyncio.sleep(0)

    async with proxied(behave) as proxy:
        client = RecordingClient(pieces())
        exchange = await proxy.send(client, upload_head())
        assert (client.status, client.body, client.ending) == (413, b"why?", "finished")
        assert exchange.outcome is Outcome.COMPLETE


async def test_an_early_answer_is_seen_at_once_and_bytes_go_on_both_ways() -> None:
    body = Tap()

    async def behave(peer: Peer) -> None:
        await peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        async for piece in chunks_of(peer):
            peer.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        peer.send(b"0\r\nX-Sum: 1\r\n\r\n")
        await peer.closed()

    async with proxied(behave) as proxy:
        client = RecordingClient(body)
        running = proxy.begin(client, upload_head())
        await client.arrived.wait()
        assert client.started
        for count in range(1, 4):
            body.let_out(b"abc")
            await client.until(3 * count)
        body.let_out(None)
        exchange = await running
    assert (client.body, client.trailers) == (b"abc" * 3, [(b"X-Sum", b"1")])
    assert (exchange.bytes_in, exchange.bytes_out, exchange.outcome) == (9, 9, Outcome.COMPLETE)


async def chunks_of(peer: Peer) -> AsyncIterator[bytes]:
    """Give the chunks of a request body as they come."""
    while size := int(await peer.reader.readuntil(b"\r\n"), 16):
        yield (await peer.reader.readexactly(size + 2))[:-2]


async def test_a_rewritten_path_is_what_the_upstream_gets_and_what_an_assertion_is_bound_to() -> None:
    signed: list[Mapping[str, object]] = []

    def sign(claims: Mapping[str, object], *, typ: str) -> str:
        signed.append(claims)
        return f"{typ}-{len(signed)}"

    async with upstream_that(answering(ok())) as raw:
        upstream = upstream_of(
            raw.target,
            forward=rules(identity="signed_jwt", binds_request=True, host="upstream"),
            rewrite=Rewrite(strip_prefix="/orders", add_prefix="/v2"),
        )
        forwarder = Forwarder(
            assertions=Assertions(issuer="https://gw.example", sign=sign, clock=SystemClock())
        )
        for number in (1, 2):
            await forwarder.forward(
                permit_for(head_of(target="/orders/1?q=/orders"), principal=ALICE),
                upstream,
                credential_fields=frozenset(),
                client=RecordingClient(),
            )
            received = raw.received[-1]
            assert received.request_line == b"GET /v2/1?q=/orders HTTP/1.1"
            assert received.values(b"x-gateway-assertion") == [b"gw-assertion+jwt-%d" % number]
            assert signed[-1]["htu"] == f"http://127.0.0.1:{raw.port}/v2/1"
            assert (signed[-1]["htm"], signed[-1]["rid"]) == ("GET", REQUEST_ID)
        await forwarder.close()


async def test_who_asks_is_told_as_the_configuration_says_when_the_request_goes_out() -> None:
    async def behave(peer: Peer) -> None:
        while True:
            await peer.request()
            await go_on.wait()
            peer.send(ok())

    go_on = asyncio.Event()
    async with proxied(behave, forward=rules(identity="headers"), max_connections=1) as proxy:
        first = proxy.begin(RecordingClient(), head_of())
        while not proxy.raw.received:
            await asyncio.sleep(0.001)
        second = asyncio.ensure_future(proxy.send(RecordingClient(), head_of(), ALICE))
        await asyncio.sleep(0)
        proxy.upstream = upstream_of(
            proxy.raw.target, forward=rules(identity="signed_jwt"), max_connections=1
        )
        go_on.set()
        await asyncio.gather(first, second)
        assert proxy.raw.received[1].values(b"x-gateway-assertion")
