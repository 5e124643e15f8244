"""A request whose end can be read in two ways is no request: 400, the connection ends, nothing is forwarded."""

import pytest
from support.conformance import OK, Conversation, Ended, request

POST = b"POST /plain/x HTTP/1.1"
GET = b"GET /plain/x HTTP/1.1"
CHUNKED = b"Transfer-Encoding: chunked"
SMUGGLED = b"GET /plain/smuggled HTTP/1.1\r\nHost: gw.test\r\n\r\n"


def refusal(talk: Conversation, data: bytes) -> int:
    """Send a broken request and another one behind it, and return the status of the only answer."""
    client = talk.client().send(data)
    answer = client.message()
    assert client.has_ended()
    assert talk.nothing_was_forwarded()
    assert answer.slug
    assert answer.values("connection") == [b"close"]
    assert answer.values("cache-control") == [b"no-store"]
    assert answer.values("content-type") == [b"application/problem+json"]
    assert len(answer.values("x-request-id")) == 1
    assert b"/plain" not in answer.body
    return answer.status


@pytest.mark.parametrize(
    "lines",
    [
        (b"Content-Length: 4", CHUNKED),
        (CHUNKED, b"Content-Length: 4"),
        (b"Content-Length: 0", CHUNKED),
        (b"Content-Length: 4", b"transfer-encoding: Chunked"),
    ],
)
def test_a_length_beside_a_transfer_coding_is_refused(talk: Conversation, lines: tuple[bytes, ...]) -> None:
    """RFC 9112 6.1; mitmproxy test_request_smuggling, http-desync-guardian."""
    assert refusal(talk, request(POST, *lines, body=b"0\r\n\r\n" + SMUGGLED)) == 400


@pytest.mark.parametrize(
    "value",
    [
        *(
            b"+4",
            b"-1",
            b"0x4",
            b"4_0",
            b"+1_0",
            b"4 4",
            b"4,4",
            b"4, 5",
            b"4;",
            b"4.0",
            b"4e0",
            b"",
            b"four",
        ),
        *(
            b"\xd9\xa4",
            b"4\xa0",
            b"18446744073709551615",
            b"18446744073709551616",
            b"9" * 30,
            b"0" * 5000 + b"4",
        ),
    ],
)
def test_a_length_that_is_not_a_plain_number_is_refused(talk: Conversation, value: bytes) -> None:
    """RFC 9112 6.3; HTTP Garden 10-42, http-desync-guardian, mitmproxy test_invalid_content_length."""
    assert refusal(talk, request(POST, b"Content-Length: " + value, body=b"xyzd" + SMUGGLED)) == 400


@pytest.mark.parametrize("values", [(b"4", b"5"), (b"4", b"4"), (b"0", b"4"), (b"4", b"")])
def test_two_lengths_are_refused(talk: Conversation, values: tuple[bytes, ...]) -> None:
    """RFC 9112 6.3; HTTP Garden, H1Spec."""
    lines = (b"Content-Length: " + value for value in values)
    assert refusal(talk, request(POST, *lines, body=b"xyzd" + SMUGGLED)) == 400


@pytest.mark.parametrize(
    "lines",
    [
        *(
            (b"Transfer-Encoding: " + value,)
            for value in (
                *(b"chunked, chunked", b"gzip", b"chunked, gzip", b"gzip, chunked", b",chunked", b"chunked,"),
                *(
                    b"\xa0chunked",
                    b"\x0bchunked",
                    b"xchunked",
                    b"identity",
                    b"identity, chunked",
                    b"",
                    b'"chunked"',
                ),
                *(b"chunked;a", b"chunked chunked", b"cow, chunked", b"chunked\x00"),
            )
        ),
        (CHUNKED, CHUNKED),
        (CHUNKED, b"Transfer-Encoding: identity"),
        (b"Transfer-Encoding: gzip", CHUNKED),
        (b"Transfer-Encoding : chunked",),
        (b"Transfer_Encoding: chunked", b"Transfer-Encoding: x"),
    ],
)
def test_a_transfer_coding_other_than_chunked_is_refused(
    talk: Conversation, lines: tuple[bytes, ...]
) -> None:
    """RFC 9112 6.1; HAProxy http_transfer_encoding.vtc, mitmproxy, HTTP Garden 11, 12, 21."""
    assert refusal(talk, request(POST, *lines, body=b"4\r\nxyzd\r\n0\r\n\r\n" + SMUGGLED)) in {400, 501}


