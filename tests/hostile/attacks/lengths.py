"""Content-Length: one plain number, or nothing is read (RFC 9112 section 6.3)."""

from hostile.case import BAD, OK, Case, ask, post, statuses

# fmt: off

GROUP = "length"
CUT = statuses(0, 400)
"""The client left in the middle; nobody is there to be answered."""

_REFUSED = {
    "twice the same": (b"Content-Length: 5", b"Content-Length: 5"),
    "twice, different": (b"Content-Length: 5", b"Content-Length: 50"),
    "twice, other case": (b"Content-Length: 5", b"content-length: 5"),
    "twice, far apart": (b"Content-Length: 5", b"X-A: b", b"Accept: */*", b"CONTENT-LENGTH: 0"),
    "twice, the second empty": (b"Content-Length: 5", b"Content-Length:"),
    "thrice": (b"Content-Length: 5", b"Content-Length: 5", b"Content-Length: 5"),
    "a list of the same": (b"Content-Length: 5, 5",),
    "a list": (b"Content-Length: 5,50",),
    "a list with an empty end": (b"Content-Length: 5,",),
    "a list with an empty start": (b"Content-Length: ,5",),
    "empty": (b"Content-Length:",),
    "a plus": (b"Content-Length: +5",),
    "a minus": (b"Content-Length: -5",),
    "minus zero": (b"Content-Length: -0",),
    "minus one": (b"Content-Length: -1",),
    "hex": (b"Content-Length: 0x5",),
    "hex without mark": (b"Content-Length: 5f",),
    "octal": (b"Content-Length: 0o5",),
    "an underscore": (b"Content-Length: 0_5",),
    "two numbers": (b"Content-Length: 5 5",),
    "two numbers and a tab": (b"Content-Length: 5\t5",),
    "a number and a word": (b"Content-Length: 5 bytes",),
    "a fraction": (b"Content-Length: 5.0",),
    "an exponent": (b"Content-Length: 5e0",),
    "a semicolon": (b"Content-Length: 5;",),
    "quotes": (b'Content-Length: "5"',),
    "apostrophes": (b"Content-Length: '5'",),
    "a word": (b"Content-Length: five",),
    "fullwidth digits": ("Content-Length: ５".encode(),),
    "Arabic digits": ("Content-Length: ٥".encode(),),
    "a superscript": ("Content-Length: ⁵".encode(),),
    "a superscript of Latin-1": (b"Content-Length: \xb2",),
    "a digit and a no-break space": (b"Content-Length: 5\xa0",),
    "a no-break space and a digit": (b"Content-Length: \xa05",),
    "a digit and a next line": (b"Content-Length: 5\x85",),
    "a vertical tab": (b"Content-Length: \x0b5",),
    "a form feed": (b"Content-Length: 5\x0c",),
    "a NUL": (b"Content-Length: 5\x00",),
    "a carriage return": (b"Content-Length: 5\r",),
    "space before the colon": (b"Content-Length : 5",),
    "folded": (b"Content-Length:\r\n 5",),
    "2^63": (b"Content-Length: 9223372036854775808",),
    "2^64 - 1": (b"Content-Length: 18446744073709551615",),
    "2^64": (b"Content-Length: 18446744073709551616",),
    "2^64 + 5": (b"Content-Length: 18446744073709551621",),
    "2^65": (b"Content-Length: 36893488147419103232",),
    "10^30": (b"Content-Length: 1000000000000000000000000000000",),
    "20 nines": (b"Content-Length: 99999999999999999999",),
    "5000 zeros": (b"Content-Length: " + b"0" * 5000,),
    "5000 zeros and a five": (b"Content-Length: " + b"0" * 5000 + b"5",),
    "with a coding": (b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    "with a coding before": (b"Transfer-Encoding: chunked", b"Content-Length: 5"),
    "zero with a coding": (b"Content-Length: 0", b"Transfer-Encoding: chunked"),
    "with a coding, other case": (b"content-length: 5", b"TRANSFER-ENCODING: Chunked"),
    "nominated for removal, twice": (b"Connection: Content-Length", b"Content-Length: 5", b"Content-Length: 6"),
}

_SMUGGLED = b"GET /admin HTTP/1.1\r\nHost: localhost\r\n\r\n"

CASES = [
    *(
        Case(
            group=GROUP,
            name=name,
            data=post(*lines, body=b"0\r\n\r\n" if b"coding" in name.encode() else b"hello"),
            verdicts=statuses(400, 413, 501) if len(lines[0]) > 5000 else (BAD,),
        )
        for name, lines in _REFUSED.items()
    ),
    *(
        Case(group=GROUP, name=f"{name}, with a GET", data=ask(b"/open/x", *lines, body=b"hello"))
        for name, lines in _REFUSED.items()
        if name in {"twice, different", "a plus", "a minus", "hex", "empty", "a list", "2^64 - 1", "with a coding"}
    ),
    *(
        Case(group=GROUP, name=f"{name}, protected", data=post(*lines, body=b"hello", target=b"/admin/x"))
        for name, lines in _REFUSED.items()
        if name in {"twice, different", "2^64 - 1", "with a coding before"}
    ),
    Case(group=GROUP, name="plain", data=post(b"Content-Length: 5", body=b"hello"), verdicts=(OK,), ends=False, bodies=(b"hello",), has=(b"Content-Length: 5",)),
    Case(group=GROUP, name="zero", data=post(b"Content-Length: 0"), verdicts=(OK,), ends=False, bodies=(b"",), has=(b"Content-Length: 0",)),
    Case(group=GROUP, name="none", data=post(), verdicts=(OK,), ends=False, bodies=(b"",), lacks=(b"content-length", b"transfer-encoding")),
    Case(group=GROUP, name="spaces around", data=post(b"Content-Length: \t 5 \t ", body=b"hello"), verdicts=(OK,), ends=False, bodies=(b"hello",), has=(b"Content-Length: 5",)),
    Case(group=GROUP, name="leading zeros", data=post(b"Content-Length: 0005", body=b"hello"), verdicts=statuses(200, 400), ends=None),
    Case(group=GROUP, name="of a GET", data=ask(b"/open/x", b"Content-Length: 5", body=b"hello"), verdicts=(OK,), ends=False, bodies=(b"hello",), has=(b"Content-Length: 5",)),
    Case(group=GROUP, name="of a HEAD", data=ask(b"/open/x", b"Content-Length: 5", method=b"HEAD", body=b"hello"), verdicts=(OK,), ends=False, bodies=(b"hello",), to_head=True),
    Case(group=GROUP, name="of an OPTIONS", data=ask(b"/open/x", b"Content-Length: 5", method=b"OPTIONS", body=b"hello"), verdicts=(OK,), ends=False, bodies=(b"hello",)),
    Case(group=GROUP, name="of an OPTIONS for the server", data=ask(b"*", b"Content-Length: 5", method=b"OPTIONS", body=b"hello"), verdicts=statuses(204, 400), ends=None, bodies=()),
    Case(group=GROUP, name="of a DELETE with a request in its body", data=ask(b"/open/x", b"Content-Length: %d" % len(_SMUGGLED), method=b"DELETE", body=_SMUGGLED), verdicts=(OK,), ends=False, bodies=(_SMUGGLED,)),
    Case(group=GROUP, name="of a GET with a request in its body", data=ask(b"/open/x", b"Content-Length: %d" % len(_SMUGGLED), body=_SMUGGLED), verdicts=(OK,), ends=False, bodies=(_SMUGGLED,)),
    Case(group=GROUP, name="of a refused POST with a request in its body", data=post(b"Content-Length: %d" % len(_SMUGGLED), body=_SMUGGLED, target=b"/admin/x"), verdicts=statuses(401), ends=None, bodies=()),
    Case(group=GROUP, name="of a refused GET with a request in its body", data=ask(b"/nowhere", b"Content-Length: %d" % len(_SMUGGLED), body=_SMUGGLED), verdicts=statuses(404), ends=None, bodies=()),
    Case(group=GROUP, name="of an ambiguous path with a request in its body", data=post(b"Content-Length: %d" % len(_SMUGGLED), body=_SMUGGLED, target=b"/open/../x"), verdicts=(BAD,), ends=None, bodies=()),
    Case(group=GROUP, name="shorter than what comes", data=post(b"Content-Length: 2", body=b"hello" + _SMUGGLED), verdicts=(OK, frozenset({400, 501})), bodies=(b"he",)),
    Case(group=GROUP, name="shorter, and a request comes", data=post(b"Content-Length: 2", body=b"he" + _SMUGGLED), verdicts=(OK, frozenset({401})), ends=False, bodies=(b"he",)),
    Case(group=GROUP, name="longer than what comes", data=post(b"Content-Length: 50", body=b"hello"), verdicts=CUT, hangs_up=True, may_begin=True),
    Case(group=GROUP, name="longer than what comes, protected", data=post(b"Content-Length: 50", body=b"hello", target=b"/admin/x"), verdicts=statuses(401), hangs_up=True, bodies=()),
    Case(group=GROUP, name="longer than allowed", data=post(b"Content-Length: 1025", target=b"/small"), verdicts=statuses(413), alone=True, bodies=()),
    Case(group=GROUP, name="just allowed", data=post(b"Content-Length: 1024", body=b"x" * 1024, target=b"/small"), verdicts=(OK,), ends=False, bodies=(b"x" * 1024,)),
    Case(group=GROUP, name="18 nines", data=post(b"Content-Length: " + b"9" * 18), verdicts=statuses(400, 413), alone=True, bodies=()),
    Case(group=GROUP, name="10 GiB of a GET", data=ask(b"/open/x", b"Content-Length: 10737418240"), verdicts=statuses(413), alone=True, bodies=()),
    Case(group=GROUP, name="by an underscore", data=post(b"Content_Length: 50"), verdicts=(OK,), ends=False, bodies=(b"",), lacks=(b"content_length",)),
    Case(group=GROUP, name="by a dot", data=post(b"Content.Length: 50"), verdicts=(OK,), ends=False, bodies=(b"",), lacks=(b"content.length",)),
    Case(group=GROUP, name="by an underscore beside the real one", data=post(b"Content_Length: 50", b"Content-Length: 5", body=b"hello"), verdicts=(OK,), ends=False, bodies=(b"hello",), lacks=(b"content_length",)),
    Case(group=GROUP, name="nominated for removal", data=post(b"Connection: Content-Length", b"Content-Length: 5", body=b"hello"), verdicts=(OK,), ends=False, bodies=(b"hello",), has=(b"Content-Length: 5",)),
    Case(group=GROUP, name="nominated for removal, with a request in its body", data=post(b"Connection: close, Content-Length", b"Content-Length: %d" % len(_SMUGGLED), body=_SMUGGLED), verdicts=(OK,), alone=True, bodies=(_SMUGGLED,)),
    Case(group=GROUP, name="HTTP/1.0", data=post(b"Content-Length: 5", body=b"hello", version=b"HTTP/1.0"), verdicts=(OK,), alone=True, bodies=(b"hello",)),
    Case(group=GROUP, name="HTTP/1.0 kept alive", data=post(b"Content-Length: 5", b"Connection: keep-alive", body=b"hello", version=b"HTTP/1.0"), verdicts=(OK,), ends=False, bodies=(b"hello",)),
    Case(group=GROUP, name="HTTP/1.0 twice", data=post(b"Content-Length: 5", b"Content-Length: 6", body=b"hello", version=b"HTTP/1.0")),
    Case(group=GROUP, name="an old browser's line end behind the body", data=post(b"Content-Length: 5", body=b"hello\r\n"), verdicts=(OK,), ends=False, bodies=(b"hello",)),
]
