"""What an upstream has to answer before a client is told that the protocol has been switched."""

import pytest
from support.downstream import head_of

from gateway.model import Framing, Line
from gateway.proxy.handshake import accepts
from gateway.proxy.response import ResponseHead

# RFC 6455 section 1.3 has the key and what it is answered with.
KEY = (b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ==")
ACCEPT = (b"Sec-WebSocket-Accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
UPGRADE = (b"Upgrade", b"websocket")
CONNECTION = (b"Connection", b"Upgrade")


def flaw(*lines: Line, offered: tuple[Line, ...] = ()) -> str | None:
    answer = ResponseHead(101, b"Switching Protocols", list(lines), Framing.NONE, frozenset({b"upgrade"}))
    return accepts(head_of(KEY, *offered), answer)


def protocols(value: bytes) -> Line:
    return b"Sec-WebSocket-Protocol", value


def extensions(value: bytes) -> Line:
    return b"Sec-WebSocket-Extensions", value


@pytest.mark.parametrize(
    ("lines", "offered"),
    [
        ((), ()),
        ((protocols(b"chat"),), (protocols(b"superchat, chat"),)),
        ((protocols(b"chat"),), (protocols(b"superchat"), protocols(b"chat"))),
        ((), (protocols(b"chat"),)),
        ((extensions(b"permessage-deflate; server_no_context_takeover"),), (extensions(b"x-a, permessage-deflate; client_max_window_bits"),)),
        ((extensions(b"permessage-deflate"),), (extensions(b"permessage-deflate;server_max_window_bits=10, permessage-deflate"),)),
        ((), (extensions(b"permessage-deflate"),)),
    ],
)  # fmt: skip
def test_a_proper_answer_is_accepted(lines: tuple[Line, ...], offered: tuple[Line, ...]) -> None:
    assert flaw(UPGRADE, CONNECTION, ACCEPT, *lines, offered=offered) is None


def test_words_are_compared_without_case_and_padding() -> None:
    lines = (b"upgrade", b"WebSocket"), (b"connection", b"keep-alive , UPGRADE")
    assert flaw(*lines, (b"sec-websocket-accept", ACCEPT[1] + b" ")) is None


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ((CONNECTION, ACCEPT), "does not switch to websocket"),
        (((b"Upgrade", b"h2c"), CONNECTION, ACCEPT), "does not switch to websocket"),
        (((b"Upgrade", b"websocket, h2c"), CONNECTION, ACCEPT), "does not switch to websocket"),
        (((b"Upgrade", b"websockets"), CONNECTION, ACCEPT), "does not switch to websocket"),
        ((UPGRADE, ACCEPT), "Connection: upgrade"),
        ((UPGRADE, (b"Connection", b"not-upgrade"), ACCEPT), "Connection: upgrade"),
        ((UPGRADE, CONNECTION), "Sec-WebSocket-Accept"),
        ((UPGRADE, CONNECTION, ACCEPT, ACCEPT), "Sec-WebSocket-Accept"),
        ((UPGRADE, CONNECTION, (ACCEPT[0], ACCEPT[1].lower())), "Sec-WebSocket-Accept"),
        ((UPGRADE, CONNECTION, ACCEPT, protocols(b"chat")), "subprotocol"),
        ((UPGRADE, CONNECTION, ACCEPT, protocols(b"")), "subprotocol"),
        ((UPGRADE, CONNECTION, ACCEPT, extensions(b"permessage-deflate")), "extension"),
    ],
)
def test_any_other_101_is_not_passed_on(lines: tuple[Line, ...], says: str) -> None:
    assert says in (flaw(*lines) or "")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (protocols(b"Chat"), "subprotocol"),
        (protocols(b"chat, superchat"), "subprotocol"),
        (extensions(b"permessage-deflate, x-b"), "extension"),
        (extensions(b"permessage"), "extension"),
    ],
)
def test_what_was_not_offered_may_not_be_chosen(line: Line, says: str) -> None:
    offered = protocols(b"superchat, chat"), extensions(b"x-a, permessage-deflate")
    assert says in (flaw(UPGRADE, CONNECTION, ACCEPT, line, offered=offered) or "")


def test_two_subprotocols_cannot_be_chosen() -> None:
    offered = (protocols(b"a, b"),)
    problem = flaw(UPGRADE, CONNECTION, ACCEPT, protocols(b"a"), protocols(b"b"), offered=offered)
    assert "subprotocol" in (problem or "")
