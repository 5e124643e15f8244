"""Handshakes: a WebSocket takes the same decision as any request; every other upgrade is ignored."""

import base64

import pytest
from support.conformance import Conversation, Ended, request, response
from support.conformance_files import PAGE
from support.conformance_websocket import ACCEPT, HANDSHAKE, KEY, PING, SWITCHED, TEXT, frame, opened


def test_a_handshake_passes_both_ways(talk: Conversation) -> None:
    """RFC 6455 4; Traefik proxy_websocket_test.go."""
    client, upstream, seen, answer = opened(talk)
    assert seen.start == b"GET /ws/x HTTP/1.1"
    assert [value.lower() for value in seen.values("connection")] == [b"upgrade"]
    assert seen.values("upgrade") == [b"websocket"]
    assert seen.values("sec-websocket-key") == [KEY]
    assert seen.values("sec-websocket-version") == [b"13"]
    assert answer.start == b"HTTP/1.1 101 Switching Protocols"
    assert [value.lower() for value in answer.values("connection")] == [b"upgrade"]
    assert answer.values("upgrade") == [b"websocket"]
    assert answer.values("sec-websocket-accept") == [ACCEPT]
    assert not {"content-length", "transfer-encoding"} & set(answer.names())
    client.send(frame(TEXT, b"to", mask=b"xyzd"))
    assert upstream.exactly(8) == frame(TEXT, b"to", mask=b"xyzd")
    upstream.send(frame(TEXT, b"fro"))
    assert client.exactly(5) == frame(TEXT, b"fro")


def test_the_handshake_carries_everything_that_an_application_says(talk: Conversation) -> None:
    """RFC 6455 4.1; Traefik proxy_websocket_test.go, fastify websocket.js."""
    lines = (
        b"Sec-WebSocket-Protocol: chat, v2.chat",
        b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
        b"Origin: " + PAGE,
        b"Cookie: a=1",
        b"X-MiXed: caf\xe9",
    )
    _, _, seen, answer = opened(
        talk,
        b"/ws/a%20b?q=%zz&q=2",
        *lines,
        answer=(
            b"Sec-WebSocket-Protocol: v2.chat",
            b"Sec-WebSocket-Extensions: permessage-deflate",
            b"X-A: b",
        ),
    )
    assert seen.target == b"/ws/a%20b?q=%zz&q=2"
    assert set(lines) <= set(seen.lines)
    assert seen.values("host") == [b"gw.test"]
    assert len(seen.values("x-request-id")) == 1
    assert seen.values("x-forwarded-for") == [b"127.0.0.1"]
    assert answer.values("sec-websocket-protocol") == [b"v2.chat"]
    assert answer.values("sec-websocket-extensions") == [b"permessage-deflate"]
    assert answer.values("x-a") == [b"b"]
    assert answer.values("x-request-id") == seen.values("x-request-id")


def test_an_extension_that_the_upstream_does_not_take_is_not_invented(talk: Conversation) -> None:
    """RFC 7692 5; Autobahn 12, 13."""
    *_, answer = opened(talk, b"/ws/x", b"Sec-WebSocket-Extensions: permessage-deflate")
    assert answer.values("sec-websocket-extensions") == []


def test_fields_of_one_hop_do_not_pass_with_a_handshake(talk: Conversation) -> None:
    """RFC 9110 7.6.1; Caddy hopheaders_test.go."""
    client = talk.client().send(
        request(
            b"GET /ws/x HTTP/1.1",
            b"Connection: keep-alive, Upgrade, X-Hop",
            *HANDSHAKE[1:],
            *(b"X-Hop: 1", b"Keep-Alive: 5", b"Proxy-Authorization: x"),
        )
    )
    upstream, seen = talk.upstream("ws").request()
    assert not {"x-hop", "keep-alive", "proxy-authorization"} & set(seen.names())
    assert [value.lower() for value in seen.values("connection")] == [b"upgrade"]
    upstream.send(
        SWITCHED.replace(b"Connection: ", b"Connection: X-Hop, ")
        + b"X-Hop: 1\r\nKeep-Alive: 5\r\nProxy-Authenticate: x\r\nServer: s\r\n\r\n"
    )
    answer = client.message()
    assert answer.status == 101
    assert not {"x-hop", "keep-alive", "proxy-authenticate", "server"} & set(answer.names())


