"""The lines of a response that the client gets."""

import pytest
from support.upstream import rules

from gateway.model import Line
from gateway.proxy.response_head import ResponseHeads

NONE: frozenset[bytes] = frozenset()


def test_lines_keep_order_case_and_multiplicity() -> None:
    lines: list[Line] = [
        (b"Set-Cookie", b"a"),
        (b"ETag", b'"x"'),
        (b"set-cookie", b"b"),
        (b"Content-Length", b"5"),
        (b"X-A", b"caf\xe9"),
        (b"X-A", b""),
    ]
    assert ResponseHeads(rules()).translate(200, lines, NONE, ()) == lines


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
        assert heads.translate(200, [(name, b"x"), (b"X-Kept", b"1")], NONE, ()) == [(b"X-Kept", b"1")]


def test_nominated_fields_are_removed_from_this_response_only() -> None:
    heads = ResponseHeads(rules())
    lines: list[Line] = [(b"X-Hop", b"1"), (b"Date", b"now")]
    assert heads.translate(200, lines, frozenset({b"x-hop"}), ()) == [(b"Date", b"now")]
    assert heads.translate(200, lines, NONE, ()) == lines


def test_an_upgrade_is_named_where_it_is_required() -> None:
    lines: list[Line] = [(b"Upgrade", b"websocket")]
    assert ResponseHeads(rules()).translate(426, lines, frozenset({b"upgrade"}), ()) == lines


@pytest.mark.parametrize(("status", "kept"), [(204, False), (304, True), (200, True), (205, True)])
def test_no_content_has_no_length(status: int, *, kept: bool) -> None:
    lines: list[Line] = [(b"content-length", b"5")]
    assert ResponseHeads(rules()).translate(status, lines, NONE, ()) == (lines if kept else [])


def test_our_lines_follow_and_set_lines_come_last_and_replace() -> None:
    heads = ResponseHeads(rules(set_response=(("strict-transport-security", "max-age=1"),)))
    lines: list[Line] = [(b"Strict_Transport-Security", b"max-age=0"), (b"Date", b"now")]
    assert heads.translate(200, lines, NONE, [(b"X-Request-Id", b"ours")]) == [
        (b"Date", b"now"),
        (b"X-Request-Id", b"ours"),
        (b"strict-transport-security", b"max-age=1"),
    ]
    assert len(lines) == 2