def test_a_transfer_coding_of_an_http_1_0_client_is_refused(talk: Conversation) -> None:
    """RFC 9112 6.1; mitmproxy test_validate_headers_te_forbidden_http10."""
    data = b"POST /plain/x HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n" + CHUNKED + b"\r\n\r\n0\r\n\r\n"
    assert refusal(talk, data + SMUGGLED) == 400


@pytest.mark.parametrize(
    "body",
    [
        *(
            size + b"\r\nxyz\r\n0\r\n\r\n"
            for size in (
                *(
                    b"0_3",
                    b"+3",
                    b"-3",
                    b"0x3",
                    b"",
                    b" 3",
                    b"3these-bytes",
                    b"3;\r",
                    b"3\n;",
                    b"3;a\x00",
                    b"g",
                ),
                *(b"10000000000000003", b"ffffffffffffffffff", b"\xd9\xa3", b"3\x0b", b'3;a="\r\n"'),
            )
        ),
        b"3\rXxyz\r\n0\r\n\r\n",
        b"3\nxyz\n0\n\n",
        b"3\r\nxyz0\r\n\r\n",
        b"3\r\nxyzd\r\n0\r\n\r\n",
        b"3\r\nxyz\n0\r\n\r\n",
        b"3\r\nxyz\rX0\r\n\r\n",
        b"3\r\nxyz\r\n0\r\nX-T\x00: 1\r\n\r\n",
        b"3\r\nxyz\r\n0\r\n: 1\r\n\r\n",
        b"3\r\nxyz\r\n0\r\nX-T : 1\r\n\r\n",
        b"3\r\nxyz\r\n0\r\nno-colon\r\n\r\n",
        b"3\r\nxyz\r\n0\r\nX-T: 1\n\r\n",
    ],
)
def test_a_broken_chunk_never_ends_a_request_cleanly_and_ends_the_connection(
    talk: Conversation, body: bytes
) -> None:
    """RFC 9112 7.1; HTTP Garden 1-39, llhttp's tests."""
    client = talk.client().send(request(POST, CHUNKED, body=body + SMUGGLED))
    received = client.rest()
    assert received.count(b"HTTP/1.1 ") <= 1
    assert received == b"" or received.startswith(b"HTTP/1.1 400 ")
    for _ in range(talk.upstream().connections()):
        upstream = talk.upstream().last()
        try:
            seen = upstream.message()
        except (Ended, ValueError):
            continue
        raise AssertionError(seen)


@pytest.mark.parametrize(
    "line",
    [
        *(
            b"X-A: a\x00b",
            b"X-A: a\rb",
            b"X-A: a\nb",
            b"X-A: a\x0bb",
            b"X-A: a\x7fb",
            b"X\x00-A: b",
            b"X A: b",
        ),
        *(
            b"X-\xc3\xa9: b",
            b"X-\x80: b",
            b": b",
            b"no-colon",
            b"X-A\t: b",
            b"X(A): b",
            b'"X": b',
            b"X/A: b",
            b"\x0bX: b",
        ),
        *(b" X-A: first", b"X-A: a\r\n\tb"),
    ],
)
def test_a_broken_header_line_is_refused(talk: Conversation, line: bytes) -> None:
    """RFC 9110 5.1, 5.5; HTTP Garden 2-43, http-desync-guardian bad-header-characters."""
    data = GET + b"\r\n" + line + b"\r\nHost: gw.test\r\n\r\n"
    assert refusal(talk, data + SMUGGLED) == 400
    data = GET + b"\r\nHost: gw.test\r\n" + line + b"\r\n\r\n"
    assert refusal(talk, data + SMUGGLED) == 400


