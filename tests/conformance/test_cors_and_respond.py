"""Answers that the gateway gives itself: to preflights of browsers, and where a route says what to say."""

import pytest
from support.conformance import Conversation, Message, request, response
from support.conformance_files import PAGE

ORIGIN = b"Origin: " + PAGE


def preflight(*lines: bytes, path: bytes = b"/cors/x", method: bytes = b"PUT") -> bytes:
    return request(b"OPTIONS " + path + b" HTTP/1.1", *lines, b"Access-Control-Request-Method: " + method)


def words(message: Message, name: str) -> set[bytes]:
    """Return the members of a list field, in lower case."""
    return {word.strip().lower() for value in message.values(name) for word in value.split(b",")}


def cors_fields(message: Message) -> set[str]:
    return {name for name in message.names() if name.startswith("access-control-")}


def test_a_preflight_of_a_listed_page_is_answered_by_the_gateway(talk: Conversation) -> None:
    """WHATWG Fetch 3.2.2; Envoy cors filter."""
    answer = talk.refused(preflight(ORIGIN, b"Access-Control-Request-Headers: x-token"))
    assert answer.status == 204
    assert answer.values("access-control-allow-origin") == [PAGE]
    assert answer.values("access-control-allow-credentials") == [b"true"]
    assert words(answer, "access-control-allow-methods") - {b"head"} == {b"get", b"put"}
    assert words(answer, "access-control-allow-headers") == {b"x-token", b"content-type"}
    assert answer.values("access-control-max-age") == [b"600"]
    assert b"origin" in words(answer, "vary")
    assert answer.values("content-length") == []


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(preflight(b"Origin: https://evil.test"), id="origin"),
        pytest.param(preflight(b"Origin: https://app.test.evil.test"), id="longer origin"),
        pytest.param(preflight(b"Origin: http://app.test"), id="scheme"),
        pytest.param(preflight(b"Origin: https://app.test:444"), id="port"),
        pytest.param(preflight(b"Origin: null"), id="null"),
        pytest.param(preflight(ORIGIN, method=b"DELETE"), id="method that is not listed"),
    ],
)
def test_a_preflight_that_is_not_listed_is_denied(talk: Conversation, data: bytes) -> None:
    """WHATWG Fetch 4.9; reflected origins."""
    answer = talk.refused(data)
    assert (answer.status, answer.slug) == (403, "denied")
    assert cors_fields(answer) == set()


def test_a_preflight_asks_for_no_credentials(talk: Conversation) -> None:
    """WHATWG Fetch 4.8: "a CORS-preflight request never includes credentials"."""
    answer = talk.refused(preflight(ORIGIN, path=b"/cors-plain", method=b"POST"))
    assert answer.status == 204
    assert answer.values("access-control-allow-credentials") == []
    assert {b"post", b"get"} <= words(answer, "access-control-allow-methods")


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param((ORIGIN,), id="no method asked for"),
        pytest.param((b"Access-Control-Request-Method: PUT",), id="no origin"),
    ],
)
def test_options_that_is_no_preflight_is_forwarded(talk: Conversation, lines: tuple[bytes, ...]) -> None:
    """WHATWG Fetch 3.2.2; APISIX: OPTIONS must not be a way round."""
    assert talk.forwarded(b"OPTIONS /cors/x HTTP/1.1", *lines, at="cors").start.startswith(b"OPTIONS ")


def test_a_preflight_on_a_route_without_cors_is_an_ordinary_request(talk: Conversation) -> None:
    """WHATWG Fetch 3.2.2."""
    seen = talk.forwarded_bytes(preflight(ORIGIN, path=b"/plain/x"))
    assert seen.values("access-control-request-method") == [b"PUT"]


@pytest.mark.parametrize(("path", "status"), [(b"/nowhere", 404), (b"/plain/few-methods", 405)])
def test_a_preflight_where_nothing_allows_it_says_so(talk: Conversation, path: bytes, status: int) -> None:
    """RFC 9110 15.5."""
    answer = talk.refused(preflight(ORIGIN, path=path))
    assert answer.status == status
    assert cors_fields(answer) == set()


def test_a_response_for_a_listed_page_says_that_it_may_be_read(talk: Conversation) -> None:
    """WHATWG Fetch 3.2.3."""
    answer = talk.answered(response(b"Vary: Accept", body=b"xyz"), b"GET /cors/x HTTP/1.1", ORIGIN, at="cors")
    assert answer.body == b"xyz"
    assert answer.values("access-control-allow-origin") == [PAGE]
    assert answer.values("access-control-allow-credentials") == [b"true"]
    assert {b"accept", b"origin"} <= words(answer, "vary")


