"""Connections to upstreams are used again while they are good, and never when they may not be."""

import time

import pytest
from support.conformance import OK, Conversation, request, response

GET = b"GET /plain/x HTTP/1.1"
GOOD_ENDS = [
    pytest.param(b"GET", response(body=b"xyz"), id="length"),
    pytest.param(b"GET", response(), id="empty"),
    pytest.param(
        b"GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n0\r\n\r\n", id="chunked"
    ),
    pytest.param(
        b"GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-T: 1\r\n\r\n", id="trailers"
    ),
    pytest.param(b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", id="HEAD"),
    pytest.param(b"GET", b"HTTP/1.1 204 No Content\r\n\r\n", id="204"),
    pytest.param(b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", id="304"),
    pytest.param(b"GET", response(start=b"HTTP/1.1 500 Oh", body=b"xyz"), id="500"),
    pytest.param(b"POST", response(start=b"HTTP/1.1 404 No"), id="404"),
    pytest.param(
        b"GET",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
        id="HTTP/1.0 keep-alive",
    ),
]


@pytest.mark.parametrize(("method", "answer"), GOOD_ENDS)
def test_a_connection_is_used_again_after_a_response_with_a_clean_end(
    talk: Conversation, method: bytes, answer: bytes
) -> None:
    """RFC 9112 9.3; nginx proxy_keepalive.t, Traefik connpool_test."""
    client = talk.client().send(request(method + b" /plain/1 HTTP/1.1"))
    upstream, _ = talk.upstream().request()
    upstream.send(answer)
    client.message(bodyless=method == b"HEAD")
    talk.client().send(request(b"GET /plain/2 HTTP/1.1"))
    assert upstream.message().target == b"/plain/2"
    assert talk.upstream().connections() == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(response(b"Connection: close"), id="close"),
        pytest.param(response(b"connection: X-A, Close"), id="close among others"),
        pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", id="HTTP/1.0"),
        pytest.param(b"HTTP/1.0 204 No\r\n\r\n", id="HTTP/1.0 without a body"),
        pytest.param(b"HTTP/1.1 204 No\r\nConnection: close\r\n\r\n", id="close without a body"),
    ],
)
def test_a_connection_that_the_upstream_wants_closed_is_closed(talk: Conversation, answer: bytes) -> None:
    """RFC 9112 9.6; nginx proxy_keepalive.t."""
    client = talk.client().send(request(GET))
    upstream, _ = talk.upstream().request()
    upstream.send(answer)
    client.message()
    assert upstream.has_ended()
    client.send(request(GET))
    second, _ = talk.upstream().request()
    second.send(OK)
    assert client.message().status == 200


def test_a_connection_that_is_idle_for_too_long_is_closed(talk: Conversation) -> None:
    """RFC 9112 9.5; nginx upstream_keepalive.t."""
    client = talk.client().send(request(b"GET /brief/x HTTP/1.1"))
    upstream, _ = talk.upstream("brief").request()
    begun = time.monotonic()
    upstream.send(OK)
    client.message()
    assert upstream.has_ended()
    assert time.monotonic() - begun > 0.1


def test_posts_to_an_upstream_that_closes_after_each_response_all_succeed(talk: Conversation) -> None:
    """RFC 9112 9.3.1; HAProxy http_reuse_safe.vtc, mitmproxy test_dont_reuse_closed."""
    client = talk.client()
    for n in range(10):
        client.send(request(b"POST /plain/x HTTP/1.1", b"Content-Length: 1", body=b"%d" % n))
        upstream, seen = talk.upstream().request()
        assert seen.body == b"%d" % n
        upstream.send(OK).close()
        assert client.message().status == 200


def test_posts_to_an_upstream_that_resets_after_each_response_all_succeed(talk: Conversation) -> None:
    """RFC 9112 9.3.1; mitmproxy test_reuse_error."""
    client = talk.client()
    for _ in range(5):
        client.send(request(b"POST /plain/x HTTP/1.1", b"Content-Length: 1", body=b"a"))
        upstream, _ = talk.upstream().request()
        upstream.send(OK)
        assert client.message().status == 200
        upstream.reset()


def test_one_connection_serves_one_request_at_a_time(talk: Conversation) -> None:
    """RFC 9112 9.3.2: responses are matched to requests by their order alone."""
    first = talk.client().send(request(b"GET /plain/1 HTTP/1.1"))
    one, _ = talk.upstream().request()
    second = talk.client().send(request(b"GET /plain/2 HTTP/1.1"))
    two, seen = talk.upstream().request()
    assert seen.target == b"/plain/2"
    two.send(response(body=b"two"))
    one.send(response(body=b"one"))
    assert (first.message().body, second.message().body) == (b"one", b"two")


def test_a_waiting_request_gets_the_connection_that_becomes_free(talk: Conversation) -> None:
    """nginx upstream_keepalive.t, Envoy max_connections."""
    first = talk.client().send(request(b"GET /few/1 HTTP/1.1"))
    upstream, _ = talk.upstream("few").request()
    second = talk.client().send(request(b"GET /few/2 HTTP/1.1"))
    upstream.send(response(body=b"one"))
    assert first.message().body == b"one"
    assert upstream.message().target == b"/few/2"
    upstream.send(response(body=b"two"))
    assert second.message().body == b"two"
    assert talk.upstream("few").connections() == 1


def test_a_waiting_request_gets_a_new_connection_when_the_old_one_is_spent(talk: Conversation) -> None:
    """Envoy max_connections."""
    first = talk.client().send(request(b"GET /few/1 HTTP/1.1"))
    upstream, _ = talk.upstream("few").request()
    second = talk.client().send(request(b"GET /few/2 HTTP/1.1"))
    upstream.send(response(b"Connection: close"))
    assert first.message().status == 200
    assert upstream.has_ended()
    fresh, seen = talk.upstream("few").request()
    assert seen.target == b"/few/2"
    fresh.send(OK)
    assert second.message().status == 200


def test_a_connection_whose_upload_was_not_taken_is_not_used_again(talk: Conversation) -> None:
    """RFC 9112 9.3; fastify-reply-from incomplete-request."""
    client = talk.client().send(request(b"POST /plain/1 HTTP/1.1", b"Content-Length: 10", body=b"xyz"))
    upstream = talk.upstream().accept()
    upstream.until(b"xyz")
    upstream.send(OK)
    assert client.message().status == 200
    assert upstream.has_ended()