def test_bytes_right_behind_either_head_are_delivered(talk: Conversation) -> None:
    """nginx proxy_upgrade.t; HAProxy protocol_upgrade.vtc."""
    early = frame(TEXT, b"early", mask=b"xyzd")
    client = talk.client().send(request(b"GET /ws/x HTTP/1.1", *HANDSHAKE) + early)
    upstream = talk.upstream("ws").accept()
    upstream.until(b"\r\n\r\n")
    upstream.send(SWITCHED + b"\r\n" + frame(TEXT, b"first") + frame(PING, b"p"))
    assert client.message().status == 101
    assert client.exactly(7 + 3) == frame(TEXT, b"first") + frame(PING, b"p")
    assert upstream.exactly(len(early)) == early


def test_bytes_before_the_switch_do_not_reach_the_upstream_when_it_refuses(talk: Conversation) -> None:
    """RFC 9931; HAProxy protocol_upgrade.vtc."""
    client = talk.client().send(
        request(b"GET /ws/x HTTP/1.1", *HANDSHAKE) + b"GET /plain/smuggled HTTP/1.1\r\n\r\n"
    )
    upstream, _ = talk.upstream("ws").request()
    upstream.send(response(start=b"HTTP/1.1 403 No", body=b"why"))
    assert client.message().body == b"why"
    assert client.has_ended()
    assert upstream.is_quiet()
    assert not talk.upstream("plain").was_called()


@pytest.mark.parametrize("status", [200, 204, 302, 400, 401, 403, 404, 426, 500, 503])
def test_an_upstream_that_refuses_to_switch_is_heard(talk: Conversation, status: int) -> None:
    """RFC 9110 7.8; Traefik TestWebSocketUpgradeFailed, YARP UpgradableRequestFailsToUpgrade_ProxiesResponse."""
    client = talk.client().send(request(b"GET /ws/x HTTP/1.1", *HANDSHAKE))
    upstream, _ = talk.upstream("ws").request()
    body = b"" if status == 204 else b"whole"
    framing = b"" if status == 204 else b"Content-Length: 5\r\n"
    upstream.send(b"HTTP/1.1 %d Mine\r\nX-A: b\r\n" % status + framing + b"\r\n" + body)
    answer = client.message()
    assert (answer.start, answer.body) == (b"HTTP/1.1 %d Mine" % status, body)
    assert answer.values("x-a") == [b"b"]


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param((b"Upgrade: websocket", *HANDSHAKE[2:]), id="no connection option"),
        pytest.param((b"Connection: close", *HANDSHAKE[1:]), id="another connection option"),
        pytest.param((b"Connection: Upgrade", *HANDSHAKE[2:]), id="no upgrade field"),
    ],
)
def test_a_request_that_does_not_ask_for_a_switch_is_an_ordinary_one(
    talk: Conversation, lines: tuple[bytes, ...]
) -> None:
    """RFC 9110 7.8; YARP FalseUpgradeTest."""
    seen = talk.forwarded(b"GET /ws/x HTTP/1.1", *lines, at="ws")
    assert seen.values("upgrade") == []
    assert seen.values("connection") == []


def test_an_upgrade_of_an_http_1_0_client_is_ignored(talk: Conversation) -> None:
    """RFC 9110 7.8."""
    seen = talk.forwarded(b"GET /ws/x HTTP/1.0", *HANDSHAKE, at="ws")
    assert seen.values("upgrade") == []


@pytest.mark.parametrize("path", [b"/ws/x", b"/plain/x"])
@pytest.mark.parametrize("protocol", [b"h2c", b"foo", b"TLS/1.0", b"foo/1, bar/2"])
def test_any_other_upgrade_is_ignored_and_ends_the_connection(
    talk: Conversation, path: bytes, protocol: bytes
) -> None:
    """RFC 9110 7.8, RFC 9931; HAProxy protocol_upgrade.vtc c8."""
    client = talk.client().send(
        request(
            b"GET " + path + b" HTTP/1.1",
            b"Connection: Upgrade, HTTP2-Settings",
            b"Upgrade: " + protocol,
            b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
        )
        + request(b"GET /plain/smuggled HTTP/1.1")
    )
    upstream, seen = talk.upstream(path.split(b"/")[1].decode()).request()
    assert not {"upgrade", "connection", "http2-settings"} & set(seen.names())
    upstream.send(response(body=b"xyz"))
    answer = client.message()
    assert answer.body == b"xyz"
    assert answer.values("connection") == [b"close"]
    assert client.has_ended()
    assert upstream.is_quiet() or upstream.has_ended()


