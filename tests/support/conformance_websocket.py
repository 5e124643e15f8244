"""Handshakes and frames (RFC 6455), by hand."""

from support.conformance import Conversation, Message, Wire, request

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""The example of section 1.3."""
HANDSHAKE = (
    b"Connection: Upgrade",
    b"Upgrade: websocket",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: " + KEY,
)
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\n"
)
ANSWER = SWITCHED + b"\r\n"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
GOING_AWAY, POLICY_VIOLATION = 1001, 1008


def frame(opcode: int, payload: bytes = b"", *, mask: bytes = b"", final: bool = True) -> bytes:
    """Return a frame (section 5.2)."""
    length = len(payload)
    flag = 0x80 if mask else 0
    if length < 126:
        size = bytes((flag | length,))
    elif length < 65536:
        size = bytes((flag | 126,)) + length.to_bytes(2)
    else:
        size = bytes((flag | 127,)) + length.to_bytes(8)
    if mask:
        payload = bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))
    return bytes((0x80 * final | opcode,)) + size + mask + payload


def closed(page: Wire) -> int:
    """Read the close frame of a gateway that ends a WebSocket, leave as a page would, and return its code."""
    kind, length = page.exactly(2)
    assert kind == 0x80 | CLOSE
    code = int.from_bytes(page.exactly(length)[:2])
    page.half_close()
    assert page.has_ended()
    return code


def opened(
    talk: Conversation, path: bytes = b"/ws/x", *lines: bytes, answer: tuple[bytes, ...] = ()
) -> tuple[Wire, Wire, Message, Message]:
    """Open a WebSocket; return both ends, the request that the upstream got, and the client's answer."""
    client = talk.client().send(request(b"GET " + path + b" HTTP/1.1", *HANDSHAKE, *lines))
    upstream, seen = talk.upstream(path.split(b"/")[1].decode()).request()
    upstream.send(SWITCHED + b"".join(line + b"\r\n" for line in answer) + b"\r\n")
    return client, upstream, seen, client.message()
