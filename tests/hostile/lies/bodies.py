"""Bodies that break, and what comes behind them."""

from dataclasses import replace

from hostile.case import OK
from hostile.lies.lie import Lie
from hostile.lies.sending import CHUNKED, CHUNKS, CLOSES, EVIL_ANSWER, FIVE, KEEPS, RESETS, SPOILS, STALLS, ok

# fmt: off

_CUT = {
    "shorter than its length": (ok(FIVE, body=b"hel"), CLOSES),
    "shorter than its length, reset": (ok(FIVE, body=b"hel"), RESETS),
    "shorter than its length, stalled": (ok(FIVE, body=b"hel"), STALLS),
    "no last chunk": (ok(CHUNKED, body=b"5\r\nhello\r\n"), CLOSES),
    "no last chunk, reset": (ok(CHUNKED, body=b"5\r\nhello\r\n"), RESETS),
    "no last chunk, stalled": (ok(CHUNKED, body=b"5\r\nhello\r\n"), STALLS),
    "no last line end": (ok(CHUNKED, body=b"5\r\nhello\r\n0\r\n"), CLOSES),
    "half a chunk": (ok(CHUNKED, body=b"5\r\nhello\r\n5\r\nhe"), CLOSES),
    "to the end, reset": (ok(b"Connection: close", body=b"hello"), RESETS),
    "a chunk size of letters": (ok(CHUNKED, body=b"5\r\nhello\r\nzz\r\n"), SPOILS),
    "a negative chunk size": (ok(CHUNKED, body=b"5\r\nhello\r\n-1\r\n"), SPOILS),
    "a chunk size of 2^64": (ok(CHUNKED, body=b"5\r\nhello\r\n10000000000000000\r\n"), SPOILS),
    "a chunk size of hex": (ok(CHUNKED, body=b"5\r\nhello\r\n0x5\r\nhello\r\n"), SPOILS),
    "an empty chunk size": (ok(CHUNKED, body=b"5\r\nhello\r\n\r\n\r\n"), SPOILS),
    "a chunk size with a space before": (ok(CHUNKED, body=b"5\r\nhello\r\n 5\r\nhello\r\n"), SPOILS),
    "a bare line feed behind a chunk size": (ok(CHUNKED, body=b"5\r\nhello\r\n5\nhello\r\n0\r\n\r\n"), SPOILS),
    "no line end behind a chunk": (ok(CHUNKED, body=b"5\r\nhello\r\n5\r\nhelloXX0\r\n\r\n"), SPOILS),
    "an extension with a line feed": (ok(CHUNKED, body=b"5\r\nhello\r\n5;a\nb\r\nhello\r\n0\r\n\r\n"), SPOILS),
    "an extension with a NUL": (ok(CHUNKED, body=b"5\r\nhello\r\n5;a=\x00\r\nhello\r\n0\r\n\r\n"), SPOILS),
    "a trailer without a colon": (ok(CHUNKED, body=b"5\r\nhello\r\n0\r\nX-A\r\n\r\n"), SPOILS),
    "a trailer with a NUL": (ok(CHUNKED, body=b"5\r\nhello\r\n0\r\nX-A: \x00\r\n\r\n"), SPOILS),
    "a trailer folded": (ok(CHUNKED, body=b"5\r\nhello\r\n0\r\nX-A: b\r\n c\r\n\r\n"), SPOILS),
    "70 KiB of trailers": (ok(CHUNKED, body=b"5\r\nhello\r\n0\r\n" + b"X-A: aaaaaaaaaa\r\n" * 4480), SPOILS),
    "70 KiB of an extension": (ok(CHUNKED, body=b"5\r\nhello\r\n5;a=" + b"b" * 71680), SPOILS),
}
"""Bodies that break. The client sees that they are not whole, or gets a 502 in place of the head."""

_MORE = {
    "more than its length": (ok(FIVE, body=b"hello, and more"), b"hello"),
    "another answer": (ok(FIVE) + EVIL_ANSWER, b"hello"),
    "another answer behind chunks": (ok(CHUNKED, body=CHUNKS) + EVIL_ANSWER, b"hello"),
    "garbage behind chunks": (ok(CHUNKED, body=CHUNKS) + b"\x00\x00\x00", b"hello"),
    "another answer behind nothing": (ok(b"Content-Length: 0", body=b"") + EVIL_ANSWER, b""),
    "an interim answer behind it": (ok(FIVE) + b"HTTP/1.1 100 Continue\r\n\r\n", b"hello"),
    "half an answer behind it": (ok(FIVE) + b"HTTP/1.1 200 OK\r\nX-", b"hello"),
}
"""Answers with something behind them: the client gets the answer, and nobody gets the rest."""

