"""What the gateway answers when an upstream does not, and when it asks again."""

import time

import pytest
from support.conformance import OK, Conversation, Wire, request, response

CHUNKED = b"Transfer-Encoding: chunked"
STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SILENCE = 0.2
"""Seconds after which the upstream `hasty` is given up."""


@pytest.mark.parametrize("name", ["gone", "unknown"])
def test_an_upstream_that_cannot_be_reached_is_a_502_without_its_address(
    talk: Conversation, name: str
) -> None:
    """RFC 9110 15.6.3; YARP UnableToConnect_Returns502, mitmproxy test_server_unreachable."""
    client = talk.client().send(request(f"GET /{name}/x HTTP/1.1".encode()))
    answer = client.message()
    assert (answer.status, answer.slug) == (502, "upstream-unreachable")
    assert answer.values("content-type") == [b"application/problem+json"]
    assert not any(word in answer.body for word in (b"127.0.0.1", b".invalid", b"refused", name.encode()))
    assert client.send(request(b"GET /nowhere HTTP/1.1")).message().status == 404, "the client is not cut"


def test_an_upstream_that_does_not_accept_is_a_504(talk: Conversation) -> None:
    """RFC 9110 15.6.5; YARP RequestConnectTimedOut_Returns504."""
    begun = time.monotonic()
    answer = talk.client().send(request(b"GET /stuck/x HTTP/1.1")).message()
    assert (answer.status, answer.slug) == (504, "upstream-timeout")
    assert time.monotonic() - begun > SILENCE * 0.9


def test_an_upstream_that_does_not_answer_is_a_504(talk: Conversation) -> None:
    """RFC 9110 15.6.5; YARP RequestTimedOut_Returns504, Traefik timeout_test."""
    client = talk.client().send(request(b"POST /hasty/x HTTP/1.1", b"Content-Length: 3", body=b"xyz"))
    upstream, _ = talk.upstream("hasty").request()
    answer = client.message()
    assert (answer.status, answer.slug) == (504, "upstream-timeout")
    assert upstream.has_ended(), "a late answer is nobody's"
    assert talk.upstream("hasty").connections() == 1, "it is not asked again"


@pytest.mark.parametrize("sent", [b"HTTP/1.1 200 OK\r\nX-A: b\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n"])
def test_an_upstream_that_begins_a_head_and_stops_is_a_504(talk: Conversation, sent: bytes) -> None:
    """RFC 9110 15.6.5."""
    client = talk.client().send(request(b"GET /hasty/x HTTP/1.1"))
    upstream, _ = talk.upstream("hasty").request()
    upstream.send(sent)
    answer = client.message()
    if answer.status == 103:
        answer = client.message()
    assert answer.status == 504


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nxyz",
        STREAM + b"3\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nxyz",
    ],
)
def test_an_upstream_that_stops_in_the_middle_of_a_body_cuts_the_client(
    talk: Conversation, head: bytes
) -> None:
    """RFC 9112 8; fastify undici-timeout-body-partial."""
    client = talk.client().send(request(b"GET /hasty/x HTTP/1.1"))
    upstream, _ = talk.upstream("hasty").request()
    upstream.send(head)
    client.until(b"xyz")
    assert client.rest().strip() == b""
    assert upstream.has_ended()


def test_a_byte_now_and_then_keeps_an_exchange_alive(talk: Conversation) -> None:
    """YARP RequestWithBody_KeptAliveByActivity."""
    client = talk.client().send(request(b"GET /patient/x HTTP/1.1"))
    upstream, _ = talk.upstream("patient").request()
    upstream.send(STREAM)
    client.until(b"\r\n\r\n")
    for _ in range(4):
        time.sleep(0.15)  # a third of what is allowed, and longer together
        upstream.send(b"1\r\na\r\n")
        assert client.chunk() == b"a"
    upstream.send(b"0\r\n\r\n")
    assert client.chunk() == b""


def test_a_client_that_stops_in_the_middle_of_its_body_is_given_up(talk: Conversation) -> None:
    """RFC 9110 15.5.9; Envoy stream_idle_timeout."""
    client = talk.client().send(request(b"POST /hasty/x HTTP/1.1", CHUNKED, body=b"3\r\nxyz\r\n"))
    upstream = talk.upstream("hasty").accept()
    upstream.until(b"xyz\r\n")
    assert upstream.has_ended(), "no last chunk"
    answer = client.message()
    assert (answer.status, answer.slug) == (408, "request-timeout")
    assert client.has_ended()


def test_a_request_whose_connection_failed_goes_to_another_target_with_its_body(talk: Conversation) -> None:
    """RFC 9110 9.2.2; Caddy TestDialErrorBodyRetry."""
    for _ in range(2):  # each of the two targets is the first once
        seen = talk.forwarded(
            b"POST /second/x HTTP/1.1", b"Content-Length: 3", b"X-A: b", body=b"xyz", at="second"
        )
        assert seen.body == b"xyz"
        assert seen.values("x-a") == [b"b"]
        assert len(seen.values("x-request-id")) == len(seen.values("via")) == 1


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"GET"])
def test_a_request_that_was_sent_is_not_sent_again(talk: Conversation, method: bytes) -> None:
    """RFC 9110 9.2.2 "MUST NOT automatically retry"; nginx proxy_non_idempotent.t."""
    client = talk.client().send(request(method + b" /second/x HTTP/1.1", b"Content-Length: 3", body=b"xyz"))
    upstream, _ = talk.upstream("second").request()
    upstream.half_close()
    assert client.message().status == 502
    assert upstream.has_ended()
    assert talk.upstream("second").connections() == 1


