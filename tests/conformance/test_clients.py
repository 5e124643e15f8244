"""Connections of clients: kept, pipelined, closed; and clients that speak HTTP/1.0."""

import time

import pytest
from support.conformance import OK, Conversation, request, response

GET = b"GET /plain/x HTTP/1.1"
OLD = b"GET /plain/x HTTP/1.0\r\n"


def test_a_connection_serves_one_request_after_the_other(talk: Conversation) -> None:
    """RFC 9112 9.3; nginx http_keepalive.t."""
    client = talk.client()
    client.send(request(b"GET /plain/0 HTTP/1.1"))
    upstream, _ = talk.upstream().request()
    for n in range(1, 4):
        upstream.send(response(body=b"%d" % n))
        answer = client.message()
        assert answer.body == b"%d" % n
        assert answer.values("connection") == []
        client.send(request(b"GET /plain/%d HTTP/1.1" % n))
        assert upstream.message().target == b"/plain/%d" % n


def test_pipelined_requests_are_answered_in_order(talk: Conversation) -> None:
    """RFC 9112 9.3.2; mitmproxy test_pipelining."""
    client = talk.client().send(
        request(b"GET /plain/0 HTTP/1.1")
        + request(b"POST /plain/1 HTTP/1.1", b"Content-Length: 3", body=b"xyz")
        + request(b"GET /nowhere HTTP/1.1")
        + request(b"POST /plain/2 HTTP/1.1", b"Transfer-Encoding: chunked", body=b"1\r\na\r\n0\r\n\r\n")
    )
    upstream = talk.upstream().accept()
    for n in range(3):
        assert upstream.message().target == b"/plain/%d" % n
        upstream.send(response(body=b"%d" % n))
    answers = [client.message() for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 404, 200]
    assert [answer.body for answer in answers if answer.status == 200] == [b"0", b"1", b"2"]


@pytest.mark.parametrize(
    "line", [b"Connection: close", b"connection: x, CLOSE", b"Connection: keep-alive, close"]
)
def test_a_client_that_wants_its_connection_closed_gets_that(talk: Conversation, line: bytes) -> None:
    """RFC 9112 9.6; mitmproxy test_connection_close_header."""
    client = talk.client().send(request(GET, line))
    upstream, _ = talk.upstream().request()
    upstream.send(OK)
    assert client.message().values("connection") == [b"close"]
    assert client.has_ended()


def test_a_client_that_half_closes_behind_its_request_is_answered_or_taken_to_have_left(
    talk: Conversation,
) -> None:
    """RFC 9112 9.6."""
    client = talk.client().send(request(GET))
    client.half_close()
    if talk.upstream().was_called():
        upstream = talk.upstream().accept()
        upstream.until(b"\r\n\r\n")
    received = client.rest()
    assert received == b"" or received.startswith(b"HTTP/1.1 ")


def test_an_idle_connection_is_closed_after_its_time(talk: Conversation) -> None:
    """RFC 9112 9.5; nginx http_keepalive.t."""
    begun = time.monotonic()
    client = talk.client().send(request(b"GET /nowhere HTTP/1.1"))
    client.message()
    assert client.has_ended()
    assert time.monotonic() - begun > 0.5


def test_an_http_1_0_connection_ends_with_its_response(talk: Conversation) -> None:
    """RFC 9112 9.3."""
    client = talk.client().send(OLD + b"\r\n")
    upstream, _ = talk.upstream().request()
    upstream.send(OK)
    answer = client.message()
    assert answer.body == b"ok"
    assert b"keep-alive" not in b"".join(answer.values("connection"))
    assert client.has_ended()


def test_an_http_1_0_client_that_asks_for_it_keeps_its_connection(talk: Conversation) -> None:
    """RFC 9112 9.3, C.2.2; nginx http_keepalive.t."""
    client = talk.client().send(OLD + b"Connection: Keep-Alive\r\n\r\n")
    upstream, _ = talk.upstream().request()
    upstream.send(OK)
    answer = client.message()
    assert answer.values("connection") == [b"keep-alive"]
    client.send(OLD + b"\r\n")
    upstream.message()
    upstream.send(OK)
    assert client.message().status == 200
    assert client.has_ended()


@pytest.mark.parametrize(
    ("answer", "ends"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n0\r\nX-T: 1\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\n\r\nxyz", True),
    ],
)
@pytest.mark.parametrize("line", [b"", b"Connection: keep-alive\r\n"])
def test_an_http_1_0_client_gets_no_chunks_and_an_end_instead(
    talk: Conversation, answer: bytes, line: bytes, ends: bool
) -> None:
    """RFC 9112 6.1, 7.1."""
    client = talk.client().send(OLD + line + b"\r\n")
    upstream, _ = talk.upstream().request()
    upstream.send(answer)
    if ends:
        upstream.half_close()
    received = client.message()
    assert received.values("transfer-encoding") == []
    assert received.body == b"xyz"
    assert b"keep-alive" not in b"".join(received.values("connection"))


def test_an_http_1_0_client_may_send_a_body_with_a_length(talk: Conversation) -> None:
    """RFC 9112 6.3."""
    seen = talk.forwarded_bytes(b"POST /plain/x HTTP/1.0\r\nContent-Length: 3\r\n\r\nxyz")
    assert seen.start == b"POST /plain/x HTTP/1.1"
    assert seen.body == b"xyz"


def test_an_http_1_0_client_gets_a_problem_as_everybody_does(talk: Conversation) -> None:
    """RFC 9112 2.3: the response tells the version of the server."""
    client = talk.client().send(b"GET /nowhere HTTP/1.0\r\n\r\n")
    answer = client.message()
    assert answer.start == b"HTTP/1.1 404 Not Found"
    assert client.has_ended()


def test_a_client_that_never_sends_anything_leaves_no_trace(talk: Conversation) -> None:
    """RFC 9112 9.5."""
    for _ in range(3):
        talk.client().close()
    assert talk.forwarded(GET).target == b"/plain/x"


def test_a_refused_request_leaves_the_connection_usable(talk: Conversation) -> None:
    """RFC 9112 9.3."""
    client = talk.client()
    for start, status in (
        (b"GET /nowhere", 404),
        (b"DELETE /plain/few-methods", 405),
        (b"GET /plain/members", 401),
    ):
        assert client.send(request(start + b" HTTP/1.1")).message().status == status
    client.send(request(GET))
    upstream, _ = talk.upstream().request()
    upstream.send(OK)
    assert client.message().status == 200
