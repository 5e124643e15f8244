"""A response whose end can be read in two ways is none: 502, or a cut connection when it had begun."""

import contextlib

import pytest
from support.conformance import Conversation, Ended, request, response

GET = b"GET /plain/x HTTP/1.1"
START = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def distrusted(talk: Conversation, answer: bytes, *, ends: bool = True) -> None:
    """Check that an answer of an upstream is a 502 that says nothing of it, and its connection is dropped."""
    client = talk.client().send(request(GET))
    upstream, _ = talk.upstream().request()
    upstream.send(answer)
    if ends:
        upstream.half_close()
    told = client.message()
    assert (told.status, told.slug) == (502, "upstream-protocol-error")
    assert told.values("content-type") == [b"application/problem+json"]
    assert told.values("cache-control") == [b"no-store"]
    assert b"127.0.0.1" not in told.body
    assert upstream.has_ended()
    client.send(request(GET))
    second, _ = talk.upstream().request()
    second.send(response(body=b"good"))
    assert client.message().body == b"good", "the client's own connection is not to blame"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"HT", id="part of a status line"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", id="a status line"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX-A: b\r\n", id="part of a head"),
        pytest.param(b"\r\n\r\n", id="empty lines"),
    ],
)
def test_an_upstream_that_closes_before_its_head_is_whole_is_a_502(talk: Conversation, answer: bytes) -> None:
    """RFC 9110 15.6.3; Go mode=hangup, mitmproxy test_server_aborts."""
    distrusted(talk, answer)


def test_an_upstream_that_resets_before_its_head_is_a_502(talk: Conversation) -> None:
    """RFC 9110 15.6.3; mitmproxy test_server_aborts."""
    client = talk.client().send(request(b"POST /plain/x HTTP/1.1", b"Content-Length: 0"))
    upstream, _ = talk.upstream().request()
    upstream.reset()
    assert client.message().status == 502


@pytest.mark.parametrize(
    "head",
    [
        *(
            b"Content-Length: " + value + b"\r\n"
            for value in (
                b"+3",
                b"-1",
                b"0x3",
                b"3_0",
                b"3, 4",
                b"3 3",
                b"",
                b"three",
                b"3;",
                b"9" * 30,
                b"\xd9\xa3",
            )
        ),
        b"Content-Length: 3\r\nContent-Length: 4\r\n",
        b"Content-Length: 4\r\ncontent-length: 3\r\n",
    ],
)
def test_a_bad_length_in_a_response_is_a_502(talk: Conversation, head: bytes) -> None:
    """RFC 9112 6.3; nginx proxy_duplicate_headers.t."""
    distrusted(talk, START + head + b"\r\nxyzd")


@pytest.mark.parametrize("lines", [b"Content-Length: 3\r\n" + CHUNKED, CHUNKED + b"Content-Length: 8\r\n"])
def test_a_length_beside_a_transfer_coding_in_a_response_is_a_502(talk: Conversation, lines: bytes) -> None:
    """RFC 9112 6.1; nginx, mitmproxy test_request_smuggling_response."""
    distrusted(talk, START + lines + b"\r\n3\r\nxyz\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    "coding",
    [
        *(
            b"gzip",
            b"chunked, chunked",
            b"chunked, gzip",
            b"gzip, chunked",
            b"identity",
            b"xchunked",
            b"",
            b"chunked;a",
        ),
        *(b"chunked\r\nTransfer-Encoding: chunked", b",chunked", b"\x0bchunked"),
    ],
)
def test_a_transfer_coding_other_than_chunked_in_a_response_is_a_502(
    talk: Conversation, coding: bytes
) -> None:
    """RFC 9112 6.1; HAProxy http_transfer_encoding.vtc c11, nginx."""
    distrusted(talk, START + b"Transfer-Encoding: " + coding + b"\r\n\r\n3\r\nxyz\r\n0\r\n\r\n")


def test_a_transfer_coding_in_an_http_1_0_response_is_not_trusted(talk: Conversation) -> None:
    """RFC 9112 6.1: "the message framing is faulty"."""
    client = talk.client().send(request(GET))
    upstream, _ = talk.upstream().request()
    upstream.send(b"HTTP/1.0 200 OK\r\n" + CHUNKED + b"\r\n3\r\nxyz\r\n0\r\n\r\n").half_close()
    answer = client.message()
    assert answer.status == 502 or answer.body == b"xyz"
    assert upstream.has_ended(), "its connection is not used again"


@pytest.mark.parametrize(
    "start",
    [
        *(
            b"HTTP/2.0 200 OK",
            b"HTTP/0.9 200 OK",
            b"HTTP/1.2 200 OK",
            b"HTTP/1.10 200 OK",
            b"http/1.1 200 OK",
        ),
        *(
            b"ICY 200 OK",
            b"HTTP/1.1",
            b"HTTP/1.1 OK",
            b"200 OK",
            b"SSH-2.0-OpenSSH_9",
            b"<html>",
            b"HTTP/1.1  200 OK",
        ),
    ],
)
def test_a_status_line_that_is_none_is_a_502(talk: Conversation, start: bytes) -> None:
    """RFC 9112 4; mitmproxy."""
    distrusted(talk, start + b"\r\nContent-Length: 0\r\n\r\n")


def test_only_an_interim_response_is_a_502(talk: Conversation) -> None:
    """RFC 9110 15.2; nginx proxy_early_hints.t /only."""
    client = talk.client().send(request(GET))
    upstream, _ = talk.upstream().request()
    upstream.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n").half_close()
    answers = [client.message()]
    if answers[-1].status == 103:
        answers.append(client.message())
    assert answers[-1].status == 502