def test_a_route_without_websockets_says_that_it_cannot_switch(talk: Conversation) -> None:
    """RFC 9110 15.5.22."""
    client = talk.client().send(
        request(b"GET /plain/x HTTP/1.1", *HANDSHAKE) + frame(TEXT, b"a", mask=b"xyzd")
    )
    answer = client.message()
    assert (answer.status, answer.slug) == (426, "upgrade-required")
    assert client.has_ended()
    assert talk.nothing_was_forwarded()


@pytest.mark.parametrize(
    "line", [b"Sec-WebSocket-Version: 12", b"Sec-WebSocket-Version: 8", b"X-A: no version"]
)
def test_a_wrong_version_is_told_the_right_one(talk: Conversation, line: bytes) -> None:
    """RFC 6455 4.4."""
    client = talk.client().send(request(b"GET /ws/x HTTP/1.1", *HANDSHAKE[:2], line, HANDSHAKE[3]))
    answer = client.message()
    assert (answer.status, answer.slug) == (426, "upgrade-required")
    assert answer.values("sec-websocket-version") == [b"13"]
    assert talk.nothing_was_forwarded()


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param((), id="none"),
        *(
            pytest.param((b"Sec-WebSocket-Key: " + key,), id=repr(key))
            for key in (b"", b"short", base64.b64encode(b"a" * 15), base64.b64encode(b"a" * 17), b"!" * 24)
        ),
        pytest.param((b"Sec-WebSocket-Key: " + KEY,) * 2, id="two"),
    ],
)
def test_a_handshake_without_a_proper_key_is_refused(talk: Conversation, lines: tuple[bytes, ...]) -> None:
    """RFC 6455 4.2.1; HAProxy websocket.vtc c2, YARP InvalidKeyHeader_400."""
    client = talk.client().send(request(b"GET /ws/x HTTP/1.1", *HANDSHAKE[:3], *lines))
    answer = client.message()
    assert (answer.status, answer.slug) == (400, "malformed-request")
    assert client.has_ended()
    assert talk.nothing_was_forwarded()


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"OPTIONS"])
def test_a_handshake_with_another_method_does_not_switch(talk: Conversation, method: bytes) -> None:
    """RFC 6455 4.1: "The method of the request MUST be GET"."""
    client = talk.client().send(request(method + b" /ws/x HTTP/1.1", *HANDSHAKE))
    if talk.upstream("ws").was_called():
        upstream, seen = talk.upstream("ws").request()
        assert seen.values("upgrade") == []
        upstream.send(response())
        assert client.message().values("connection") == [b"close"]
    else:
        assert client.message().status in {400, 426}


@pytest.mark.parametrize(
    ("line", "body"),
    [
        (b"Content-Length: 3", b"xyz"),
        (b"Content-Length: 3", b""),
        (b"Transfer-Encoding: chunked", b"0\r\n\r\n"),
    ],
)
def test_a_handshake_with_a_body_is_refused(talk: Conversation, line: bytes, body: bytes) -> None:
    """RFC 9110 7.8; HAProxy protocol_upgrade.vtc c10."""
    client = talk.client().send(request(b"GET /ws/x HTTP/1.1", *HANDSHAKE, line, body=body))
    assert client.message().status == 400
    client.half_close()
    assert client.has_ended()
    assert talk.nothing_was_forwarded()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(SWITCHED.replace(b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\n", b""), id="no accept"),
        pytest.param(SWITCHED.replace(ACCEPT, base64.b64encode(b"a" * 20)), id="wrong accept"),
        pytest.param(SWITCHED.replace(b"Upgrade: websocket", b"Upgrade: h2c"), id="another protocol"),
        pytest.param(SWITCHED.replace(b"Upgrade: websocket\r\n", b""), id="no protocol"),
        pytest.param(SWITCHED.replace(b"Connection: Upgrade\r\n", b""), id="no connection option"),
        pytest.param(
            SWITCHED + b"Sec-WebSocket-Protocol: unasked\r\n", id="a subprotocol that nobody offered"
        ),
    ],
)
def test_an_improper_switch_of_the_upstream_is_a_502(talk: Conversation, answer: bytes) -> None:
    """RFC 6455 4.1, RFC 9112 6; HAProxy websocket.vtc c3."""
    client = talk.client().send(request(b"GET /ws/x HTTP/1.1", *HANDSHAKE))
    upstream, _ = talk.upstream("ws").request()
    upstream.send(answer + b"\r\n" + frame(TEXT, b"evil"))
    received = client.rest()
    assert received.startswith(b"HTTP/1.1 502 ")
    assert b"evil" not in received
    assert upstream.has_ended()


