"""Bodies arrive byte for byte, framed as they were sent."""

import gzip

import pytest
from support.conformance import Conversation, Ended, request, response

POST = b"POST /plain/x HTTP/1.1"
GET = b"GET /plain/x HTTP/1.1"
CHUNKED = b"Transfer-Encoding: chunked"
BINARY = bytes(range(256)) * 8


def test_an_upload_with_a_length_keeps_its_length(talk: Conversation) -> None:
    """RFC 9112 6.2; YARP RequestWithBodies."""
    seen = talk.forwarded(POST, b"Content-Length: 2048", body=BINARY)
    assert seen.values("content-length") == [b"2048"]
    assert seen.values("transfer-encoding") == []
    assert seen.body == BINARY


@pytest.mark.parametrize("coding", [b"chunked", b"Chunked", b"CHUNKED"])
def test_a_chunked_upload_stays_chunked(talk: Conversation, coding: bytes) -> None:
    """RFC 9112 7.1; nginx proxy_request_buffering_chunked.t."""
    seen = talk.forwarded(
        POST, b"Transfer-Encoding: " + coding, body=b"800\r\n" + BINARY + b"\r\n3\r\nxyz\r\n0\r\n\r\n"
    )
    assert seen.is_chunked
    assert seen.values("content-length") == []
    assert seen.body == BINARY + b"xyz"


def test_a_chunked_upload_without_data_stays_chunked(talk: Conversation) -> None:
    """RFC 9112 7.1."""
    seen = talk.forwarded(POST, CHUNKED, body=b"0\r\n\r\n")
    assert seen.is_chunked
    assert seen.raw_body == b"0\r\n"


def test_a_response_with_a_length_keeps_its_length(talk: Conversation) -> None:
    """RFC 9112 6.2; Traefik TestNoContentLength."""
    answer = talk.answered(response(body=BINARY))
    assert answer.values("content-length") == [b"2048"]
    assert answer.values("transfer-encoding") == []
    assert answer.body == BINARY


def test_a_chunked_response_stays_chunked(talk: Conversation) -> None:
    """RFC 9112 7.1; Traefik TestTransferEncodingChunked."""
    answer = talk.answered(b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n\r\n3\r\nxyz\r\n0\r\n\r\n")
    assert answer.is_chunked
    assert answer.values("content-length") == []
    assert answer.body == b"xyz"


def test_a_response_that_ends_with_its_connection_becomes_chunked(talk: Conversation) -> None:
    """RFC 9112 6.3; mitmproxy test_response_until_eof."""
    answer = talk.answered(b"HTTP/1.1 200 OK\r\n\r\n" + BINARY, ends=True)
    assert answer.is_chunked
    assert answer.body == BINARY


def test_an_http_1_0_response_that_ends_with_its_connection_becomes_chunked(talk: Conversation) -> None:
    """RFC 9112 6.3."""
    answer = talk.answered(b"HTTP/1.0 200 OK\r\n\r\nxyz", ends=True)
    assert answer.is_chunked
    assert answer.body == b"xyz"


@pytest.mark.parametrize("method", [b"GET", b"DELETE", b"OPTIONS", b"HEAD"])
def test_a_body_is_delivered_whatever_the_method(talk: Conversation, method: bytes) -> None:
    """RFC 9110 9.3.1; HAProxy h1_to_h1.vtc, node-http-proxy."""
    line = method + b" /plain/x HTTP/1.1"
    assert talk.forwarded(line, b"Content-Length: 3", body=b"xyz").body == b"xyz"
    seen = talk.forwarded(line, CHUNKED, body=b"3\r\nxyz\r\n0\r\n\r\n")
    assert seen.is_chunked
    assert seen.body == b"xyz"


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"GET", b"DELETE"])
def test_a_request_without_a_body_gets_no_chunks(talk: Conversation, method: bytes) -> None:
    """RFC 9112 6.3; YARP RequestWithoutBodies, Go NilBody."""
    seen = talk.forwarded(method + b" /plain/x HTTP/1.1")
    assert seen.values("transfer-encoding") == []
    assert seen.values("content-length") in ([], [b"0"])


