"""Interim responses pass at once; `100 Continue` comes after the decision, and from the upstream when it speaks."""

from collections.abc import Callable

import pytest
from support.conformance import OK, Conversation, Ended, Message, Wire, request

GET = b"GET /plain/x HTTP/1.1"
POST = b"POST /plain/x HTTP/1.1"
EXPECT = b"Expect: 100-continue"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def final(client: Wire) -> Message:
    """Return the next response that is not an interim one."""
    while (answer := client.message()).status < 200:
        pass
    return answer


def test_early_hints_reach_the_client_before_the_final_response(talk: Conversation) -> None:
    """RFC 8297, RFC 9110 15.2; Go Test1xxResponses, nginx proxy_early_hints.t."""
    client = talk.client().send(request(GET))
    upstream, _ = talk.upstream().request()
    upstream.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nlink: </b>\r\nX-A: b\r\n\r\n")
    hints = client.message()
    assert hints.start == b"HTTP/1.1 103 Early Hints"
    assert [line for line in hints.lines if line.lower().startswith(b"link")] == [
        b"Link: </a>",
        b"link: </b>",
    ]
    upstream.send(OK)
    answer = client.message()
    assert (answer.status, answer.body) == (200, b"ok")
    assert answer.values("link") == []


@pytest.mark.parametrize(
    "line", [b"102 Processing", b"103 Early Hints", b"104 Upload", b"199 Unheard-of", b"103 "]
)
def test_every_interim_response_passes_once_and_in_order(talk: Conversation, line: bytes) -> None:
    """RFC 9110 15.2; Apache httpd 06_003."""
    client = talk.client().send(request(GET))
    upstream, _ = talk.upstream().request()
    upstream.send(b"".join(b"HTTP/1.1 %b\r\nX-N: %d\r\n\r\n" % (line, n) for n in range(3)) + OK)
    answers = [client.message() for _ in range(4)]
    assert [answer.start for answer in answers[:3]] == [b"HTTP/1.1 " + line] * 3
    assert [answer.values("x-n") for answer in answers] == [[b"0"], [b"1"], [b"2"], []]
    assert answers[3].body == b"ok"
    assert client.is_quiet()


def test_hop_by_hop_fields_of_an_interim_response_are_removed(talk: Conversation) -> None:
    """RFC 9110 7.6.1."""
    client = talk.client().send(request(GET))
    upstream, _ = talk.upstream().request()
    upstream.send(
        b"HTTP/1.1 103 Early Hints\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nLink: </a>\r\n\r\n"
        + OK
    )
    hints = client.message()
    assert [line.partition(b":")[0] for line in hints.lines] == [b"Link"]
    assert client.message().status == 200


def test_an_http_1_0_client_gets_no_interim_response(talk: Conversation) -> None:
    """RFC 9110 15.2."""
    client = talk.client().send(b"POST /plain/x HTTP/1.0\r\nContent-Length: 0\r\n\r\n")
    upstream, _ = talk.upstream().request()
    upstream.send(CONTINUE + b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK)
    assert client.message().status == 200


def test_a_flood_of_interim_responses_is_ended(talk: Conversation) -> None:
    """HTTP Garden; CVE-2026-54273: unbounded interim responses."""
    client = talk.client().send(request(GET))
    upstream, _ = talk.upstream().request()
    upstream.pour(b"HTTP/1.1 103 Early Hints\r\nX-A: " + b"a" * 1000 + b"\r\n\r\n", times=2000)
    assert final(client).status == 502


def test_an_interim_response_behind_a_final_one_reaches_nobody(talk: Conversation) -> None:
    """Go Test1xxHeadersNotModifiedAfterRoundTrip."""
    client = talk.client().send(request(GET))
    upstream, _ = talk.upstream().request()
    upstream.send(OK + b"HTTP/1.1 103 Early Hints\r\n\r\n")
    assert client.message().body == b"ok"
    assert upstream.has_ended()
    assert client.is_quiet()


def at_once(attempt: Callable[[], bool]) -> bool:
    """Say whether one of three attempts is quick enough: an upstream has a tenth of a second to speak, which a
    busy machine may take for itself."""
    return any(attempt() for _ in range(3))


def test_100_comes_from_the_upstream(talk: Conversation) -> None:
    """RFC 9110 10.1.1; YARP PostExpect100, HAProxy."""

    def attempt() -> bool:
        client = talk.client().send(request(POST, EXPECT, b"Content-Length: 4"))
        upstream = talk.upstream().accept()
        assert b"expect" not in upstream.until(b"\r\n\r\n").lower()
        upstream.send(b"HTTP/1.1 100 Go On\r\nX-A: b\r\n\r\n")
        interim = client.message()
        assert interim.status == 100
        client.send(b"body")
        assert upstream.exactly(4) == b"body"
        upstream.send(OK)
        assert final(client).status == 200
        upstream.finish()
        return interim.start == b"HTTP/1.1 100 Go On" and interim.values("x-a") == [b"b"]

    assert at_once(attempt)


def test_100_comes_from_the_gateway_when_the_upstream_says_nothing(talk: Conversation) -> None:
    """RFC 9110 10.1.1; Envoy, Go ExpectContinueTimeout."""
    client = talk.client().send(request(POST, EXPECT, b"Transfer-Encoding: chunked"))
    upstream = talk.upstream().accept()
    upstream.until(b"\r\n\r\n")
    assert client.message().status == 100
    client.send(b"4\r\nbody\r\n0\r\n\r\n")
    assert upstream.chunk() == b"body"
    assert upstream.chunk() == b""
    upstream.send(CONTINUE + OK)
    assert final(client).body == b"ok"


