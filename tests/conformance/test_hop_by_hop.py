"""Fields that belong to one connection end there; the gateway's own cannot be talked away."""

import pytest
from support.conformance import Conversation, response

GET = b"GET /plain/x HTTP/1.1"


def test_a_request_field_that_connection_nominates_is_not_forwarded(talk: Conversation) -> None:
    """RFC 9110 7.6.1; Go httputil, fastify-reply-from."""
    seen = talk.forwarded(GET, b"Connection: close, X-Nom", b"X-Nom: 1", b"X-Kept: 2")
    assert seen.values("x-nom") == []
    assert seen.values("connection") == []
    assert seen.values("x-kept") == [b"2"]


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param((b"Connection: close, X-Hop", b"X-Hop: 1"), id="after"),
        pytest.param((b"X-hOP: 1", b"cOnNeCtIoN: x-hOP, ClOsE"), id="before, other case"),
        pytest.param((b"Connection: X-Hop", b"X-Hop: 1", b"Connection: close"), id="two lines"),
        pytest.param((b"Connection:\tX-Hop ,close", b"X-HOP: 1", b"X-Hop: 2"), id="tab, twice"),
    ],
)
def test_a_response_field_that_connection_nominates_does_not_reach_the_client(
    talk: Conversation, lines: tuple[bytes, ...]
) -> None:
    """RFC 9110 7.6.1; Go httputil."""
    answer = talk.answered(response(*lines, b"X-Extension: e"))
    assert answer.values("x-hop") == []
    assert answer.values("x-extension") == [b"e"]
    assert b"hop" not in b"".join(answer.values("connection")).lower()


@pytest.mark.parametrize(
    "line",
    [
        b"Connection: keep-alive",
        b"Keep-Alive: timeout=5",
        b"Proxy-Connection: keep-alive",
        b"Proxy-Authenticate: Basic",
        b"Proxy-Authorization: Basic YTpi",
        b"TE: gzip",
        b"Trailer: X-Sum",
        b"Upgrade: h2c",
    ],
)
def test_a_hop_by_hop_request_field_is_removed_even_when_nobody_nominates_it(
    talk: Conversation, line: bytes
) -> None:
    """RFC 9110 7.6.1; Go httputil, YARP."""
    seen = talk.forwarded(GET, line, b"X-Kept: 2")
    assert seen.values(line.partition(b":")[0].decode()) == []
    assert seen.values("x-kept") == [b"2"]


@pytest.mark.parametrize(
    "line",
    [
        b"Connection: keep-alive",
        b"Keep-Alive: timeout=5",
        b"Proxy-Connection: keep-alive",
        b"Proxy-Authenticate: Basic",
        b"Proxy-Authorization: Basic YTpi",
        b"TE: gzip",
        b"Trailer: X-Sum",
        b"Upgrade: h2c",
    ],
)
def test_a_hop_by_hop_response_field_is_removed_even_when_nobody_nominates_it(
    talk: Conversation, line: bytes
) -> None:
    """RFC 9110 7.6.1; Caddy."""
    answer = talk.answered(response(line, b"X-Kept: 2"))
    assert answer.status == 200
    assert answer.values(line.partition(b":")[0].decode()) == []
    assert answer.values("x-kept") == [b"2"]


@pytest.mark.parametrize(
    "name", ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Via", "X-Request-Id", "traceparent"]
)
def test_a_client_cannot_nominate_a_field_that_the_gateway_sets(talk: Conversation, name: str) -> None:
    """RFC 9110 7.6.1; Apache httpd, Traefik CVE-2024-45410."""
    seen = talk.forwarded(GET, b"Connection: close, " + name.encode())
    assert len(seen.values(name)) == 1


def test_a_client_cannot_nominate_its_identity_away(talk: Conversation, token: str) -> None:
    """RFC 9110 7.6.1; Fabio CVE-2025-48865."""
    seen = talk.forwarded(
        b"GET /named/x HTTP/1.1",
        b"Authorization: Bearer " + token.encode(),
        b"Connection: X-Gateway-Subject, X-Gateway-Roles, Authorization",
        at="named",
    )
    assert seen.values("x-gateway-subject")[0].startswith(b"usr_")
    assert seen.values("x-gateway-roles") == [b"reader"]


def test_nominating_what_frames_a_message_changes_nothing(talk: Conversation) -> None:
    """RFC 9110 7.6.1."""
    seen = talk.forwarded(
        b"POST /plain/x HTTP/1.1", b"Connection: Content-Length, Host", b"Content-Length: 3", body=b"xyz"
    )
    assert seen.values("content-length") == [b"3"]
    assert seen.values("host") == [b"gw.test"]
    assert seen.body == b"xyz"


