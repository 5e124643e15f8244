"""The WebSocket handshake with the upstream: what is asked for, and whether the answer is the right one.

Everything else about it (key, version, subprotocols, extensions, origin) passes from end to end like any
other field, so that both sides agree on one connection and the gateway only carries it.
"""

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha1
from typing import Final

from gateway.model import Fields, Line, RequestHead
from gateway.proxy.response import ResponseHead

SWITCHING_LINES: Final[tuple[Line, ...]] = ((b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"))
"""What both heads of a handshake carry for this hop; the client's own such lines are removed, like all
fields of one connection."""

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accepts(head: RequestHead, answer: ResponseHead) -> str | None:
    """Return why a 101 does not answer the handshake of `head`, None when it does (RFC 6455 section 4.1).

    The client would find out too, but only after it was told that the upstream has agreed.
    """
    fields = Fields(answer.lines)
    if [value.lower() for value in _members(fields, b"upgrade")] != [b"websocket"]:
        return "a 101 that does not switch to websocket"
    if b"upgrade" not in [value.lower() for value in _members(fields, b"connection")]:
        return "a 101 without `Connection: upgrade`"
    accept = fields.one(b"sec-websocket-accept") or b""
    if accept.strip(b" \t") != _acceptance(head.fields.one(b"sec-websocket-key") or b""):
        return "a 101 without the right Sec-WebSocket-Accept"
    chosen = fields.all(b"sec-websocket-protocol")
    if len(chosen) > 1 or not set(chosen) <= set(_members(head.fields, b"sec-websocket-protocol")):
        return "a 101 with a subprotocol that was not offered"
    if not _extensions(fields) <= _extensions(head.fields):
        return "a 101 with an extension that was not offered"
    return None


def _acceptance(key: bytes) -> bytes:
    # RFC 6455 section 1.3: proof that the handshake was understood, not a secret.
    return b64encode(sha1(key + _GUID, usedforsecurity=False).digest())


def _members(fields: Fields, name: bytes) -> Sequence[bytes]:
    return [
        member for value in fields.all(name) for part in value.split(b",") if (member := part.strip(b" \t"))
    ]


def _extensions(fields: Fields) -> set[bytes]:
    """Return the names of extensions: no parameter can hold a comma (RFC 6455 section 9.1)."""
    members = _members(fields, b"sec-websocket-extensions")
    return {member.partition(b";")[0].rstrip(b" \t").lower() for member in members}