def test_a_switch_of_protocols_that_nobody_asked_for_is_a_502(talk: Conversation) -> None:
    """RFC 9110 15.2.2, 7.8."""
    distrusted(
        talk,
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nraw bytes",
        ends=False,
    )


def cut_short(talk: Conversation, answer: bytes, start: bytes = GET) -> bytes:
    """Send a request, answer it and close; return everything that the client got until it was cut."""
    client = talk.client().send(request(start))
    upstream, _ = talk.upstream().request()
    upstream.send(answer)
    client.until(b"xyz")
    upstream.half_close()
    return client.rest()


def test_a_truncated_body_with_a_length_is_cut_and_never_padded(talk: Conversation) -> None:
    """RFC 9112 8; Go TestReverseProxy_CopyBuffer, nginx proxy_unfinished.t."""
    assert cut_short(talk, START + b"Content-Length: 10\r\n\r\nxyz") == b""


def test_a_truncated_chunked_body_gets_no_last_chunk(talk: Conversation) -> None:
    """RFC 9112 8; nginx proxy_unfinished.t "chunked no final chunk"."""
    assert cut_short(talk, START + CHUNKED + b"\r\n3\r\nxyz\r\n").strip() == b""


@pytest.mark.parametrize("behind", [b"a\r\nde", b"0\r\n", b"0\r\nX-T: 1\r\n"])
def test_a_chunked_body_that_ends_in_the_middle_gets_no_last_chunk(talk: Conversation, behind: bytes) -> None:
    """RFC 9112 8; nginx proxy_unfinished.t."""
    assert b"0\r\n\r\n" not in cut_short(talk, START + CHUNKED + b"\r\n3\r\nxyz\r\n" + behind)


@pytest.mark.parametrize(
    "behind", [b"zz\r\nevil\r\n0\r\n\r\n", b"3evil\r\n", b"-1\r\n", b"3\r\nxyzevil\r\n0\r\n\r\n"]
)
def test_a_broken_chunk_of_an_upstream_gets_no_last_chunk(talk: Conversation, behind: bytes) -> None:
    """RFC 9112 7.1; HTTP Garden."""
    client = talk.client().send(request(GET))
    upstream, _ = talk.upstream().request()
    upstream.send(START + CHUNKED + b"\r\n3\r\nxyz\r\n")
    client.until(b"xyz\r\n")
    upstream.send(behind)
    received = client.rest()
    assert b"0\r\n\r\n" not in received
    assert b"evil" not in received
    assert upstream.has_ended()


def test_a_reset_in_the_middle_of_a_body_cuts_the_client(talk: Conversation) -> None:
    """RFC 9112 8; YARP ResponseBodyDestinationErrorSecondRead_Aborted."""
    client = talk.client().send(request(GET))
    upstream, _ = talk.upstream().request()
    upstream.send(START + CHUNKED + b"\r\n3\r\nxyz\r\n")
    client.until(b"xyz\r\n")
    upstream.reset()
    assert client.rest() == b""


def test_a_truncated_body_for_an_http_1_0_client_is_cut(talk: Conversation) -> None:
    """RFC 9112 8."""
    client = talk.client().send(b"GET /plain/x HTTP/1.0\r\n\r\n")
    upstream, _ = talk.upstream().request()
    upstream.send(START + b"Content-Length: 10\r\n\r\nxyz")
    client.until(b"xyz")
    upstream.half_close()
    assert client.rest() == b""


@pytest.mark.parametrize("framing", [CHUNKED + b"\r\n3\r\nxyz\r\n2\r\n", b"Content-Length: 10\r\n\r\nxyz"])
def test_a_truncated_body_without_a_length_for_an_http_1_0_client_ends_with_a_reset(
    talk: Conversation, framing: bytes
) -> None:
    """RFC 9112 8: an orderly end would be the end of the body."""
    client = talk.client().send(b"GET /plain/x HTTP/1.0\r\n\r\n")
    upstream, _ = talk.upstream().request()
    upstream.send(START + framing)
    client.until(b"xyz")
    upstream.half_close()
    assert client.is_reset() or b"Content-Length" in framing


def test_an_error_before_the_first_byte_of_a_body_is_no_empty_200(talk: Conversation) -> None:
    """YARP ResponseBodyDestinationErrorFirstRead_Returns502."""
    client = talk.client().send(request(GET))
    upstream, _ = talk.upstream().request()
    upstream.send(START + CHUNKED + b"\r\nzz\r\n")
    with contextlib.suppress(Ended):
        assert client.message().status == 502


def test_two_equal_lengths_of_a_response_are_one_or_a_502(talk: Conversation) -> None:
    """RFC 9112 6.3; nginx proxy_duplicate_headers.t."""
    answer = talk.answered(START + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nxyz")
    assert answer.status == 502 or (answer.values("content-length") == [b"3"] and answer.body == b"xyz")


def test_an_answer_that_its_http_1_0_client_gives_up_ends_with_a_reset(talk: Conversation) -> None:
    """RFC 9112 8: who half-closes has left, and what it has got of the answer is not the whole."""
    client = talk.client().send(b"GET /plain/x HTTP/1.0\r\n\r\n")
    upstream, _ = talk.upstream().request()
    upstream.send(START + CHUNKED + b"\r\n3\r\nxyz\r\n")
    client.until(b"xyz")
    client.half_close()
    assert client.is_reset()
    assert upstream.has_ended()