def test_nominating_transfer_encoding_changes_nothing(talk: Conversation) -> None:
    """RFC 9110 7.6.1."""
    seen = talk.forwarded(
        b"POST /plain/x HTTP/1.1",
        b"Connection: Transfer-Encoding",
        b"Transfer-Encoding: chunked",
        body=b"3\r\nxyz\r\n0\r\n\r\n",
    )
    assert seen.is_chunked
    assert seen.body == b"xyz"


@pytest.mark.parametrize(
    "line", [b"Connection:", b"Connection: ,", b"Connection: , ,close,", b"Connection: \t"]
)
def test_an_empty_connection_field_is_removed_and_harms_nothing(talk: Conversation, line: bytes) -> None:
    """RFC 9110 5.6.1; Go httputil."""
    seen = talk.forwarded(GET, line, b"X-Kept: 2")
    assert seen.values("connection") == []
    assert seen.values("x-kept") == [b"2"]
    assert talk.answered(response(line, b"X-Kept: 2")).values("x-kept") == [b"2"]


@pytest.mark.parametrize(
    "line", [b"TE: trailers", b"TE: trailers, gzip", b"TE: gzip;q=0.5, Trailers", b"te: ,trailers"]
)
def test_a_client_that_takes_trailers_makes_the_gateway_say_that_it_does(
    talk: Conversation, line: bytes
) -> None:
    """RFC 9110 10.1.4; HAProxy http_transfer_encoding.vtc, Go httputil."""
    seen = talk.forwarded(GET, line)
    assert seen.values("te") == [b"trailers"]
    assert seen.values("connection") == [b"TE"]


@pytest.mark.parametrize("line", [b"TE: gzip", b"TE: trailers;q=0.5", b"TE: xtrailers", b"TE:"])
def test_a_client_that_does_not_take_trailers_makes_no_te(talk: Conversation, line: bytes) -> None:
    """RFC 9110 10.1.4; HAProxy http_transfer_encoding.vtc."""
    seen = talk.forwarded(GET, line)
    assert seen.values("te") == []


def test_a_field_named_trailers_is_an_ordinary_one(talk: Conversation) -> None:
    """Go httputil."""
    assert talk.forwarded(GET, b"Trailers: x").values("trailers") == [b"x"]
    assert talk.answered(response(b"Trailers: x")).values("trailers") == [b"x"]


def test_an_unknown_field_passes_unchanged(talk: Conversation) -> None:
    """RFC 9110 5.1."""
    assert b'X-Un_known: a;b="c" , d' in talk.forwarded(GET, b'X-Un_known: a;b="c" , d').lines
    assert b'X-Un_known: a;b="c" , d' in talk.answered(response(b'X-Un_known: a;b="c" , d')).lines


def test_an_upstreams_keep_alive_does_not_become_the_clients(talk: Conversation) -> None:
    """RFC 9112 9.3; YARP."""
    client = talk.client().send(b"GET /plain/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    upstream, _ = talk.upstream().request()
    upstream.send(response(b"Connection: keep-alive", b"Keep-Alive: timeout=100"))
    answer = client.message()
    assert answer.values("connection") == [b"close"]
    assert answer.values("keep-alive") == []
    assert client.has_ended()


def test_an_upstreams_close_does_not_become_the_clients(talk: Conversation) -> None:
    """RFC 9112 9.3; YARP."""
    client = talk.client()
    for _ in range(2):
        client.send(b"GET /plain/x HTTP/1.1\r\nHost: a\r\n\r\n")
        upstream, _ = talk.upstream().request()
        upstream.send(response(b"Connection: close"))
        answer = client.message()
        assert answer.status == 200
        assert answer.values("connection") == []


def test_upgrade_in_an_ordinary_response_is_removed(talk: Conversation) -> None:
    """RFC 9110 7.8; nginx proxy_connection_headers.t."""
    answer = talk.answered(response(b"Connection: Upgrade", b"Upgrade: h2c"))
    assert answer.status == 200
    assert answer.values("upgrade") == []


def test_upgrade_in_a_426_reaches_the_client(talk: Conversation) -> None:
    """RFC 9110 15.5.22; nginx proxy_connection_headers.t."""
    answer = talk.answered(
        response(b"Connection: Upgrade", b"Upgrade: TLS/1.2", start=b"HTTP/1.1 426 Upgrade Required")
    )
    assert answer.status == 426
    assert answer.values("upgrade") == [b"TLS/1.2"]
