"""Which handshakes are worth a decision."""

from dataclasses import replace

import pytest
from support.heads import HEAD

from gateway.model import Fields, Framing, Line, Reason, RequestHead, websocket_flaw

UPGRADE = (b"Upgrade", b"websocket")
CONNECTION = (b"Connection", b"Upgrade")
VERSION = (b"Sec-WebSocket-Version", b"13")
KEY = (b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ==")


def head(*lines: Line) -> RequestHead:
    return replace(HEAD, fields=Fields(lines))


def test_a_proper_handshake_has_no_flaw() -> None:
    assert websocket_flaw(head(UPGRADE, CONNECTION, VERSION, KEY)) is None
    assert websocket_flaw(head((b"upgrade", b"WebSocket"), CONNECTION, VERSION, KEY)) is None


def test_an_empty_body_is_no_body() -> None:
    empty = replace(head(UPGRADE, CONNECTION, VERSION, KEY), framing=Framing.LENGTH, content_length=0)
    assert websocket_flaw(empty) is None


@pytest.mark.parametrize(
    "version",
    [(), ((b"Sec-WebSocket-Version", b"8"),), ((b"Sec-WebSocket-Version", b"13, 8"),), (VERSION, VERSION)],
)
def test_another_version_is_told_ours(version: tuple[Line, ...]) -> None:
    # The version decides how to read the rest: a key of old is no reason to say less.
    assert websocket_flaw(head(UPGRADE, CONNECTION, *version)) is Reason.UPGRADE_REQUIRED


@pytest.mark.parametrize(
    "key",
    [
        (),
        (KEY, KEY),
        ((KEY[0], b""),),
        ((KEY[0], b"dGhlIHNhbXBsZSBub25jZQ"),),
        ((KEY[0], b"dGhlIHNhbXBsZSBub25jZQ== "),),
        ((KEY[0], b"dGhlIHNhbXBsZSBub25jZSE="),),
        ((KEY[0], b"dGhlIHNhbXBsZSBub25j"),),
        ((KEY[0], b"dGhlIHNhbXBsZSBub2*jZQ=="),),
    ],
)
def test_the_key_is_sixteen_bytes_once(key: tuple[Line, ...]) -> None:
    assert websocket_flaw(head(UPGRADE, CONNECTION, VERSION, *key)) is Reason.MALFORMED_REQUEST


@pytest.mark.parametrize("upgrade", [((b"Upgrade", b"websocket, h2c"),), (UPGRADE, UPGRADE)])
def test_nothing_but_websocket_may_be_offered(upgrade: tuple[Line, ...]) -> None:
    assert websocket_flaw(head(*upgrade, CONNECTION, VERSION, KEY)) is Reason.MALFORMED_REQUEST


@pytest.mark.parametrize(
    "change",
    [
        {"method": "POST"},
        {"framing": Framing.CHUNKED},
        {"framing": Framing.LENGTH, "content_length": 1},
    ],
)
def test_a_handshake_is_a_get_without_a_body(change: dict[str, object]) -> None:
    changed = replace(head(UPGRADE, CONNECTION, VERSION, KEY), **change)  # type: ignore[arg-type] # any field
    assert websocket_flaw(changed) is Reason.MALFORMED_REQUEST
