"""Answers without end do not outlive the right to them: WebSockets, event streams, and other answers.

What ends takes seconds to end, so one caller logs out while the token of another expires, and the tests look at
what became of their streams.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from uuid import uuid4

import pytest
from support.conformance import Conversation, Ended, Upstream, Wire, request
from support.conformance_websocket import ANSWER, HANDSHAKE, POLICY_VIOLATION, TEXT, closed, frame
from support.gateway import Gateway

EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
DOWNLOAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
MOST = 5.0
"""Seconds until the end: two, and what a busy machine takes."""


class Stream:
    """A response without end, by both of its ends."""

    def __init__(self, talk: Conversation, token: str, answer: bytes, path: bytes, *lines: bytes) -> None:
        bearer = b"Authorization: Bearer " + token.encode()
        self.client = talk.client().send(request(b"GET " + path + b" HTTP/1.1", *lines, bearer))
        self.upstream, _ = talk.upstream().request()
        self.upstream.send(answer)
        assert b" 101 " in self.client.until(b"\r\n\r\n") or answer is not ANSWER

    def goes_on(self) -> bool:
        """Say whether it still carries what the upstream sends."""
        try:
            self.upstream.send(b"1\r\na\r\n")
            return self.client.chunk() == b"a"
        except (ConnectionError, Ended):
            return False


class Caller:
    """A caller, and what runs for it."""

    def __init__(self, talk: Conversation, name: str) -> None:
        # A process that is given these tests in two portions makes two such callers.
        self.token = talk.account(f"{name}-{uuid4().hex}")
        self.websocket = Stream(talk, self.token, ANSWER, b"/plain/members", *HANDSHAKE)
        self.events = Stream(talk, self.token, EVENTS, b"/plain/members")
        self.download = Stream(talk, self.token, DOWNLOAD, b"/plain/members")
        self.kept = Stream(talk, self.token, EVENTS, b"/plain/kept")


@pytest.fixture(scope="module")
def conversation(
    _ipv6: Gateway, again: Callable[[Gateway], Gateway], upstream_ends: Mapping[str, Upstream]
) -> Iterator[Conversation]:
    with Conversation(("::1", again(_ipv6).port), upstream_ends) as talk:
        yield talk


@pytest.fixture(scope="module")
def expired(conversation: Conversation) -> Caller:
    """A caller whose token lives for two seconds."""
    caller = Caller(conversation, "xenia")
    caller.websocket.upstream.send(frame(TEXT, b"a"))
    assert caller.websocket.client.exactly(3) == frame(TEXT, b"a")
    return caller


@pytest.fixture(scope="module")
def revoked(conversation: Conversation, expired: Caller) -> Caller:
    """A caller who has logged out, shortly after the other came."""
    caller = Caller(conversation, "walt")
    begun = time.monotonic()
    assert conversation.asked("POST", "/gateway/v1/auth/logout", {}, caller.token).status == 204
    assert caller.kept.client.rest().strip() == b"", "what survives expiry ends as well"
    assert time.monotonic() - begun < MOST
    return caller


def ends(client: Wire) -> bool:
    """Say whether a response in chunks is cut, without a last chunk."""
    return client.rest().strip() == b""


def test_revocation_ends_a_websocket_and_says_why(revoked: Caller) -> None:
    """RFC 7009 2.1; RFC 6455 7.4.1: 1008 is a violation of policy."""
    revoked.websocket.upstream.half_close()
    assert closed(revoked.websocket.client) == POLICY_VIOLATION
    revoked.websocket.upstream.rest()


def test_revocation_ends_an_event_stream(revoked: Caller) -> None:
    """RFC 7009 2.1; WHATWG HTML 9.2."""
    assert ends(revoked.events.client)
    assert revoked.events.upstream.has_ended()


def test_revocation_ends_every_other_answer(revoked: Caller) -> None:
    """RFC 7009 2.1."""
    assert ends(revoked.download.client)
    assert revoked.download.upstream.has_ended()


def test_expiry_ends_a_websocket_and_says_why(expired: Caller, revoked: Caller) -> None:
    """RFC 6750 5.3; RFC 6455 7.4.1."""
    assert closed(expired.websocket.client) == POLICY_VIOLATION
    expired.websocket.upstream.half_close()
    expired.websocket.upstream.rest()


def test_expiry_ends_an_event_stream(expired: Caller) -> None:
    """RFC 6750 5.3; WHATWG HTML 9.2."""
    assert ends(expired.events.client)
    assert expired.events.upstream.has_ended()


def test_expiry_does_not_end_another_answer(expired: Caller) -> None:
    """RFC 9110 15.5.2: the request was authorized when it came."""
    assert ends(expired.events.client), "the time has come"
    assert expired.download.goes_on()


def test_expiry_ends_nothing_where_the_route_says_so(expired: Caller) -> None:
    """Envoy: a stream is authorized once."""
    assert ends(expired.events.client), "the time has come"
    assert expired.kept.goes_on()