@pytest.mark.parametrize("status", [200, 204, 303, 401, 403, 409, 413, 417, 500])
def test_a_final_response_instead_of_100_reaches_the_client_and_the_body_is_not_read(
    talk: Conversation, status: int
) -> None:
    """RFC 9110 10.1.1; YARP PostExpect100_ResponseWithPayload."""
    payload = b"" if status == 204 else b"why"
    framing = b"" if status == 204 else b"Content-Length: 3\r\n"

    def attempt() -> bool:
        client = talk.client().send(request(POST, EXPECT, b"Content-Length: 4"))
        upstream = talk.upstream().accept()
        upstream.until(b"\r\n\r\n")
        upstream.send(b"HTTP/1.1 %d No\r\n" % status + framing + b"\r\n" + payload)
        first = client.message()
        answer = final(client) if first.status == 100 else first
        assert (answer.status, answer.body) == (status, payload)
        assert answer.values("connection") == [b"close"]
        client.send(b"body")
        client.half_close()
        assert client.has_ended()
        assert upstream.has_ended(), "the body never went on"
        return first is answer

    assert at_once(attempt)


def test_nobody_is_asked_to_go_on_before_the_decision(talk: Conversation) -> None:
    """RFC 9110 10.1.1; YARP PostExpect100_SkipRequestBodyWithUnsuccessfulResponseCode."""
    for start, line, status in (
        (b"POST /plain/members HTTP/1.1", b"X-A: b", 401),
        (b"POST /plain/members HTTP/1.1", b"X-Evil: a rule denies this", 403),
        (b"POST /nowhere HTTP/1.1", b"X-A: b", 404),
        (b"DELETE /plain/few-methods HTTP/1.1", b"X-A: b", 405),
        (b"POST /plain/a//b HTTP/1.1", b"X-A: b", 400),
    ):
        client = talk.client().send(request(start, line, EXPECT, b"Content-Length: 4"))
        answer = client.message()
        assert answer.status == status
        assert answer.values("connection") == [b"close"]
        client.half_close()
        assert client.has_ended()
        assert talk.nothing_was_forwarded()


def test_a_denied_client_is_not_asked_to_go_on(talk: Conversation, token: str) -> None:
    """RFC 9110 10.1.1."""
    client = talk.client().send(
        request(
            b"POST /plain/scoped HTTP/1.1",
            b"Authorization: Bearer " + token.encode(),
            EXPECT,
            b"Content-Length: 4",
        )
    )
    answer = client.message()
    assert (answer.status, answer.slug) == (403, "insufficient-scope")
    assert talk.nothing_was_forwarded()


def test_a_body_that_is_too_large_is_refused_before_it_is_asked_for(talk: Conversation) -> None:
    """RFC 9110 10.1.1, 15.5.14."""
    client = talk.client().send(request(b"POST /small/x HTTP/1.1", EXPECT, b"Content-Length: 2000"))
    assert client.message().status == 413
    assert talk.nothing_was_forwarded()


def test_an_http_1_0_client_that_expects_gets_no_100(talk: Conversation) -> None:
    """RFC 9110 10.1.1; nginx http_expect_100_continue.t."""
    client = talk.client().send(
        b"POST /plain/x HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody"
    )
    upstream, seen = talk.upstream().request()
    assert seen.values("expect") == []
    assert seen.body == b"body"
    upstream.send(CONTINUE + OK)
    assert client.message().status == 200


@pytest.mark.parametrize(
    "value", [b"200-ok", b"100-continue, more", b"100-continue;a=b", b"", b"100-continued"]
)
def test_an_unknown_expectation_fails(talk: Conversation, value: bytes) -> None:
    """RFC 9110 10.1.1."""
    client = talk.client().send(request(POST, b"Expect: " + value, b"Content-Length: 4"))
    answer = client.message()
    assert (answer.status, answer.slug) == (417, "expectation-failed")
    assert talk.nothing_was_forwarded()


def test_the_word_of_an_expectation_has_no_case(talk: Conversation) -> None:
    """RFC 9110 10.1.1."""
    client = talk.client().send(request(POST, b"eXPECT: 100-Continue", b"Content-Length: 4"))
    upstream = talk.upstream().accept()
    upstream.until(b"\r\n\r\n")
    upstream.send(CONTINUE)
    assert client.message().status == 100


@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
def test_a_client_that_does_not_wait_is_served(talk: Conversation, version: bytes) -> None:
    """RFC 9110 10.1.1; YARP."""
    client = talk.client().send(
        request(b"POST /plain/x " + version, EXPECT, b"Content-Length: 4", body=b"body") + request(GET)
    )
    upstream, seen = talk.upstream().request()
    assert seen.body == b"body"
    upstream.send(OK)
    assert final(client).status == 200


def test_an_expectation_without_a_body_holds_nothing_up(talk: Conversation) -> None:
    """RFC 9110 10.1.1."""
    client = talk.client().send(request(GET, EXPECT))
    upstream, seen = talk.upstream().request()
    assert seen.values("expect") == []
    upstream.send(OK)
    assert final(client).status == 200


def test_a_client_that_expects_and_leaves_ends_the_upstreams_exchange(talk: Conversation) -> None:
    """Go TestReverseProxyCancellation."""
    client = talk.client().send(request(POST, EXPECT, b"Content-Length: 4"))
    upstream = talk.upstream().accept()
    upstream.until(b"\r\n\r\n")
    client.close()
    assert upstream.has_ended()


def test_an_upstream_that_dies_before_100_is_a_502(talk: Conversation) -> None:
    """RFC 9110 15.6.3."""
    client = talk.client().send(request(POST, EXPECT, b"Content-Length: 4"))
    upstream = talk.upstream().accept()
    upstream.until(b"\r\n\r\n")
    upstream.half_close()
    answer = client.message()
    assert answer.status == 502
    with pytest.raises(Ended):
        client.send(b"body").message()
