"""Reading responses without a socket."""

import pytest

from gateway.model import Framing
from gateway.proxy.response import MAX_HEAD, ResponseBroken, ResponseReader

SWITCHING = b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade, X-Hop\r\n\r\n"


def read(*pieces: bytes, bodiless: bool = False, switching: bool = False) -> ResponseReader:
    reader = ResponseReader()
    reader.begin(bodiless=bodiless, switching=switching)
    for piece in pieces:
        reader.feed(piece)
    return reader


def test_a_head_is_known_before_its_body() -> None:
    reader = read(b"HTTP/1.1 418 I'm a Teapot\r\nContent-Length: 4\r\nX-A:  b \r\n\r\n")
    assert reader.head is not None
    assert (reader.head.status, reader.head.reason) == (418, b"I'm a Teapot")
    assert reader.head.framing is Framing.LENGTH
    assert not reader.complete
    reader.feed(b"ab")
    assert reader.take() == b"ab"
    reader.feed(b"cd")
    assert (reader.take(), reader.complete, reader.reusable) == (b"cd", True, True)


def test_a_reason_may_be_empty_or_missing() -> None:
    for line in (b"HTTP/1.1 200 \r\n", b"HTTP/1.1 200\r\n"):
        reader = read(line + b"Content-Length: 0\r\n\r\n")
        assert reader.head is not None
        assert reader.head.reason == b""


def test_what_arrived_together_is_taken_together() -> None:
    reader = read(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n"
    )
    assert reader.buffered == 3
    assert reader.take() == b"abc"
    assert (reader.take(), reader.buffered) == (b"", 0)


@pytest.mark.parametrize(
    ("options", "keeps", "hop"),
    [
        ([], True, set()),
        ([b"keep-alive"], True, set()),
        ([b"Close"], False, set()),
        ([b"X-A, close", b"X-B"], False, {b"x-a", b"x-b"}),
        ([b""], True, set()),
    ],
)
def test_connection_lines_decide_about_reuse_and_the_hop(
    options: list[bytes], *, keeps: bool, hop: set[bytes]
) -> None:
    lines = b"".join(b"Connection: %b\r\n" % option for option in options)
    reader = read(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + lines + b"\r\n")
    assert reader.head is not None
    assert reader.reusable == keeps
    assert set(reader.head.hop) == hop


def test_framing_fields_are_found_in_any_case() -> None:
    reader = read(b"HTTP/1.1 200 OK\r\nCONTENT-length: 2 \r\ncoNNection: close\r\n\r\nab")
    assert (reader.take(), reader.complete, reader.reusable) == (b"ab", True, False)
    reader = read(b"HTTP/1.1 200 OK\r\ntransfer-ENCODING: chunked\r\n\r\n0\r\n\r\n")
    assert reader.head is not None
    assert reader.head.framing is Framing.CHUNKED


