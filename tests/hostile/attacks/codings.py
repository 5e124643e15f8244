"""Transfer-Encoding: exactly `chunked`, or nothing is read (RFC 9112 sections 6.1 and 7)."""

from hostile.case import OK, Case, ask, post, statuses

# fmt: off

GROUP = "coding"
NO = statuses(400, 501)
_CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"
_SMUGGLED = b"GET /admin HTTP/1.1\r\nHost: localhost\r\n\r\n"

_REFUSED = {
    "empty": (b"Transfer-Encoding:",),
    "empty and a length": (b"Transfer-Encoding:", b"Content-Length: 5"),
    "a space": (b"Transfer-Encoding:  ",),
    "an empty start of a list": (b"Transfer-Encoding: ,chunked",),
    "an empty end of a list": (b"Transfer-Encoding: chunked,",),
    "an empty middle of a list": (b"Transfer-Encoding: chunked,,chunked",),
    "chunked twice": (b"Transfer-Encoding: chunked, chunked",),
    "chunked twice, two lines": (b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "chunked twice, other case": (b"Transfer-Encoding: chunked", b"transfer-encoding: CHUNKED"),
    "identity": (b"Transfer-Encoding: identity",),
    "identity and a length": (b"Transfer-Encoding: identity", b"Content-Length: 5"),
    "identity, chunked": (b"Transfer-Encoding: identity, chunked",),
    "chunked, identity": (b"Transfer-Encoding: chunked, identity",),
    "identity, then chunked, two lines": (b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked"),
    "chunked, then identity, two lines": (b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"),
    "gzip": (b"Transfer-Encoding: gzip",),
    "gzip, chunked": (b"Transfer-Encoding: gzip, chunked",),
    "chunked, gzip": (b"Transfer-Encoding: chunked, gzip",),
    "deflate": (b"Transfer-Encoding: deflate",),
    "an unknown one": (b"Transfer-Encoding: cow",),
    "an unknown one, chunked": (b"Transfer-Encoding: cow, chunked",),
    "an unknown one, then chunked, two lines": (b"Transfer-Encoding: cow", b"Transfer-Encoding: chunked"),
    "a parameter": (b"Transfer-Encoding: chunked;q=1",),
    "a parameter and a space": (b"Transfer-Encoding: chunked ; a=b",),
    "an x": (b"Transfer-Encoding: xchunked",),
    "an x and a dash": (b"Transfer-Encoding: x-chunked",),
    "too long": (b"Transfer-Encoding: chunkedd",),
    "too short": (b"Transfer-Encoding: chunke",),
    "quotes": (b'Transfer-Encoding: "chunked"',),
    "apostrophes": (b"Transfer-Encoding: 'chunked'",),
    "a comment": (b"Transfer-Encoding: chunked (x)",),
    "brackets": (b"Transfer-Encoding: [chunked]",),
    "a semicolon": (b"Transfer-Encoding: chunked;",),
    "a colon": (b"Transfer-Encoding:: chunked",),
    "two words": (b"Transfer-Encoding: chunked chunked",),
    "a space inside": (b"Transfer-Encoding: chu nked",),
    "a vertical tab before": (b"Transfer-Encoding: \x0bchunked",),
    "a vertical tab behind": (b"Transfer-Encoding: chunked\x0b",),
    "a form feed": (b"Transfer-Encoding: \x0cchunked",),
    "a NUL": (b"Transfer-Encoding: chunked\x00",),
    "a carriage return": (b"Transfer-Encoding: chunked\r",),
    "a carriage return before": (b"Transfer-Encoding: \rchunked",),
    "a no-break space before": (b"Transfer-Encoding: \xa0chunked",),
    "a no-break space behind": (b"Transfer-Encoding: chunked\xa0",),
    "a no-break space of UTF-8": ("Transfer-Encoding: \u00a0chunked".encode(),),
    "a Kelvin sign": ("Transfer-Encoding: chun\u212aed".encode(),),
    "a byte order mark": ("Transfer-Encoding: \ufeffchunked".encode(),),
    "a delete": (b"Transfer-Encoding: chunked\x7f",),
    "space before the colon": (b"Transfer-Encoding : chunked",),
    "tab before the colon": (b"Transfer-Encoding\t: chunked",),
    "space before the name": (b" Transfer-Encoding: chunked",),
    "folded": (b"Transfer-Encoding:\r\n chunked",),
    "folded behind": (b"Transfer-Encoding: chunked\r\n x",),
    "a line feed before": (b"X: y\nTransfer-Encoding: chunked",),
    "a line feed inside": (b"Transfer-Encoding: identity\nTransfer-Encoding: chunked",),
    "a carriage return and itself": (b"X: y\rTransfer-Encoding: chunked",),
    "a length before": (b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    "a length behind": (b"Transfer-Encoding: chunked", b"Content-Length: 4"),
    "an unknown one and a length": (b"Content-Length: 5", b"Transfer-Encoding: xchunked"),
    "empty and chunked, two lines": (b"Transfer-Encoding:", b"Transfer-Encoding: chunked"),
}

_SERVED = {
    "plain": (b"Transfer-Encoding: chunked",),
    "capitals": (b"Transfer-Encoding: CHUNKED",),
    "mixed case": (b"tRANSFER-eNCODING: ChUnKeD",),
    "spaces and tabs before": (b"Transfer-Encoding: \t chunked",),
    "by an underscore besides": (b"Transfer-Encoding: chunked", b"Transfer_Encoding: identity"),
    "nominated for removal": (b"Connection: Transfer-Encoding", b"Transfer-Encoding: chunked"),
    "TE besides": (b"Transfer-Encoding: chunked", b"TE: chunked, gzip"),
    "a length by an underscore": (b"Transfer-Encoding: chunked", b"Content_Length: 3"),
    "an Upgrade field alone": (b"Transfer-Encoding: chunked", b"X-Upgrade: h2c"),
}

CASES = [
    *(Case(group=GROUP, name=name, data=post(*lines, body=_CHUNKS), verdicts=NO) for name, lines in _REFUSED.items()),
    *(
        Case(group=GROUP, name=f"{name}, with a GET", data=ask(b"/open/x", *lines, body=_CHUNKS), verdicts=NO)
        for name, lines in _REFUSED.items()
        if name in {"empty", "identity", "gzip, chunked", "chunked twice", "a length before", "xchunked", "a NUL"}
    ),
    *(
        Case(group=GROUP, name=name, data=post(*lines, body=_CHUNKS), verdicts=(OK,), ends=False, may_stop=True, bodies=(b"hello",), has=(b"Transfer-Encoding: chunked",), lacks=(b"content-length", b"te"))
        for name, lines in _SERVED.items()
    ),
    Case(group=GROUP, name="of a GET", data=ask(b"/open/x", b"Transfer-Encoding: chunked", body=_CHUNKS), verdicts=(OK,), ends=False, may_stop=True, bodies=(b"hello",)),
    Case(group=GROUP, name="of a HEAD", data=ask(b"/open/x", b"Transfer-Encoding: chunked", method=b"HEAD", body=_CHUNKS), verdicts=(OK,), ends=False, may_stop=True, bodies=(b"hello",), to_head=True),
    Case(group=GROUP, name="with a request in a chunk", data=post(b"Transfer-Encoding: chunked", body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(_SMUGGLED), _SMUGGLED)), verdicts=(OK,), ends=False, may_stop=True, bodies=(_SMUGGLED,)),
    Case(group=GROUP, name="with a last chunk in a chunk", data=post(b"Transfer-Encoding: chunked", body=b"5\r\n0\r\n\r\n\r\n0\r\n\r\n"), verdicts=(OK,), ends=False, may_stop=True, bodies=(b"0\r\n\r\n",)),
    Case(group=GROUP, name="of a refused POST with a request in a chunk", data=post(b"Transfer-Encoding: chunked", target=b"/admin/x", body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(_SMUGGLED), _SMUGGLED)), verdicts=statuses(401), ends=None, bodies=()),
    Case(group=GROUP, name="spaces and tabs behind", data=post(b"Transfer-Encoding: chunked \t ", body=_CHUNKS), verdicts=statuses(200, 400, 501), ends=None),
    Case(group=GROUP, name="HTTP/1.0", data=post(b"Transfer-Encoding: chunked", body=_CHUNKS, version=b"HTTP/1.0"), verdicts=NO),
    Case(group=GROUP, name="HTTP/1.0 kept alive", data=post(b"Transfer-Encoding: chunked", b"Connection: keep-alive", body=_CHUNKS, version=b"HTTP/1.0"), verdicts=NO),
    Case(group=GROUP, name="HTTP/1.0 and a length", data=post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"hello", version=b"HTTP/1.0"), verdicts=NO),
    Case(group=GROUP, name="a length that would hide a request", data=post(b"Content-Length: 6", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + _SMUGGLED), verdicts=NO),
    Case(group=GROUP, name="a coding that would hide a request", data=post(b"Transfer-Encoding: chunked", b"Content-Length: 4", body=b"27\r\n" + _SMUGGLED + b"\r\n0\r\n\r\n"), verdicts=NO),
    Case(group=GROUP, name="by an underscore alone", data=post(b"Transfer_Encoding: chunked", b"Content-Length: 5", body=b"hello"), verdicts=(OK,), ends=False, bodies=(b"hello",), lacks=(b"transfer_encoding", b"transfer-encoding")),
    Case(group=GROUP, name="by a dot alone", data=post(b"Transfer.Encoding: chunked", b"Content-Length: 5", body=b"hello"), verdicts=(OK,), ends=False, bodies=(b"hello",), lacks=(b"transfer.encoding",)),
    Case(group=GROUP, name="Content-Encoding is another matter", data=post(b"Content-Encoding: chunked", b"Content-Length: 5", body=b"hello"), verdicts=(OK,), ends=False, bodies=(b"hello",), has=(b"Content-Encoding: chunked",)),
    Case(group=GROUP, name="TE is another matter", data=post(b"TE: chunked", b"Content-Length: 5", body=b"hello"), verdicts=(OK,), ends=False, bodies=(b"hello",), lacks=(b"te",)),
]