@pytest.mark.parametrize(
    "version",
    [
        *(
            b"HTTP/1.32",
            b"HTTP/4294967295.255",
            b"HTTP/0.9",
            b"HTTP/2.0",
            b"HTTP/1.2",
            b"HTTP/3.0",
            b"http/1.1",
        ),
        *(
            b"HTTP/1,1",
            b"HTTP/01.1",
            b"HTTP/1.1x",
            b"HTTP /1.1",
            b"HTTP/11",
            b"HTTP",
            b"ICE/1.0",
            b"",
        ),
    ],
)
def test_a_version_other_than_1_0_and_1_1_is_refused(talk: Conversation, version: bytes) -> None:
    """RFC 9112 2.3, 3; HTTP Garden 5-24, H1Spec."""
    data = b"GET /plain/x " + version + b"\r\nHost: gw.test\r\n\r\n"
    assert refusal(talk, data + SMUGGLED) in {400, 505}


def test_a_request_of_another_protocol_is_refused_or_read_as_http(talk: Conversation) -> None:
    """RFC 9112 2.3; llhttp lets RTSP/1.0 pass."""
    client = talk.client().send(b"GET /plain/x RTSP/1.0\r\nHost: gw.test\r\n\r\n")
    if talk.first(client, talk.upstream()) is client:
        assert client.message().status in {400, 505}
    else:
        _, seen = talk.upstream().request()
        assert seen.start == b"GET /plain/x HTTP/1.1"


@pytest.mark.parametrize(
    "data",
    [
        GET + b"\nHost: gw.test\r\n\r\n",
        GET + b"\r\nHost: gw.test\n\r\n",
        GET + b"\r\nHost: gw.test\r\n\n",
        GET + b"\nHost: gw.test\n\n",
        GET + b"\rHost: gw.test\r\r",
        GET + b"\r\r\nHost: gw.test\r\n\r\n",
    ],
)
def test_a_line_that_does_not_end_in_crlf_is_refused(talk: Conversation, data: bytes) -> None:
    """RFC 9112 2.2; HTTP Garden."""
    assert refusal(talk, data + SMUGGLED) == 400


