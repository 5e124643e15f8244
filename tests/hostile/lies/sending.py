"""Parts of what upstreams send, and what they do besides."""

from hostile.recorder import Script

EVIL_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Request-Id: evil\r\n\r\nevil"


def answer(status: bytes, *lines: bytes, body: bytes = b"") -> bytes:
    """Return the bytes of an answer; nothing is checked or added but the line ends."""
    return b"\r\n".join([b"HTTP/1.1 " + status, *lines, b"", b""]) + body


def ok(*lines: bytes, body: bytes = b"hello") -> bytes:
    """Return the bytes of an answer with status 200."""
    return answer(b"200 OK", *lines, body=body)


FIVE = b"Content-Length: 5"
CHUNKED = b"Transfer-Encoding: chunked"
CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"
CLOSES = Script(pieces=(), then="close", reusable=False)
RESETS = Script(pieces=(), then="reset", reusable=False)
STALLS = Script(pieces=(), then="stall", reusable=False)
KEEPS = Script(pieces=())
SPOILS = Script(pieces=(), reusable=False)
EARLY = Script(pieces=(), early=True, reusable=False)