def test_an_error_of_the_upstream_passes_as_it_is(talk: Conversation) -> None:
    """RFC 9110 15.6."""
    for status in (500, 502, 503, 504):
        answer = talk.answered(
            response(b"Retry-After: 7", b"X-A: b", start=b"HTTP/1.1 %d Mine" % status, body=b"mine")
        )
        assert (answer.start, answer.body) == (b"HTTP/1.1 %d Mine" % status, b"mine")
        assert answer.values("retry-after") == [b"7"]


def test_a_redirect_of_the_upstream_is_not_followed(talk: Conversation) -> None:
    """RFC 9110 15.4."""
    answer = talk.answered(response(b"Location: http://127.0.0.1:1/x", start=b"HTTP/1.1 302 Found"))
    assert answer.values("location") == [b"http://127.0.0.1:1/x"]


def test_cookies_of_one_caller_are_never_sent_for_another(talk: Conversation) -> None:
    """RFC 6265 8; aiohttp's cookie jar."""
    talk.answered(response(b"Set-Cookie: session=secret; Path=/"))
    assert talk.forwarded(b"GET /plain/x HTTP/1.1").values("cookie") == []


def test_a_problem_says_what_it_is(talk: Conversation) -> None:
    """RFC 9457 3."""
    client = talk.client().send(request(b"GET /gone/x HTTP/1.1", b"Accept: text/html"))
    answer = client.message()
    (id_,) = answer.values("x-request-id")
    assert answer.values("content-type") == [b"application/problem+json"]
    assert answer.values("cache-control") == [b"no-store"]
    assert b'"instance":"urn:uuid:' + id_ + b'"' in answer.body
    assert b'"status":502' in answer.body
    assert b'"title":"' in answer.body


def test_a_problem_for_head_has_no_body(talk: Conversation) -> None:
    """RFC 9110 9.3.2."""
    client = talk.client().send(request(b"HEAD /nowhere HTTP/1.1") + request(b"GET /nowhere HTTP/1.1"))
    assert client.message(bodyless=True).status == 404
    assert client.message().status == 404


def test_too_many_waiting_requests_are_told_when_to_come_back(talk: Conversation) -> None:
    """RFC 9110 10.2.3; Envoy circuit_breakers max_pending_requests."""
    first = talk.client().send(request(b"GET /few/1 HTTP/1.1"))
    upstream, _ = talk.upstream("few").request()
    others = {talk.client().send(request(b"GET /few/2 HTTP/1.1")) for _ in range(2)}
    refused = talk.first(*others)
    assert isinstance(refused, Wire)
    answer = refused.message()
    assert (answer.status, answer.slug) == (503, "overloaded")
    assert int(answer.values("retry-after")[0]) >= 1
    upstream.send(OK)
    assert first.message().status == 200
    assert upstream.message().target == b"/few/2"
    upstream.send(OK)
    (waited,) = others - {refused}
    assert waited.message().status == 200


@pytest.mark.parametrize("status", [502, 503])
@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS"])
def test_an_error_of_an_upstream_is_asked_about_again_where_the_configuration_says_so(
    talk: Conversation, status: int, method: bytes
) -> None:
    """RFC 9110 9.2.2; Envoy retry_on gateway-error."""
    client = talk.client().send(request(method + b" /asking/x HTTP/1.1", b"X-A: b"))
    first, before = talk.upstream("asking").request()
    first.send(response(b"Connection: close", start=b"HTTP/1.1 %d Oh" % status))
    second, after = talk.upstream("asking").request()
    assert before.start == after.start
    assert [line for line in before.lines if b"traceparent" not in line] == [
        line for line in after.lines if b"traceparent" not in line
    ]
    second.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert client.message(bodyless=method == b"HEAD").status == 200


@pytest.mark.parametrize(
    ("start", "answer"),
    [
        (b"POST /asking/x HTTP/1.1", b"HTTP/1.1 503 Oh"),
        (b"PUT /asking/x HTTP/1.1", b"HTTP/1.1 502 Oh"),
        (b"DELETE /asking/x HTTP/1.1", b"HTTP/1.1 503 Oh"),
        (b"GET /asking/x HTTP/1.1", b"HTTP/1.1 500 Oh"),
        (b"GET /asking/x HTTP/1.1", b"HTTP/1.1 504 Oh"),
    ],
)
def test_nothing_else_is_asked_again(talk: Conversation, start: bytes, answer: bytes) -> None:
    """RFC 9110 9.2.2."""
    received = talk.answered(response(b"X-A: b", start=answer, body=b"why"), start, at="asking")
    assert (received.start, received.body) == (answer, b"why")
    assert talk.upstream("asking").connections() == 1


def test_the_second_error_passes(talk: Conversation) -> None:
    """Envoy num_retries."""
    client = talk.client().send(request(b"GET /asking/x HTTP/1.1"))
    for n in range(2):
        upstream, _ = talk.upstream("asking").request()
        upstream.send(response(b"Connection: close", start=b"HTTP/1.1 503 Oh", body=b"%d" % n))
    assert client.message().body == b"1"
    assert talk.upstream("asking").connections() == 2
