"""Bytes pass as they come, as fast as the slower side takes them, and not longer than both sides stay."""

import select
from collections.abc import Callable

import pytest
from support.conformance import OK, Conversation, Wire, request, response
from support.gateway import Gateway, eventually

GET = b"GET /plain/x HTTP/1.1"
POST = b"POST /plain/x HTTP/1.1"
CHUNKED = b"Transfer-Encoding: chunked"
STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
ENOUGH = 64 * 1024 * 1024
"""More than all buffers between two sides."""


@pytest.mark.parametrize(
    "line", [b"Content-Type: text/event-stream", b"Content-Type: application/octet-stream", b"X-A: b"]
)
def test_each_chunk_reaches_the_client_before_the_next_is_sent(talk: Conversation, line: bytes) -> None:
    """WHATWG HTML 9.2; Go TestSelectFlushInterval, node-http-proxy, mitmproxy test_response_streaming."""
    client = talk.client().send(request(GET))
    upstream, _ = talk.upstream().request()
    upstream.send(STREAM + line + b"\r\n\r\n")
    client.until(b"\r\n\r\n")
    for data in (b"data: 1\n\n", b"data: 2\n\n", b"x"):
        upstream.send(b"%x\r\n%b\r\n" % (len(data), data))
        assert client.chunk() == data
    upstream.send(b"0\r\n\r\n")
    assert client.chunk() == b""


@pytest.mark.parametrize("framing", [b"Content-Length: 6\r\n", b""])
def test_each_byte_of_an_unchunked_body_reaches_the_client_before_the_next_is_sent(
    talk: Conversation, framing: bytes
) -> None:
    """Go TestReverseProxyFlushInterval."""
    client = talk.client().send(b"GET /plain/x HTTP/1.0\r\n\r\n")
    upstream, _ = talk.upstream().request()
    upstream.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n")
    client.until(b"\r\n\r\n")
    for byte in b"xyzdef":
        upstream.send(bytes((byte,)))
        assert client.exactly(1) == bytes((byte,))
    upstream.half_close()
    assert client.has_ended()


@pytest.mark.parametrize("framing", [b"Content-Length: 6", CHUNKED, b"X-A: b"])
def test_the_head_reaches_the_client_before_any_byte_of_the_body(talk: Conversation, framing: bytes) -> None:
    """Go TestReverseProxyFlushIntervalHeaders."""
    client = talk.client().send(request(GET))
    upstream, _ = talk.upstream().request()
    upstream.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
    assert client.until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 OK\r\n")


def test_an_upload_reaches_the_upstream_as_it_comes(talk: Conversation) -> None:
    """nginx proxy_request_buffering.t "no preread - body part"."""
    client = talk.client().send(request(POST, b"Content-Length: 10"))
    upstream = talk.upstream().accept()
    upstream.until(b"\r\n\r\n")
    for part in (b"first", b"sec", b"on"):
        client.send(part)
        assert upstream.exactly(len(part)) == part
    upstream.send(OK)


def test_a_chunked_upload_reaches_the_upstream_as_it_comes(talk: Conversation) -> None:
    """nginx proxy_request_buffering_chunked.t."""
    client = talk.client().send(request(POST, CHUNKED))
    upstream = talk.upstream().accept()
    upstream.until(b"\r\n\r\n")
    for part in (b"first", b"second"):
        client.send(b"%x\r\n%b\r\n" % (len(part), part))
        assert upstream.chunk() == part
    client.send(b"0\r\n\r\n")
    assert upstream.chunk() == b""
    upstream.send(OK)
    assert client.message().status == 200


def test_a_response_flows_while_the_upload_still_runs(talk: Conversation) -> None:
    """RFC 9112 9.3; mitmproxy test_request_streaming, fastify-reply-from."""
    client = talk.client().send(request(POST, CHUNKED))
    upstream = talk.upstream().accept()
    upstream.until(b"\r\n\r\n")
    upstream.send(STREAM + b"\r\n")
    client.until(b"\r\n\r\n")
    for part in (b"one", b"two", b"three"):
        client.send(b"%x\r\n%b\r\n" % (len(part), part))
        assert upstream.chunk() == part
        upstream.send(b"%x\r\n%b\r\n" % (len(part), part))
        assert client.chunk() == part
    client.send(b"0\r\n\r\n")
    assert upstream.chunk() == b""
    upstream.send(b"0\r\n\r\n")
    assert client.chunk() == b""


def test_an_early_final_response_reaches_the_client_at_once_and_ends_its_connection(
    talk: Conversation,
) -> None:
    """RFC 9112 9.6; fastify-reply-from incomplete-request."""
    client = talk.client().send(
        request(b"POST /plain/limitless HTTP/1.1", b"Content-Length: 40000000", body=b"a")
    )
    upstream = talk.upstream().accept()
    upstream.until(b"\r\n\r\na")
    upstream.send(response(start=b"HTTP/1.1 413 Too Much", body=b"no more"))
    answer = client.message()
    assert (answer.status, answer.body) == (413, b"no more")
    assert answer.values("connection") == [b"close"]
    client.send(b"a" * 100_000)
    client.half_close()
    assert client.has_ended()
    assert b"aaaa" not in upstream.rest(), "what was sent after the answer did not go on"


