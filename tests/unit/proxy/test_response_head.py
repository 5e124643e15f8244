"""The lines of a response that the client gets."""

import pytest
from support.upstream import rules

from gateway.model import Framing, Line
from gateway.proxy.response import ResponseHead
from gateway.proxy.response_head import ResponseHeads

NONE: frozenset[bytes] = frozenset()


def answer(
    lines: list[Line], *, status: int = 200, hop: frozenset[bytes] = NONE, framing: Framing = Framing.LENGTH
) -> ResponseHead:
    return ResponseHead(status, b"Reason", lines, framing, hop)


def test_lines_keep_order_case_and_multiplicity() -> None:
    lines: list[Line] = [
        (b"Set-Cookie", b"a"),
        (b"ETag", b'"x"'),
        (b"set-cookie", b"b"),
        (b"Content-Length", b"5"),
        (b"X-A", b"caf\xe9"),
        (b"X-A", b""),
    ]
    assert ResponseHeads(rules()).translate(answer(lines), ()) == lines


@pytest.mark.parametrize(
    "name",
    [
        b"connection",
        b"Keep-Alive",
        b"Proxy-Connection",
        b"PROXY-AUTHENTICATE",
        b"te",
        b"Trailer",
        b"Transfer-Encoding",
        b"Upgrade",
        b"X-Request-Id",
        b"Server",
        b"x-powered-by",
        b"X_Powered_By",
    ],
)
def test_what_belongs_to_the_hop_or_is_configured_away_is_removed(name: bytes) -> None:
    heads = ResponseHeads(rules())
    for _ in range(2):
        assert heads.translate(answer([(name, b"x"), (b"X-Kept", b"1")]), ()) == [(b"X-Kept", b"1")]


def test_nominated_fields_are_removed_from_this_response_only() -> None:
    heads = ResponseHeads(rules())
    lines: list[Line] = [(b"X-Hop", b"1"), (b"Date", b"now")]
    assert heads.translate(answer(lines, hop=frozenset({b"x-hop"})), ()) == [(b"Date", b"now")]
    assert heads.translate(answer(lines), ()) == lines


def test_an_upgrade_is_named_where_it_is_required() -> None:
    lines: list[Line] = [(b"Upgrade", b"websocket")]
    assert (
        ResponseHeads(rules()).translate(answer(lines, status=426, hop=frozenset({b"upgrade"})), ()) == lines
    )


@pytest.mark.parametrize(("status", "kept"), [(204, False), (304, True), (200, True), (205, True)])
def test_no_content_has_no_length(status: int, *, kept: bool) -> None:
    lines: list[Line] = [(b"content-length", b"5")]
    assert ResponseHeads(rules()).translate(answer(lines, status=status), ()) == (lines if kept else [])


def test_our_lines_follow_and_set_lines_come_last_and_replace() -> None:
    heads = ResponseHeads(rules(set_response=(("strict-transport-security", "max-age=1"),)))
    lines: list[Line] = [(b"Strict_Transport-Security", b"max-age=0"), (b"Date", b"now")]
    assert heads.translate(answer(lines), [(b"X-Request-Id", b"ours")]) == [
        (b"Date", b"now"),
        (b"X-Request-Id", b"ours"),
        (b"strict-transport-security", b"max-age=1"),
    ]
    assert len(lines) == 2


@pytest.mark.parametrize(
    ("framing", "version", "kept"),
    [
        (Framing.CHUNKED, (1, 1), True),
        (Framing.CHUNKED, (1, 0), False),
        (Framing.LENGTH, (1, 1), False),
        (Framing.CLOSE, (1, 1), False),
        (Framing.NONE, (1, 1), False),
    ],
)
def test_trailers_are_announced_only_where_they_will_come(
    framing: Framing, version: tuple[int, int], *, kept: bool
) -> None:
    lines: list[Line] = [(b"Trailer", b"X-Sum")]
    head = answer(lines, framing=framing)
    assert ResponseHeads(rules()).translate(head, (), version=version) == (lines if kept else [])


def test_a_101_says_what_was_agreed_on_and_nothing_about_its_connection() -> None:
    heads = ResponseHeads(rules(set_response=(("x-set", "1"),)))
    lines: list[Line] = [
        (b"Upgrade", b"websocket"),
        (b"Connection", b"Upgrade, X-Hop"),
        (b"Sec-WebSocket-Accept", b"abc="),
        (b"X-Hop", b"1"),
        (b"Alt-Svc", b"h3"),
        (b"Keep-Alive", b"timeout=5"),
        (b"Proxy-Authenticate", b"Basic"),
        (b"Content-Length", b"5"),
        (b"X-Other", b"1"),
    ]
    head = answer(lines, status=101, hop=frozenset({b"upgrade", b"x-hop"}), framing=Framing.NONE)
    assert heads.translate(head, [(b"X-Request-Id", b"ours")]) == [
        (b"Upgrade", b"websocket"),
        (b"Sec-WebSocket-Accept", b"abc="),
        (b"X-Other", b"1"),
        (b"X-Request-Id", b"ours"),
    ]


def test_an_alternative_service_is_the_upstream_s_to_name_elsewhere() -> None:
    heads = ResponseHeads(rules())
    lines: list[Line] = [(b"Alt-Svc", b"clear")]
    assert heads.translate(answer(lines), ()) == lines
    assert heads.translate(answer(lines, hop=frozenset({b"alt-svc"})), ()) == []


def test_an_interim_response_keeps_its_lines_less_those_of_the_connection() -> None:
    heads = ResponseHeads(rules(set_response=(("x-set", "1"),)))
    lines: list[Line] = [
        (b"Link", b"</a>; rel=preload"),
        (b"Connection", b"close, x-hop"),
        (b"X-Hop", b"1"),
        (b"link", b"</b>; rel=preload"),
        (b"Keep-Alive", b"timeout=5"),
        (b"Content-Length", b"5"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Upgrade", b"h2c"),
        (b"Trailer", b"X"),
        (b"Server", b"secret"),
        (b"X-Request-Id", b"theirs"),
    ]
    assert heads.interim(lines) == [(b"Link", b"</a>; rel=preload"), (b"link", b"</b>; rel=preload")]


@pytest.mark.parametrize(
    "name",
    [
        b"Transfer-Encoding",
        b"content-length",
        b"Trailer",
        b"Connection",
        b"TE",
        b"Upgrade",
        b"Host",
        b"Authorization",
        b"WWW-Authenticate",
        b"Proxy-Authorization",
        b"Set-Cookie",
        b"set_cookie",
        b"Set-Cookie2",
        b"Cookie",
        b"Cookie2",
        b"Cache-Control",
        b"Content-Type",
        b"Content-Encoding",
        b"Content-Range",
        b"Location",
        b"Vary",
        b"Access-Control-Allow-Origin",
        b"If-Match",
        b"X-Forwarded-For",
        b"X-Gateway-Subject",
        b"X_Gateway_Subject",
        b"X-Request-Id",
        b"X-User",
        b"RateLimit",
        b"Server",
        b"X-Set",
        b"x_set",
        b"X-Hop",
        b"Alt-Svc",
    ],
)
def test_what_would_come_too_late_or_is_ours_to_say_is_no_trailer(name: bytes) -> None:
    heads = ResponseHeads(rules(set_response=(("x-set", "1"),)))
    lines: list[Line] = [(b"X-Sum", b"1"), (name, b"x"), (b"ETag", b'"1"'), (b"x-sum", b"2")]
    assert heads.trailers(lines, frozenset({b"x-hop"})) == [lines[0], *lines[2:]]