def test_a_length_of_zero_is_kept(talk: Conversation) -> None:
    """RFC 9110 8.6."""
    assert talk.forwarded(POST, b"Content-Length: 0").values("content-length") == [b"0"]
    assert talk.answered(response()).values("content-length") == [b"0"]


def test_head_tells_the_length_and_carries_no_body(talk: Conversation) -> None:
    """RFC 9110 9.3.2; HAProxy http_bodyless_response.vtc, mitmproxy."""
    client = talk.client().send(request(b"HEAD /plain/x HTTP/1.1") + request(GET))
    upstream, seen = talk.upstream().request()
    assert seen.start.startswith(b"HEAD ")
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
    answer = client.message(bodyless=True)
    assert answer.values("content-length") == [b"5000"]
    assert upstream.message().start.startswith(b"GET "), "the connection is used again"
    upstream.send(response(body=b"xyz"))
    assert client.message().body == b"xyz"


def test_a_body_behind_a_head_response_is_dropped_with_its_connection(talk: Conversation) -> None:
    """RFC 9110 9.3.2; nginx proxy_extra_data.t."""
    client = talk.client().send(request(b"HEAD /plain/x HTTP/1.1"))
    upstream, _ = talk.upstream().request()
    upstream.send(response(body=b"HTTP/1.1 200 evil\r\n\r\n"))
    assert client.message(bodyless=True).status == 200
    assert upstream.has_ended()
    client.send(request(GET))
    second, _ = talk.upstream().request()
    second.send(response(body=b"good"))
    assert client.message().body == b"good"