_LATER = {
    "another answer": EVIL_ANSWER,
    "garbage": b"\x00",
    "a line end": b"\r\n",
    "half an answer": b"HTTP/1.1 200 OK\r\n",
    "a timeout": b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
}

_TRUE = {
    "length": (ok(FIVE), b"hello", ()),
    "a line end behind it": (ok(FIVE) + b"\r\n", b"hello", ()),
    "no reason": (b"HTTP/1.1 200 \r\n" + FIVE + b"\r\n\r\nhello", b"hello", ()),
    "no reason and no space": (b"HTTP/1.1 200\r\n" + FIVE + b"\r\n\r\nhello", b"hello", ()),
    "chunks": (ok(CHUNKED, body=CHUNKS), b"hello", ()),
    "chunks with extensions": (ok(CHUNKED, body=b"5;a=b\r\nhello\r\n0;c\r\n\r\n"), b"hello", ()),
    "chunks with trailers": (ok(CHUNKED, body=b"5\r\nhello\r\n0\r\nX-A: b\r\n\r\n"), b"hello", ()),
    "trailers that frame": (ok(CHUNKED, body=b"5\r\nhello\r\n0\r\nX-Content-Length: 3\r\nHost: evil\r\n\r\n"), b"hello", ()),
    "trailers that identify": (ok(CHUNKED, body=b"5\r\nhello\r\n0\r\nX-Request-Id: evil\r\nSet-Cookie: a=b\r\n\r\n"), b"hello", ()),
    "fields of one hop": (ok(FIVE, b"Connection: X-Nom, keep-alive", b"X-Nom: 1", b"Keep-Alive: timeout=5", b"Proxy-Authenticate: Basic", b"Upgrade: h2c", b"Trailer: X-A"), b"hello", (b"x-nom", b"keep-alive", b"proxy-authenticate", b"upgrade")),
    "nominates our fields": (ok(FIVE, b"Connection: X-Request-Id, Content-Length, Content-Type"), b"hello", ()),
    "nominates the length": (ok(FIVE, b"Connection: Content-Length"), b"hello", ()),
    "an id of its own": (ok(FIVE, b"X-Request-Id: evil", b"x-request-id: evil"), b"hello", ()),
    "a server": (ok(FIVE, b"Server: secret/1.0", b"X-Powered-By: secret", b"x_powered_by: secret"), b"hello", (b"server", b"x-powered-by", b"x_powered_by")),
    "a bomb": (ok(FIVE, b"Content-Encoding: gzip"), b"hello", ()),
    "high bytes": (ok(FIVE, b"X-A: caf\xe9\xff"), b"hello", ()),
    "two cookies": (ok(FIVE, b"Set-Cookie: a=1", b"Set-Cookie: b=2"), b"hello", ()),
    "a body that looks like chunks": (ok(b"Content-Length: 15", body=CHUNKS), CHUNKS, ()),
    "an answer in the body": (ok(b"Content-Length: %d" % len(EVIL_ANSWER), body=EVIL_ANSWER), EVIL_ANSWER, ()),
}
"""Nothing wrong with them, or nothing that matters: passed on, and the connection is used again."""


LIES = [
    *(
        Lie(name=f"broken: {name}", sends=sends, script=script, status=frozenset({200, 502, 504}), cut=True)
        for name, (sends, script) in _CUT.items()
    ),
    *(Lie(name=f"too much: {name}", sends=sends, status=OK, body=body, script=SPOILS, apart=True) for name, (sends, body) in _MORE.items()),
    *(
        Lie(name=f"later: {name}", sends=ok(FIVE), status=OK, body=b"hello", script=replace(SPOILS, late=late), apart=True)
        for name, late in _LATER.items()
    ),
    *(
        Lie(name=f"true: {name}", sends=sends, status=OK, body=body, lacks=lacks, script=KEEPS)
        for name, (sends, body, lacks) in _TRUE.items()
    ),
]