def test_an_early_final_response_survives_an_upstream_that_then_resets(talk: Conversation) -> None:
    """RFC 9112 9.6: a response must not be lost to a reset."""
    client = talk.client().send(request(POST, b"Content-Length: 4000", body=b"a"))
    upstream = talk.upstream().accept()
    upstream.until(b"\r\n\r\na")
    upstream.send(response(start=b"HTTP/1.1 413 Too Much", body=b"no more"))
    assert client.message().body == b"no more"
    upstream.reset()
    client.half_close()
    assert client.has_ended()


def test_a_client_that_reads_nothing_slows_the_upstream_down_and_loses_nothing(talk: Conversation) -> None:
    """Reactive backpressure; no proxy's suite asserts it."""
    client = talk.client().send(request(GET))
    upstream, _ = talk.upstream().request()
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % ENOUGH)
    count = upstream.poured(b"a" * 65536, most=ENOUGH)
    assert count < ENOUGH / 2
    client.until(b"\r\n\r\n")
    assert client.exactly(count).strip(b"a") == b""


def test_an_upstream_that_reads_nothing_slows_the_client_down_and_loses_nothing(talk: Conversation) -> None:
    """Reactive backpressure; no proxy's suite asserts it."""
    client = talk.client().send(request(b"POST /plain/limitless HTTP/1.1", b"Content-Length: %d" % ENOUGH))
    upstream = talk.upstream().accept()
    upstream.until(b"\r\n\r\n")
    count = client.poured(b"a" * 65536, most=ENOUGH)
    assert count < ENOUGH / 2
    assert upstream.exactly(count).strip(b"a") == b""


@pytest.mark.parametrize("leave", [Wire.close, Wire.reset])
def test_a_client_that_leaves_before_the_response_ends_the_upstreams_exchange(
    talk: Conversation, leave: Callable[[Wire], None]
) -> None:
    """Go TestReverseProxyCancellation, HAProxy http_abortonclose.vtc."""
    client = talk.client().send(request(GET))
    upstream, _ = talk.upstream().request()
    leave(client)
    assert upstream.has_ended()


def test_a_client_that_leaves_is_recorded_as_having_left(talk: Conversation, gateway: Gateway) -> None:
    """Caddy TestClientDisconnectRecordsStatus."""
    client = talk.client().send(request(GET))
    upstream, seen = talk.upstream().request()
    client.close()
    assert upstream.has_ended()
    (id_,) = seen.values("x-request-id")

    def completed() -> list[str]:
        records = gateway.audit("--request-id", id_.decode())
        return [record["outcome"] for record in records if record["kind"] == "completion"]

    assert eventually(completed, within=20) == ["client_left"]


@pytest.mark.parametrize("leave", [Wire.close, Wire.reset])
def test_a_client_that_leaves_during_a_download_ends_the_upstreams_exchange(
    talk: Conversation, leave: Callable[[Wire], None]
) -> None:
    """mitmproxy test_http_client_aborts, YARP ResponseBodyClientError_Aborted."""
    client = talk.client().send(request(GET))
    upstream, _ = talk.upstream().request()
    upstream.send(STREAM + b"\r\n3\r\nxyz\r\n")
    client.until(b"xyz\r\n")
    leave(client)
    assert upstream.has_ended()


@pytest.mark.parametrize("framing", [b"Content-Length: 10", CHUNKED])
@pytest.mark.parametrize("leave", [Wire.close, Wire.reset])
def test_a_client_that_leaves_during_an_upload_ends_the_upstreams_exchange(
    talk: Conversation, framing: bytes, leave: Callable[[Wire], None]
) -> None:
    """YARP RequestBodyClientErrorAfterResponse_Reported."""
    client = talk.client().send(
        request(POST, framing, body=b"3\r\nxyz\r\n"[: 3 if framing != CHUNKED else None])
    )
    upstream = talk.upstream().accept()
    upstream.until(b"\r\n\r\n3")
    leave(client)
    assert b"0\r\n\r\n" not in upstream.rest()


def test_a_client_that_leaves_while_it_waits_for_a_connection_is_forgotten(talk: Conversation) -> None:
    """HAProxy http_abortonclose.vtc: a request that is still in the queue."""
    first = talk.client().send(request(b"GET /few/1 HTTP/1.1"))
    upstream, _ = talk.upstream("few").request()
    second = talk.client().send(request(b"GET /few/2 HTTP/1.1"))
    third = talk.client().send(request(b"GET /few/3 HTTP/1.1"))
    refused = talk.first(second, third)
    assert isinstance(refused, Wire)
    (waiting,) = {second, third} - {refused}
    assert refused.message().status == 503
    waiting.close()
    fourth = talk.client()
    eventually(lambda: _waits(fourth.send(request(b"GET /few/4 HTTP/1.1"))), what="its place is free")
    upstream.send(OK)
    assert first.message().status == 200
    assert upstream.message().target == b"/few/4"
    upstream.send(OK)
    assert fourth.message().status == 200


def _waits(client: Wire) -> bool:
    """Say whether a request is not refused at once."""
    if select.select([client.socket], [], [], 0.05)[0]:
        client.message()
        return False
    return True


def test_a_server_sent_event_stream_for_an_http_1_0_client_ends_with_its_connection(
    talk: Conversation,
) -> None:
    """RFC 9112 6.3."""
    client = talk.client().send(b"GET /plain/x HTTP/1.0\r\n\r\n")
    upstream, _ = talk.upstream().request()
    upstream.send(STREAM + b"\r\n3\r\nxyz\r\n")
    assert b"transfer-encoding" not in client.until(b"\r\n\r\n").lower()
    assert client.exactly(3) == b"xyz"
    upstream.send(b"0\r\n\r\n")
    assert client.has_ended()
