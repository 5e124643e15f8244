"""Routes that the gateway answers itself, upstreams with odd paths, and paths that are changed on the way."""

from hostile.case import BAD, OK, TOKEN, Case, ask, post, statuses

# fmt: off

GROUP = "reply"
_MOVED = b"location: /open/x"
_ADMIN = ask(b"/admin/x")

_ODD = {
    "an encoded slash": b"/odd/a%2fb",
    "an encoded slash in capitals": b"/odd/a%2Fb",
    "two slashes": b"/odd//x",
    "two slashes at the end": b"/odd/x//",
    "a semicolon": b"/odd/a;b=c",
    "a backslash": b"/odd/a\\b",
    "an encoded backslash": b"/odd/a%5cb",
    "everything": b"/odd/a%2fb//c;d\\e%5Cf",
}

_STILL_AMBIGUOUS = {
    "dot-dot": b"/odd/../admin",
    "dot-dot and an encoded slash": b"/odd/..%2fadmin",
    "an encoded slash and dot-dot": b"/odd/a%2f..%2f..%2fadmin",
    "encoded dots and slash": b"/odd/%2e%2e%2fadmin",
    "dot-dot and a semicolon": b"/odd/..;/admin",
    "dot-dot and a parameter": b"/odd/..;x=y/admin",
    "encoded dots and a semicolon": b"/odd/%2e%2e;/admin",
    "dot-dot and a backslash": b"/odd/..\\admin",
    "dot-dot and an encoded backslash": b"/odd/..%5cadmin",
    "dot-dot and two slashes": b"/odd//..//admin",
    "a dot and a semicolon": b"/odd/.;/x",
    "a slash encoded twice": b"/odd/a%252fb",
    "NUL": b"/odd/%00",
    "invalid UTF-8": b"/odd/%ff",
    "an overlong slash": b"/odd/..%c0%afadmin",
    "two slashes first": b"//odd/x",
    "two slashes and admin": b"//admin",
    "a slash encoded in the matched part": b"/odd%2fx",
    "a semicolon in the matched part": b"/odd;x/y",
    "admin with a semicolon": b"/admin;x/y",
    "admin with an encoded slash": b"/admin%2fx",
    "a public path with an encoded slash": b"/open/a%2fb",
    "a semicolon where only slashes are let through": b"/slashed/a;b",
    "two slashes where only encoded ones are": b"/slashed//x",
    "a backslash where only slashes are": b"/slashed/a%5cb",
    "an encoded slash and a semicolon where only slashes are": b"/slashed/a%2fb;c",
}

_REWRITTEN = {
    "a prefix": (b"/stripped/x", b"/inner/x"),
    "a prefix and a query": (b"/stripped/x?a=/stripped/y", b"/inner/x?a=/stripped/y"),
    "a prefix twice": (b"/stripped/stripped/x", b"/inner/stripped/x"),
    "nothing behind the prefix": (b"/stripped/", b"/inner/"),
    "a query alone": (b"/stripped/?", b"/inner/?"),
    "escapes": (b"/stripped/%41%c3%a9", b"/inner/%41%c3%a9"),
    "a bare prefix": (b"/bare/x", b"/x"),
    "nothing behind a bare prefix": (b"/bare/", b"/"),
    "a path like a host": (b"/bare/evil.example", b"/evil.example"),
}