@pytest.mark.parametrize("lines", [(), (b"Origin: https://evil.test",), (b"Origin: null",)])
def test_a_response_for_anybody_else_does_not_say_so_and_varies(
    talk: Conversation, lines: tuple[bytes, ...]
) -> None:
    """WHATWG Fetch 3.2.3; RFC 9110 12.5.5: shared caches."""
    answer = talk.answered(response(), b"GET /cors/x HTTP/1.1", *lines, at="cors")
    assert answer.status == 200
    assert cors_fields(answer) == set()
    assert b"origin" in words(answer, "vary")


@pytest.mark.parametrize("origin", [PAGE, b"https://evil.test"])
def test_what_the_upstream_says_about_origins_is_replaced(talk: Conversation, origin: bytes) -> None:
    """Envoy cors filter; reflected origins."""
    answer = talk.answered(
        response(
            b"Access-Control-Allow-Origin: *",
            b"access-control-allow-origin: https://evil.test",
            b"Access-Control-Allow-Credentials: true",
        ),
        b"GET /cors/x HTTP/1.1",
        b"Origin: " + origin,
        at="cors",
    )
    assert answer.values("access-control-allow-origin") == ([PAGE] if origin == PAGE else [])
    assert answer.values("access-control-allow-credentials") == ([b"true"] if origin == PAGE else [])


def test_what_the_upstream_says_about_origins_passes_on_a_route_without_cors(talk: Conversation) -> None:
    """WHATWG Fetch 3.2.3: the application's own answer."""
    answer = talk.answered(response(b"Access-Control-Allow-Origin: *"), b"GET /plain/x HTTP/1.1", ORIGIN)
    assert answer.values("access-control-allow-origin") == [b"*"]


def test_a_refusal_may_be_read_by_a_listed_page(talk: Conversation) -> None:
    """WHATWG Fetch 3.2.3: a page must see why it was refused."""
    answer = talk.refused(request(b"GET /cors-plain HTTP/1.1", ORIGIN))
    assert answer.status == 401
    assert answer.values("access-control-allow-origin") == [PAGE]
    assert b"origin" in words(answer, "vary")
    other = talk.refused(request(b"GET /cors-plain HTTP/1.1", b"Origin: https://evil.test"))
    assert (other.status, cors_fields(other)) == (401, set())


def test_a_redirect_route_redirects(talk: Conversation) -> None:
    """RFC 9110 15.4.9."""
    answer = talk.refused(request(b"GET /old/a/b?c HTTP/1.1"))
    assert answer.status == 308
    assert answer.values("location") == [b"/plain/new"]
    assert answer.values("content-length") == [b"0"]
    assert len(answer.values("x-request-id")) == 1


def test_a_maintenance_route_says_what_is_written(talk: Conversation) -> None:
    """RFC 9110 15.6.4."""
    answer = talk.refused(request(b"GET /closed HTTP/1.1"))
    assert (answer.status, answer.body) == (503, b"Back soon")
    assert answer.values("retry-after") == [b"60"]
    assert answer.values("content-type") == [b"text/plain"]


def test_an_answer_of_the_gateway_to_head_has_a_length_and_no_body(talk: Conversation) -> None:
    """RFC 9110 9.3.2."""
    client = talk.client().send(request(b"HEAD /closed HTTP/1.1") + request(b"GET /closed HTTP/1.1"))
    assert client.message(bodyless=True).values("content-length") == [b"9"]
    assert client.message().body == b"Back soon"


def test_an_answer_without_content_has_no_framing(talk: Conversation) -> None:
    """RFC 9110 15.3.5."""
    answer = talk.refused(request(b"GET /nothing HTTP/1.1"))
    assert answer.status == 204
    assert not {"content-length", "transfer-encoding"} & set(answer.names())


def test_an_answer_of_the_gateway_comes_after_the_decision(talk: Conversation, token: str) -> None:
    """RFC 9110 15.5.2."""
    assert talk.refused(request(b"GET /member-page HTTP/1.1")).status == 401
    answer = talk.refused(request(b"GET /member-page HTTP/1.1", b"Authorization: Bearer " + token.encode()))
    assert (answer.status, answer.body) == (200, b"hello")


def test_a_body_that_nobody_reads_is_never_a_request(talk: Conversation) -> None:
    """RFC 9112 9.3."""
    inner = request(b"GET /plain/smuggled HTTP/1.1")
    client = talk.client().send(
        request(b"POST /closed HTTP/1.1", b"Content-Length: %d" % len(inner), body=inner)
        + request(b"GET /closed HTTP/1.1", b"Connection: close")
    )
    received = client.rest()
    assert received.startswith(b"HTTP/1.1 503 ")
    assert received.count(b"HTTP/1.1 ") in {1, 2}
    assert talk.nothing_was_forwarded()
