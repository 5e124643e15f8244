"""Answers without a body that have one, interim answers, answers without end, and early ones."""

from dataclasses import replace

from hostile.case import OK
from hostile.lies.lie import Lie
from hostile.lies.sending import CHUNKED, CHUNKS, CLOSES, EARLY, EVIL_ANSWER, FIVE, KEEPS, SPOILS, answer, ok

# fmt: off

_UPLOAD = (b"Content-Length: 5",)
_INTERIMS = b"".join(b"HTTP/1.1 %d X\r\nX-N: %d\r\n\r\n" % (status, n) for n, status in enumerate([100, 102, 103, 199] * 5))
_REDIRECT = answer(b"302 Found", b"Location: http://127.0.0.1:1/admin", b"Content-Length: 0")
LIES = [
    Lie(name="204 with a body", sends=answer(b"204 No Content", FIVE, body=b"hello"), status=frozenset({204}), body=b"", apart=True),
    Lie(name="204 with chunks", sends=answer(b"204 No Content", CHUNKED, body=CHUNKS), status=frozenset({204, 502}), body=None, apart=True),
    Lie(name="204 with another answer", sends=answer(b"204 No Content") + EVIL_ANSWER, status=frozenset({204}), body=b"", apart=True),
    Lie(name="304 with a body", sends=answer(b"304 Not Modified", FIVE, body=b"hello"), status=frozenset({304}), body=b"", apart=True),
    Lie(name="304 with a length alone", sends=answer(b"304 Not Modified", b"Content-Length: 5000"), status=frozenset({304}), body=b"", script=KEEPS),
    Lie(name="304 with another answer", sends=answer(b"304 Not Modified") + EVIL_ANSWER, status=frozenset({304}), body=b"", apart=True),
    Lie(name="205 with a body", sends=answer(b"205 Reset Content", FIVE, body=b"hello"), status=frozenset({205}), body=b"hello", script=KEEPS),
    Lie(name="HEAD with a body", sends=ok(FIVE), method=b"HEAD", status=OK, body=b"", apart=True),
    Lie(name="HEAD with chunks", sends=ok(CHUNKED, body=CHUNKS), method=b"HEAD", status=OK, body=b"", apart=True),
    Lie(name="HEAD with another answer", sends=ok(FIVE, body=b"") + EVIL_ANSWER, method=b"HEAD", status=OK, body=b"", apart=True),
    Lie(name="HEAD with a huge length", sends=ok(b"Content-Length: 999999999999", body=b""), method=b"HEAD", status=OK, body=b"", script=KEEPS),
    Lie(name="HEAD broken", sends=ok(FIVE, b"Content-Length: 6", body=b""), method=b"HEAD"),
    Lie(name="interim answers", sends=_INTERIMS + ok(FIVE), status=OK, body=b"hello", script=KEEPS),
    Lie(name="interim answer with a length", sends=b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n" + ok(FIVE), status=frozenset({200, 502}), body=None, script=KEEPS),
    Lie(name="interim answer with chunks", sends=b"HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n" + ok(FIVE), status=frozenset({200, 502}), body=None, script=KEEPS),
    Lie(name="interim answer for an upgrade", sends=b"HTTP/1.1 103 Early Hints\r\nConnection: X-A\r\nX-A: 1\r\nUpgrade: foo\r\n\r\n" + ok(FIVE), status=OK, body=b"hello", script=KEEPS),
    Lie(name="5000 interim answers", sends=b"HTTP/1.1 100 Continue\r\n\r\n" * 5000 + ok(FIVE), status=frozenset({502, 504})),
    Lie(name="interim answers to HTTP/1.0", sends=b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + ok(FIVE), status=OK, body=b"hello", version=b"HTTP/1.0", script=KEEPS),
    Lie(name="chunks to HTTP/1.0", sends=ok(CHUNKED, body=CHUNKS), status=OK, body=b"hello", version=b"HTTP/1.0", script=KEEPS),
    Lie(name="interim answers without end", sends=b"", script=replace(SPOILS, endless=b"HTTP/1.1 102 Processing\r\n\r\n" * 100)),
    Lie(name="a head without end", sends=b"HTTP/1.1 200 OK\r\n", script=replace(SPOILS, endless=b"X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n" * 100)),
    Lie(name="a line without end", sends=b"HTTP/1.1 200 OK\r\nX-A: ", script=replace(SPOILS, endless=b"a" * 4096)),
    Lie(name="a status line without end", sends=b"HTTP/1.1 200 ", script=replace(SPOILS, endless=b"a" * 4096)),
    Lie(name="empty lines without end", sends=b"", script=replace(SPOILS, endless=b"\r\n" * 2048)),
    Lie(name="trailers without end", sends=ok(CHUNKED, body=b"5\r\nhello\r\n0\r\n"), cut=True, status=frozenset({200, 502}), script=replace(SPOILS, endless=b"X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n" * 100)),
    Lie(name="an extension without end", sends=ok(CHUNKED, body=b"5\r\nhello\r\n5;"), cut=True, status=frozenset({200, 502}), script=replace(SPOILS, endless=b"a" * 4096)),
    Lie(name="to the end", sends=ok(b"Connection: close"), status=OK, body=b"hello", script=CLOSES),
    Lie(name="to the end, of HTTP/1.0", sends=b"HTTP/1.0 200 OK\r\n\r\nhello", status=OK, body=b"hello", script=CLOSES),
    Lie(name="to the end, with another answer", sends=ok(b"Connection: close") + EVIL_ANSWER, status=OK, body=b"hello" + EVIL_ANSWER, script=CLOSES),
    Lie(name="HTTP/1.0 and more", sends=b"HTTP/1.0 200 OK\r\n" + FIVE + b"\r\n\r\nhello" + EVIL_ANSWER, status=OK, body=b"hello", apart=True),
    Lie(name="close and more", sends=ok(FIVE, b"Connection: close") + EVIL_ANSWER, status=OK, body=b"hello", apart=True),
    Lie(name="redirect inside", sends=_REDIRECT, status=frozenset({302}), body=b"", has=(b"Location: http://127.0.0.1:1/admin",), script=KEEPS),
    Lie(name="redirect without a scheme", sends=_REDIRECT.replace(b"http://127.0.0.1:1", b"//evil.example"), status=frozenset({302}), body=b"", has=(b"Location: //evil.example/admin",), script=KEEPS),
    Lie(name="a challenge of a proxy", sends=answer(b"407 Proxy Authentication Required", b"Proxy-Authenticate: Basic", b"Content-Length: 0"), status=frozenset({407}), body=b"", lacks=(b"proxy-authenticate",), script=KEEPS),
    Lie(name="426 with an upgrade", sends=answer(b"426 Upgrade Required", b"Connection: Upgrade", b"Upgrade: TLS/1.0", b"Content-Length: 0"), status=frozenset({426}), body=b"", has=(b"Upgrade: TLS/1.0",), script=KEEPS),
    Lie(name="100 in place of an answer to an upload", sends=b"HTTP/1.1 100 Continue\r\n\r\n", method=b"POST", lines=_UPLOAD, upload=b"hello", script=CLOSES),
    Lie(name="a broken answer to an upload", sends=ok(FIVE, b"Content-Length: 6"), method=b"POST", lines=_UPLOAD, upload=b"hello"),
    Lie(name="an answer before the upload", sends=answer(b"413 Content Too Large", b"Content-Length: 0", b"Connection: close"), method=b"POST", lines=_UPLOAD, upload=b"hello", status=frozenset({413}), body=b"", script=replace(EARLY, then="close")),
    Lie(name="a broken answer before the upload", sends=b"\x00\r\n\r\n", method=b"POST", lines=_UPLOAD, upload=b"hello", script=replace(EARLY, then="close")),
    Lie(name="an answer a byte at a time", sends=ok(FIVE), status=OK, body=b"hello", script=replace(KEEPS, pause=0.005)),
]
