"""Paths that change on the way, and paths that only some upstreams may be asked for."""

import pytest
from support.conformance import Conversation, request


@pytest.mark.parametrize(
    ("name", "path", "target"),
    [
        ("stripped", b"/stripped/a/b", b"/a/b"),
        ("stripped", b"/stripped/a%20b?q=/stripped/", b"/a%20b?q=/stripped/"),
        ("stripped", b"/stripped/stripped/x", b"/stripped/x"),
        ("stripped", b"/stripped/", b"/"),
        ("stripped", b"/stripped", b"/"),
        ("stripped", b"/stripped?q", b"/?q"),
        ("stripped", b"/strippedx/a", b"/strippedx/a"),
        ("prefixed", b"/prefixed/a?q=%zz", b"/api/v1/prefixed/a?q=%zz"),
        ("prefixed", b"/prefixed/", b"/api/v1/prefixed/"),
        ("moved", b"/moved/in/a", b"/out/a"),
        ("moved", b"/moved/inx/a", b"/out/moved/inx/a"),
        ("moved", b"/moved/in?", b"/out?"),
    ],
)
def test_a_rewrite_changes_whole_segments_at_the_beginning_once(
    talk: Conversation, name: str, path: bytes, target: bytes
) -> None:
    """fastify rewritePrefix, YARP MakeDestinationAddress, Go TestSingleJoinSlash."""
    seen = talk.forwarded(b"GET " + path + b" HTTP/1.1", at=name)
    assert seen.target in {target, target.replace(b"/out?", b"/out/?")}


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("slashes", b"/slashes/a%2fb"),
        ("slashes", b"/slashes/a%2F"),
        ("odd", b"/odd/a%2fb%5cc;d=e\\f"),
        ("odd", b"/odd//a//"),
        ("odd", b"/odd/;x/%2f/%5C"),
    ],
)
def test_an_unusual_path_is_forwarded_unchanged_where_the_upstream_allows_it(
    talk: Conversation, name: str, path: bytes
) -> None:
    """Traefik TestEncodedCharactersDifferentEntryPoints, TestPreservePath."""
    assert talk.forwarded(b"GET " + path + b" HTTP/1.1", at=name).target == path


@pytest.mark.parametrize(
    "path",
    [
        b"/slashes/a;b",
        b"/slashes//a",
        b"/slashes/a\\b",
        b"/slashes/a%5cb",
        b"/slashes%2fa",
        b"/odd/%2e%2e/x",
        b"/odd/a/../b",
        b"/odd/a%00",
        b"/odd/a%252f",
        b"/odd/..%2f..%2fx",
        b"/odd/a%2f..%2fb",
        b"/odd/..;/x",
        b"/odd/..\\x",
        b"/odd/%ff",
        b"/nowhere/a%2fb",
        b"/plain/a%2fb",
    ],
)
def test_an_unusual_path_is_refused_where_the_upstream_does_not_allow_it(
    talk: Conversation, path: bytes
) -> None:
    """Traefik CVE-2025-66490, Tomcat's `..;/`."""
    answer = talk.refused(request(b"GET " + path + b" HTTP/1.1"))
    assert (answer.status, answer.slug) == (400, "ambiguous-path")