def test_every_response_of_a_connection_is_read_afresh() -> None:
    reader = ResponseReader()
    for bodiless, response, body in (
        (False, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", b"ab"),
        (True, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-First: 1\r\n\r\n", b""),
        (False, b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (True, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b""),
        (False, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", b""),
        (False, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nz\r\n0\r\nT: 1\r\n\r\n", b"z"),
        (False, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", b"abc"),
    ):
        for pieces in ([response], [response[:-1], response[-1:]]):
            reader.begin(bodiless=bodiless)
            for piece in pieces:
                reader.feed(piece)
            assert reader.head is not None
            assert (reader.take(), reader.complete, reader.reusable) == (body, True, True)


def test_the_end_of_the_connection_ends_a_body_without_framing_only() -> None:
    reader = read(b"HTTP/1.1 200 OK\r\n\r\nab", b"cd")
    assert not reader.complete
    reader.eof()
    assert (reader.take(), reader.complete, reader.reusable) == (b"abcd", True, False)
    for response in (b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcd"):
        with pytest.raises(ResponseBroken, match="closed"):
            read(response).eof()


@pytest.mark.parametrize("extra", [b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"\x00"])
def test_bytes_after_the_response_spoil_the_connection_and_not_the_response(extra: bytes) -> None:
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\n\r\nab"
    for pieces in ([response + extra], [response, extra], [response[:-1], response[-1:] + extra]):
        reader = read(*pieces)
        assert reader.head is not None
        assert (reader.take(), reader.complete, reader.reusable) == (b"ab", True, False)
        assert reader.head.lines == [(b"Content-Length", b"2"), (b"X-A", b"1")]


def test_a_head_is_bounded_however_it_arrives() -> None:
    line = b"X-A: " + b"a" * MAX_HEAD + b"\r\n"
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + line + b"\r\n"
    for size in (1000, len(response)):
        with pytest.raises(ResponseBroken, match="bytes"):
            read(*(response[at : at + size] for at in range(0, len(response), size)))


def test_a_large_body_beside_a_small_head_is_no_large_head() -> None:
    body = b"x" * (3 * MAX_HEAD)
    assert read(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body).take() == body


def test_only_tokens_name_fields_and_only_text_is_their_value() -> None:
    for byte in range(256):
        value = b"HTTP/1.1 200 OK\r\nX-A: a%bb\r\nContent-Length: 0\r\n\r\n" % bytes([byte])
        name = b"HTTP/1.1 200 OK\r\nX%bA: b\r\nContent-Length: 0\r\n\r\n" % bytes([byte])
        reason = b"HTTP/1.1 200 a%bb\r\nContent-Length: 0\r\n\r\n" % bytes([byte])
        is_text = byte == 0x09 or (byte >= 0x20 and byte != 0x7F)
        is_token = bytes([byte]).isalnum() or byte in b"!#$%&'*+-.^_`|~" or byte == ord(":")
        for response, allowed in ((value, is_text), (name, is_token), (reason, is_text)):
            if allowed:
                assert read(response).complete
            else:
                with pytest.raises(ResponseBroken):
                    read(response)


def test_interim_heads_are_kept_until_they_are_taken() -> None:
    reader = read(b"HTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 102 \r\n\r\nHTTP/1.1 200 OK\r\nX: y\r\n")
    assert reader.interims == [(103, b"Early", [(b"Link", b"a")]), (102, b"", [])]
    assert not reader.complete
    reader.interims = []
    reader.feed(b"Content-Length: 0\r\n\r\n")
    assert reader.head is not None
    assert reader.head.lines == [(b"X", b"y"), (b"Content-Length", b"0")]
    assert reader.interims == []
    assert reader.reusable


def test_interim_heads_share_the_limit_of_the_head() -> None:
    line = b"Link: " + b"a" * 1000
    with pytest.raises(ResponseBroken, match=str(MAX_HEAD)):
        read((b"HTTP/1.1 103 Early\r\n" + line + b"\r\n\r\n") * 70)


def test_trailers_are_kept_apart_from_the_head() -> None:
    reader = read(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-A: b\r\n", b"x-a:\r\n\r\n"
    )
    assert reader.head is not None
    assert reader.head.lines == [(b"Transfer-Encoding", b"chunked")]
    assert reader.trailers == [(b"X-A", b"b"), (b"x-a", b"")]
    assert (reader.complete, reader.reusable) == (True, True)
    reader.begin(bodiless=False)
    assert reader.trailers == []


def test_trailers_have_a_limit_however_they_arrive() -> None:
    with pytest.raises(ResponseBroken, match="trailers"):
        read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * MAX_HEAD + b"\r\n")


def test_what_follows_a_101_that_was_asked_for_is_not_read() -> None:
    for pieces in (
        (SWITCHING + b"\x81\x02hi",),
        (SWITCHING, b"\x81\x02hi"),
        (SWITCHING[:30], SWITCHING[30:] + b"\x81", b"\x02hi"),
    ):
        reader = read(*pieces, switching=True)
        assert reader.head is not None
        assert (reader.head.status, reader.head.hop) == (101, frozenset({b"upgrade", b"x-hop"}))
        assert (reader.switched, reader.complete, reader.reusable) == (True, True, False)
        assert reader.behind == b"\x81\x02hi"
        assert reader.take() == b""


def test_a_101_may_follow_other_interim_responses_and_may_be_refused() -> None:
    reader = read(b"HTTP/1.1 103 Early\r\n\r\n" + SWITCHING, switching=True)
    assert reader.head is not None
    assert (reader.head.status, len(reader.interims)) == (101, 1)
    reader = read(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", switching=True)
    assert (reader.switched, reader.complete, reader.reusable) == (False, True, True)


def test_a_101_that_nobody_asked_for_is_broken() -> None:
    with pytest.raises(ResponseBroken, match="asked for"):
        read(SWITCHING)