def test_a_chunked_head_response_carries_no_chunks(talk: Conversation) -> None:
    """RFC 9110 9.3.2; mitmproxy test_http_proxy_without_empty_chunk_in_head_request."""
    client = talk.client().send(request(b"HEAD /plain/x HTTP/1.1") + request(GET))
    upstream, _ = talk.upstream().request()
    upstream.send(b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n\r\n")
    assert client.message(bodyless=True).status == 200
    upstream.message()
    upstream.send(response(body=b"xyz"))
    assert client.message().body == b"xyz"


@pytest.mark.parametrize("line", [b"204 No Content", b"304 Not Modified"])
def test_a_bodyless_status_never_carries_a_body(talk: Conversation, line: bytes) -> None:
    """RFC 9110 15.3.5, 15.4.5; HAProxy, YARP."""
    client = talk.client().send(request(GET))
    upstream, _ = talk.upstream().request()
    upstream.send(b"HTTP/1.1 " + line + b'\r\nETag: "e"\r\n\r\nHTTP/1.1 200 evil\r\n\r\n')
    answer = client.message()
    assert answer.status == int(line[:3])
    assert answer.values("transfer-encoding") == []
    assert upstream.has_ended()
    client.send(request(GET))
    second, _ = talk.upstream().request()
    second.send(response(body=b"good"))
    assert client.message().body == b"good"


def test_the_length_of_a_304_passes(talk: Conversation) -> None:
    """RFC 9110 8.6, 15.4.5."""
    answer = talk.answered(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5000\r\n\r\n")
    assert answer.values("content-length") in ([b"5000"], [])
    assert answer.body == b""


def test_a_204_has_no_framing_fields(talk: Conversation) -> None:
    """RFC 9110 8.6, RFC 9112 6.1: MUST NOT be sent with a 204."""
    answer = talk.answered(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert answer.values("content-length") == []
    assert answer.values("transfer-encoding") == []


def test_a_205_without_a_body_passes(talk: Conversation) -> None:
    """RFC 9110 15.3.6."""
    answer = talk.answered(response(start=b"HTTP/1.1 205 Reset Content"))
    assert answer.status == 205
    assert answer.values("content-length") == [b"0"]


@pytest.mark.parametrize("coding", [b"gzip", b"br", b"deflate", b"zstd", b"unheard-of"])
@pytest.mark.parametrize(
    "body", [gzip.compress(b"a" * 1000, mtime=0), b"not compressed at all", b"\x1f\x8b\x08junk"]
)
def test_a_coded_body_passes_as_it_is(talk: Conversation, coding: bytes, body: bytes) -> None:
    """RFC 9110 8.4; requests test_decompress_gzip."""
    line = b"Content-Encoding: " + coding
    seen = talk.forwarded(POST, line, b"Content-Length: %d" % len(body), body=body)
    assert seen.body == body
    assert line in seen.lines
    answer = talk.answered(response(line, body=body))
    assert answer.body == body
    assert line in answer.lines


def test_a_partial_response_passes_and_ranges_are_not_interpreted(talk: Conversation) -> None:
    """RFC 9110 14; nginx range tests."""
    assert talk.forwarded(GET, b"Range: bytes=0-1").values("range") == [b"bytes=0-1"]
    part = response(b"Content-Range: bytes 2-4/10", start=b"HTTP/1.1 206 Partial Content", body=b"cde")
    answer = talk.answered(part, GET, b"Range: bytes=2-4")
    assert (answer.status, answer.body) == (206, b"cde")
    assert answer.values("content-range") == [b"bytes 2-4/10"]
    whole = talk.answered(response(b'ETag: "e"', body=b"xyzdefghij"), GET, b"Range: bytes=2-4")
    assert (whole.status, whole.body) == (200, b"xyzdefghij")


@pytest.mark.parametrize(
    "line",
    [
        b'If-None-Match: "e"',
        b"If-None-Match: *",
        b"If-Modified-Since: Thu, 01 Jan 2099 00:00:00 GMT",
        b'If-Match: "x"',
    ],
)
def test_a_condition_is_the_upstreams_to_answer(talk: Conversation, line: bytes) -> None:
    """RFC 9110 13; nginx not_modified_proxy.t."""
    assert line in talk.forwarded(GET, line).lines
    answer = talk.answered(
        response(b'ETag: "e"', b"Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT", body=b"xyz"), GET, line
    )
    assert (answer.status, answer.body) == (200, b"xyz")


@pytest.mark.parametrize("extension", [b";a", b";a=b", b';a="b;c"'])
def test_chunk_extensions_do_not_change_the_body(talk: Conversation, extension: bytes) -> None:
    """RFC 9112 7.1.1."""
    body = b"3" + extension + b"\r\nxyz\r\n0" + extension.lstrip() + b"\r\n\r\n"
    assert talk.forwarded(POST, CHUNKED, body=body).body == b"xyz"
    answer = talk.answered(b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n\r\n" + body)
    assert answer.status == 502 or answer.body == b"xyz"


def test_a_body_that_comes_in_pieces_is_whole(talk: Conversation) -> None:
    """RFC 9112 6; H1Spec."""
    client = talk.client().send_slowly(request(POST, CHUNKED, body=b"3\r\nxyz\r\n2;x\r\nde\r\n0\r\n\r\n"))
    upstream, seen = talk.upstream().request()
    assert seen.body == b"xyzde"
    upstream.send_slowly(b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n\r\n3\r\nxyz\r\n2\r\nde\r\n0\r\n\r\n")
    assert client.message().body == b"xyzde"


def test_a_length_passes_a_decision_that_reads_no_body(talk: Conversation, token: str) -> None:
    """RFC 9110 8.6; Apache httpd test_proxy_03_003."""
    seen = talk.forwarded(
        b"POST /plain/members HTTP/1.1",
        b"Authorization: Bearer " + token.encode(),
        b"Content-Length: 3",
        body=b"xyz",
    )
    assert seen.values("content-length") == [b"3"]
    assert seen.body == b"xyz"


def test_a_body_that_ends_too_early_never_ends_cleanly_for_the_upstream(talk: Conversation) -> None:
    """RFC 9112 8; YARP RequestWithBodies_WrongContentLength."""
    for lines, sent in (((b"Content-Length: 10",), b"xyz"), ((CHUNKED,), b"3\r\nxyz\r\n")):
        client = talk.client().send(request(POST, *lines, body=sent))
        upstream = talk.upstream().accept()
        upstream.until(b"xyz")
        client.half_close()
        assert upstream.rest().strip() == b""


def test_a_large_body_arrives_whole_both_ways(talk: Conversation) -> None:
    """RFC 9112 6; HAProxy http_splicing.vtc."""
    body = BINARY * 512
    seen = talk.forwarded(POST, b"Content-Length: %d" % len(body), body=body)
    assert seen.body == body
    assert talk.answered(response(body=body)).body == body


def test_an_upstream_that_does_not_close_ends_its_response_with_its_length(talk: Conversation) -> None:
    """RFC 9112 6.3; nginx proxy_noclose.t."""
    client = talk.client().send(b"GET /plain/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    upstream, _ = talk.upstream().request()
    upstream.send(response(b"Connection: close", body=b"xyz"))
    assert client.message().body == b"xyz"
    assert client.has_ended()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(response(body=b"12345678") + b"SEE-THIS-BUT-NOT-THIS", id="length"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n\r\n8\r\n12345678\r\n0\r\n\r\nNOT-THIS", id="chunked"
        ),
        pytest.param(response(body=b"12345678") + response(body=b"evil"), id="a second response"),
    ],
)
def test_bytes_behind_a_response_reach_nobody(talk: Conversation, answer: bytes) -> None:
    """RFC 9112 6.3; nginx proxy_extra_data.t, proxy_chunked_extra.t."""
    client = talk.client().send(request(GET))
    upstream, _ = talk.upstream().request()
    upstream.send(answer)
    assert client.message().body == b"12345678"
    assert upstream.has_ended(), "the connection is not used again"
    assert client.is_quiet()
    client.send(request(GET))
    second, _ = talk.upstream().request()
    second.send(response(body=b"good"))
    assert client.message().body == b"good"


def test_bytes_on_an_idle_connection_are_nobodys_response(talk: Conversation) -> None:
    """RFC 9112 9.2; aiohttp#13656."""
    client = talk.client().send(request(GET))
    upstream, _ = talk.upstream().request()
    upstream.send(response(body=b"first"))
    assert client.message().body == b"first"
    upstream.send(response(body=b"evil"))
    assert upstream.has_ended()
    client.send(request(GET))
    second, _ = talk.upstream().request()
    second.send(response(body=b"good"))
    assert client.message().body == b"good"


@pytest.mark.parametrize("lines", [(b"Content-Length: 2000",), (CHUNKED,)])
def test_a_body_over_the_limit_is_refused(talk: Conversation, lines: tuple[bytes, ...]) -> None:
    """RFC 9110 15.5.14; mitmproxy test_body_size_limit."""
    body = b"a" * 2000
    framed = request(b"POST /small/x HTTP/1.1", CHUNKED, body=b"7d0\r\n" + body + b"\r\n0\r\n\r\n")
    if lines != (CHUNKED,):
        framed = request(b"POST /small/x HTTP/1.1", b"Content-Length: 2000", body=body)
    client = talk.client().send(framed)
    answer = client.message()
    assert (answer.status, answer.slug) == (413, "body-too-large")
    assert client.has_ended()
    if talk.upstream("small").was_called():
        upstream = talk.upstream("small").accept()
        try:
            upstream.message()
        except Ended:
            return
        raise AssertionError("the upstream got a whole body")


def test_an_announced_body_over_the_limit_is_refused_before_anything_is_forwarded(talk: Conversation) -> None:
    """RFC 9110 15.5.14; mitmproxy test_body_size_limit."""
    client = talk.client().send(request(b"POST /small/x HTTP/1.1", b"Content-Length: 1025"))
    assert client.message().status == 413
    assert talk.nothing_was_forwarded()


def test_a_body_at_the_limit_passes(talk: Conversation) -> None:
    """RFC 9110 15.5.14."""
    seen = talk.forwarded(b"POST /small/x HTTP/1.1", b"Content-Length: 1024", body=b"a" * 1024, at="small")
    assert len(seen.body) == 1024