def test_bytes_that_are_no_http_at_all_are_refused(talk: Conversation) -> None:
    """RFC 9112 3; H1Spec: a TLS hello, and the preface of HTTP/2."""
    assert refusal(talk, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40) in {400, 501}
    assert refusal(talk, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") in {400, 501, 505}


def test_an_empty_line_before_a_request_is_ignored(talk: Conversation) -> None:
    """RFC 9112 2.2."""
    assert talk.forwarded_bytes(b"\r\n" + request(GET)).target == b"/plain/x"


def test_a_head_that_comes_byte_by_byte_is_read(talk: Conversation) -> None:
    """RFC 9112 2.2; H1Spec, YARP."""
    client = talk.client().send_slowly(request(POST, b"Content-Length: 3", b"X-A: b", body=b"xyz"))
    upstream, seen = talk.upstream().request()
    upstream.send(OK)
    assert seen.values("x-a") == [b"b"]
    assert seen.body == b"xyz"
    assert client.message().status == 200


def test_what_follows_a_request_that_closes_is_not_read(talk: Conversation) -> None:
    """RFC 9112 9.6; HTTP Garden 45, aiohttp#8087, HAProxy h1_to_h1.vtc."""
    for behind in (SMUGGLED, b"\x00junk\r\n\r\n", b"GET /nowhere HTTP/1.1\r\n\r\n"):
        client = talk.client().send(request(GET, b"Connection: close"))
        upstream, seen = talk.upstream().request()
        client.send(behind)
        upstream.send(OK)
        received = client.rest()
        assert received.startswith(b"HTTP/1.1 200 OK\r\n")
        assert received.count(b"HTTP/1.1 ") == 1
        assert seen.target == b"/plain/x"
        upstream.finish()
    assert talk.upstream().connections() == 3


def test_a_request_in_a_body_is_never_executed(talk: Conversation) -> None:
    """RFC 9112 11.2; HAProxy, smuggler."""
    client = talk.client().send(
        request(POST, b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED) + request(GET)
    )
    upstream, seen = talk.upstream().request()
    assert seen.body == SMUGGLED
    upstream.send(OK)
    assert upstream.message().target == b"/plain/x"
    upstream.send(OK)
    assert client.message().status == client.message().status == 200
    assert talk.upstream().connections() == 1


def test_a_body_that_the_gateway_does_not_read_is_never_a_request(talk: Conversation) -> None:
    """RFC 9112 9.3; HTTP Garden."""
    client = talk.client().send(
        request(b"POST /nowhere HTTP/1.1", b"Content-Length: %d" % len(SMUGGLED)) + SMUGGLED
    )
    answers = client.rest() if client.message().values("connection") == [b"close"] else b""
    assert b"HTTP/1.1 200" not in answers
    assert talk.nothing_was_forwarded()


def test_a_target_that_is_too_long_is_414(talk: Conversation) -> None:
    """RFC 9112 3: "MUST respond with a 414"; Traefik."""
    assert refusal(talk, request(b"GET /plain/" + b"a" * 9000 + b" HTTP/1.1")) == 414
    assert refusal(talk, request(b"GET /plain/x?" + b"a" * 9000 + b" HTTP/1.1")) == 414


def test_a_target_that_is_just_short_enough_passes(talk: Conversation) -> None:
    """RFC 9112 3: 8000 octets at least."""
    target = b"/plain/" + b"a" * 8000
    assert talk.forwarded(b"GET " + target + b" HTTP/1.1").target == target


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param((b"X-A: " + b"a" * 40_000,), id="one long line"),
        pytest.param((b"X" * 40_000 + b": a",), id="one long name"),
        pytest.param(tuple(b"X-%d: " % n + b"a" * 1000 for n in range(60)), id="lines together"),
        pytest.param(tuple(b"X-%d: a" % n for n in range(2000)), id="many lines"),
    ],
)
def test_header_lines_that_are_too_long_or_too_many_are_431(
    talk: Conversation, lines: tuple[bytes, ...]
) -> None:
    """RFC 6585 5; Traefik TestMaxHeaderBytes, nginx http_max_headers.t."""
    client = talk.client().send(request(GET, *lines))
    answer = client.message()
    assert (answer.status, answer.slug) == (431, "headers-too-large")
    assert talk.nothing_was_forwarded()


def test_a_header_line_of_16_kilobytes_passes(talk: Conversation) -> None:
    """RFC 9110 5.4."""
    assert talk.forwarded(GET, b"X-A: " + b"a" * 16_000).values("x-a") == [b"a" * 16_000]


def test_100_header_lines_pass(talk: Conversation) -> None:
    """RFC 9110 5.4."""
    lines = tuple(b"X-%d: %d" % (n, n) for n in range(100))
    assert tuple(line for line in talk.forwarded(GET, *lines).lines if line in lines) == lines


def test_request_trailers_are_dropped_and_never_become_header_fields(talk: Conversation) -> None:
    """RFC 9110 6.5.1; Traefik TestRequestTrailersNotForwardedToBackend, HAProxy h1_to_h1.vtc."""
    body = b"3\r\nxyz\r\n0\r\nX-Sum: 1\r\nX-Gateway-Subject: root\r\nAuthorization: Basic x\r\nHost: evil\r\n\r\n"
    seen = talk.forwarded(POST, CHUNKED, b"Trailer: X-Sum", body=body)
    assert seen.body == b"xyz"
    assert seen.trailers == ()
    assert not {"x-sum", "trailer", "x-gateway-subject", "authorization"} & set(seen.names())
    assert seen.values("host") == [b"gw.test"]


@pytest.mark.parametrize("line", [b"Content-Length: 9", b"Transfer-Encoding: chunked"])
def test_a_trailer_that_frames_a_message_is_refused(talk: Conversation, line: bytes) -> None:
    """RFC 9110 6.5.1."""
    body = b"3\r\nxyz\r\n0\r\n" + line + b"\r\n\r\n"
    client = talk.client().send(request(POST, CHUNKED, body=body + SMUGGLED))
    received = client.rest()
    assert received == b"" or received.startswith(b"HTTP/1.1 400 ")
    assert received.count(b"HTTP/1.1 ") <= 1