@pytest.mark.parametrize("line", [b"Content-Length: 0", b"Content-Length: 5", b"Transfer-Encoding: chunked"])
def test_a_switch_has_no_body_whatever_its_head_says(talk: Conversation, line: bytes) -> None:
    """RFC 9112 6.3; RFC 9110 8.6: MUST NOT be sent with a 101."""
    client, upstream, _, answer = opened(talk, answer=(line,))
    assert not {"content-length", "transfer-encoding"} & set(answer.names())
    upstream.send(frame(TEXT, b"12345"))
    assert client.exactly(7) == frame(TEXT, b"12345")


@pytest.mark.parametrize(
    "origin", [b"https://evil.test", b"http://app.test", b"https://app.test:444", b"null", b""]
)
def test_a_page_that_is_not_listed_may_not_open_a_websocket(talk: Conversation, origin: bytes) -> None:
    """RFC 6455 10.2: cross-site WebSocket hijacking."""
    client = talk.client().send(request(b"GET /ws/x HTTP/1.1", *HANDSHAKE, b"Origin: " + origin))
    answer = client.message()
    assert (answer.status, answer.slug) == (403, "denied")
    assert talk.nothing_was_forwarded()


@pytest.mark.parametrize(
    "lines", [(b"Origin: " + PAGE,) * 2, (b"Origin: " + PAGE, b"Origin: https://evil.test")]
)
def test_two_origins_are_none(talk: Conversation, lines: tuple[bytes, ...]) -> None:
    """RFC 6454 7.3."""
    client = talk.client().send(request(b"GET /ws/x HTTP/1.1", *HANDSHAKE, *lines))
    assert client.message().status in {400, 403}
    assert talk.nothing_was_forwarded()


def test_a_listed_page_and_what_is_no_page_may_open_a_websocket(talk: Conversation) -> None:
    """RFC 6455 10.2."""
    assert opened(talk, b"/ws/x", b"Origin: " + PAGE)[3].status == 101
    assert opened(talk)[3].status == 101
    assert opened(talk, b"/sockets/x", b"Origin: https://anybody.test")[3].status == 101


def test_a_websocket_is_opened_only_after_the_decision(talk: Conversation, token: str) -> None:
    """RFC 6455 10.5."""
    refused = talk.client().send(request(b"GET /plain/members HTTP/1.1", *HANDSHAKE))
    assert refused.message().status == 401
    assert refused.has_ended()
    assert talk.nothing_was_forwarded()
    client = talk.client().send(
        request(b"GET /plain/members HTTP/1.1", *HANDSHAKE, b"Authorization: Bearer " + token.encode())
    )
    upstream, seen = talk.upstream().request()
    assert seen.values("authorization") == []
    upstream.send(SWITCHED + b"\r\n")
    assert client.message().status == 101


def test_an_upstream_that_closes_instead_of_switching_is_a_502(talk: Conversation) -> None:
    """RFC 9110 15.6.3."""
    client = talk.client().send(request(b"GET /sockets/x HTTP/1.1", *HANDSHAKE))
    upstream, _ = talk.upstream("sockets").request()
    upstream.half_close()
    assert client.message().status == 502
    with pytest.raises(Ended):
        client.until(b"HTTP/1.1 101")