CASES = [
    Case(group=GROUP, name="moved", data=ask(b"/moved/x"), verdicts=statuses(308), ends=False, bodies=(), tells=(_MOVED,)),
    Case(group=GROUP, name="moved, another Host", data=ask(b"/moved/x", b"X-Forwarded-Host: evil.example", host=b"Host: evil.example"), verdicts=statuses(308), ends=False, bodies=(), tells=(_MOVED,)),
    Case(group=GROUP, name="moved, a URL in the path", data=ask(b"/moved/evil.example"), verdicts=statuses(308), ends=False, bodies=(), tells=(_MOVED,)),
    Case(group=GROUP, name="moved, a URL in the query", data=ask(b"/moved/x?https://evil.example"), verdicts=statuses(308), ends=False, bodies=(), tells=(_MOVED,)),
    Case(group=GROUP, name="moved, HEAD", data=ask(b"/moved/x", method=b"HEAD"), verdicts=statuses(308), ends=False, to_head=True, bodies=(), tells=(_MOVED,)),
    Case(group=GROUP, name="moved, a body", data=ask(b"/moved/x", b"Content-Length: %d" % len(_ADMIN), body=_ADMIN), verdicts=statuses(308), ends=None, bodies=()),
    Case(group=GROUP, name="moved, HTTP/1.0", data=ask(b"/moved/x", version=b"HTTP/1.0"), verdicts=statuses(308), alone=True, bodies=()),
    Case(group=GROUP, name="moved, WebSocket", data=ask(b"/moved/x", b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==") + _ADMIN, verdicts=statuses(308, 426, 400), bodies=()),
    Case(group=GROUP, name="closed", data=ask(b"/closed/x"), verdicts=statuses(503), ends=False, bodies=()),
    Case(group=GROUP, name="closed, a body", data=post(b"Content-Length: %d" % len(_ADMIN), body=_ADMIN, target=b"/closed/x"), verdicts=statuses(503), ends=None, bodies=()),
    Case(group=GROUP, name="closed, chunks", data=post(b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n", target=b"/closed/x"), verdicts=statuses(503), ends=None, bodies=()),
    Case(group=GROUP, name="closed, broken chunks", data=post(b"Transfer-Encoding: chunked", body=b"zz\r\n" + _ADMIN, target=b"/closed/x"), verdicts=statuses(503, 400), bodies=()),
    Case(group=GROUP, name="closed, an expectation", data=post(b"Expect: 100-continue", b"Content-Length: 5", body=b"hello", target=b"/closed/x"), verdicts=statuses(503), ends=None, bodies=()),
    Case(group=GROUP, name="guarded, nobody", data=ask(b"/closed-guarded/x"), verdicts=statuses(401), ends=False, bodies=()),
    Case(group=GROUP, name="guarded, somebody", data=ask(b"/closed-guarded/x", b"Authorization: Bearer " + TOKEN), verdicts=(OK,), ends=False, bodies=()),
    *(Case(group="odd path", name=name, data=ask(target), verdicts=(OK,), ends=False, bodies=(b"",)) for name, target in _ODD.items()),
    Case(group="odd path", name="an encoded slash alone", data=ask(b"/slashed/a%2fb"), verdicts=(OK,), ends=False, bodies=(b"",)),
    *(Case(group="odd path", name=f"still ambiguous: {name}", data=ask(target), verdicts=(BAD,), ends=None, bodies=()) for name, target in _STILL_AMBIGUOUS.items()),
    *(
        Case(group="rewrite", name=name, data=ask(target), verdicts=(OK,), ends=False, targets=(becomes,), bodies=(b"",))
        for name, (target, becomes) in _REWRITTEN.items()
    ),
    Case(group="rewrite", name="an encoded prefix", data=ask(b"/b%61re/x"), verdicts=statuses(200, 400, 404), ends=None, targets=(b"/x", b"/b%61re/x")),
    Case(group="rewrite", name="a prefix of a prefix", data=ask(b"/strippedx/x"), verdicts=statuses(404), ends=False, bodies=()),
    Case(group="rewrite", name="two slashes behind the prefix", data=ask(b"/bare//evil.example/x"), verdicts=(BAD,), ends=None, bodies=()),
    Case(group="rewrite", name="dots behind the prefix", data=ask(b"/bare/../admin"), verdicts=(BAD,), ends=None, bodies=()),
    Case(group="rewrite", name="an encoded slash behind the prefix", data=ask(b"/bare/%2f/evil.example"), verdicts=(BAD,), ends=None, bodies=()),
    Case(group="rewrite", name="a backslash behind the prefix", data=ask(b"/bare/\\evil.example"), verdicts=(BAD,), ends=None, bodies=()),
]
