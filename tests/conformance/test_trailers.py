"""Trailers of a response follow its last chunk; what must not come that late is dropped."""

import pytest
from support.conformance import Conversation, response

STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
END = b"\r\n3\r\nxyz\r\n0\r\n"


def test_announced_trailers_reach_the_client(talk: Conversation) -> None:
    """RFC 9110 6.5; Go httputil, nginx proxy_trailers.t."""
    answer = talk.answered(
        STREAM + b"Trailer: X-Sum, X-More\r\n" + END + b"X-Sum: 1\r\nx-more: caf\xe9\r\n\r\n"
    )
    assert answer.body == b"xyz"
    assert answer.values("trailer") == [b"X-Sum, X-More"]
    assert answer.trailers == (b"X-Sum: 1", b"x-more: caf\xe9")


def test_trailers_that_nobody_announced_reach_the_client(talk: Conversation) -> None:
    """RFC 9110 6.5; Go TestUnannouncedTrailer."""
    answer = talk.answered(STREAM + END + b"X-Sum: 1\r\nX-Sum: 2\r\n\r\n")
    assert answer.trailers == (b"X-Sum: 1", b"X-Sum: 2")
    assert answer.values("x-sum") == []


def test_an_http_1_0_client_gets_no_trailers(talk: Conversation) -> None:
    """RFC 9112 7.1.2."""
    client = talk.client().send(b"GET /plain/x HTTP/1.0\r\n\r\n")
    upstream, _ = talk.upstream().request()
    upstream.send(STREAM + b"Trailer: X-Sum\r\n" + END + b"X-Sum: 1\r\n\r\n")
    answer = client.message()
    assert answer.body == b"xyz"
    assert answer.values("trailer") == []


def test_a_trailer_field_of_a_response_with_a_length_is_removed(talk: Conversation) -> None:
    """RFC 9110 6.6.2."""
    assert talk.answered(response(b"Trailer: X-Sum", body=b"xyz")).values("trailer") == []


@pytest.mark.parametrize(
    "name",
    [
        *(b"Transfer-Encoding", b"Host", b"Authorization", b"Set-Cookie", b"Connection"),
        *(b"WWW-Authenticate", b"Content-Encoding", b"Content-Type", b"Content-Range", b"Trailer", b"TE"),
        *(b"X-Gateway-Subject", b"X-Request-Id", b"Cache-Control", b"Keep-Alive", b"Upgrade", b"Location"),
    ],
)
def test_a_trailer_that_must_not_be_one_is_dropped(talk: Conversation, name: bytes) -> None:
    """RFC 9110 6.5.1; YARP TransformResponseTrailersAsync_RemovesRestrictedHeaders."""
    answer = talk.answered(STREAM + END + name + b": evil\r\nX-Sum: 1\r\n\r\n")
    assert answer.trailers == (b"X-Sum: 1",)
    assert b"evil" not in b"".join(answer.lines)


def test_a_length_among_the_trailers_is_dropped_or_ends_the_response(talk: Conversation) -> None:
    """RFC 9110 6.5.1."""
    client = talk.client().send(b"GET /plain/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    upstream, _ = talk.upstream().request()
    upstream.send(STREAM + END + b"Content-Length: 3\r\n\r\n")
    assert b"content-length" not in client.rest().lower()


def test_a_trailer_that_the_configuration_removes_is_dropped(talk: Conversation) -> None:
    """nginx proxy_hide_header."""
    answer = talk.answered(STREAM + END + b"Server: s\r\nX-Sum: 1\r\n\r\n")
    assert answer.trailers == (b"X-Sum: 1",)


@pytest.mark.parametrize(
    "line", [b"X Sum: 1", b"X-Sum: a\x00b", b": 1", b"X-Sum : 1", b"no-colon", b"X-Sum: a\rb"]
)
def test_a_broken_trailer_never_ends_a_response_cleanly(talk: Conversation, line: bytes) -> None:
    """RFC 9112 7.1.2; HTTP Garden."""
    client = talk.client().send(b"GET /plain/x HTTP/1.1\r\nHost: a\r\n\r\n")
    upstream, _ = talk.upstream().request()
    upstream.send(STREAM + b"\r\n3\r\nxyz\r\n")
    client.until(b"xyz\r\n")
    upstream.send(b"0\r\n" + line + b"\r\n\r\n")
    assert b"0\r\n" not in client.rest()


def test_trailers_without_end_are_cut(talk: Conversation) -> None:
    """RFC 9110 5.4."""
    client = talk.client().send(b"GET /plain/x HTTP/1.1\r\nHost: a\r\n\r\n")
    upstream, _ = talk.upstream().request()
    upstream.send(STREAM + b"\r\n3\r\nxyz\r\n0\r\n")
    upstream.pour(b"X-A: " + b"a" * 1000 + b"\r\n", times=2000)
    client.until(b"xyz\r\n")
    assert len(client.rest()) < 1_000_000
