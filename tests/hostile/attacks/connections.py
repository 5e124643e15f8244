"""Connection handling: options of one hop, upgrades, expectations, CONNECT, and what comes behind them."""

from hostile.case import BAD, HOST, OK, SECRET, Case, ask, post, statuses

# fmt: off

GROUP = "connection"

_NOMINATED = {
    "the id": b"X-Request-Id",
    "forwarding fields": b"X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host",
    "forwarding fields and close": b"close, X-Forwarded-For",
    "forwarding fields in capitals": b"X-FORWARDED-FOR, X-REQUEST-ID",
    "the identity": b"X-Gateway-Subject, X-Gateway-Assertion, X-Gateway-Roles",
    "Via": b"Via",
    "the trace": b"traceparent, tracestate",
    "Host": b"Host",
    "everything": b"Host, Content-Length, Transfer-Encoding, Connection, X-Request-Id, X-Forwarded-For, Via",
    "an empty option": b"",
    "commas": b",, ,",
    "keep-alive and close": b"keep-alive, close",
    "close and keep-alive": b"close, keep-alive",
    "close in capitals": b"CLOSE",
    "a parameter": b"close;x=1",
    "a quoted option": b'"close"',
    "a high byte": b"\xff, X-Request-Id",
    "a no-break space": b"\xa0X-Request-Id",
    "itself": b"Connection",
    "upgrade without a field": b"upgrade",
    "1000 options": b",".join(b"X-%d" % number for number in range(1000)),
}

_BARE_UPGRADES = {
    "h2c": b"h2c",
    "an unknown protocol": b"foo",
    "a list": b"foo, bar/2",
    "TLS": b"TLS/1.0",
    "HTTP/2.0": b"HTTP/2.0",
    "connect-udp": b"connect-udp",
    "empty": b"",
    "tcp": b"tcp",
}

_UPGRADE = b"Connection: Upgrade"
_WEBSOCKET = (
    _UPGRADE,
    b"Upgrade: websocket",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
_CLOSE = b"Connection: close"
_ADMIN = ask(b"/admin/x")

CASES = [
    *(
        Case(
            group=GROUP,
            name=f"nominates {name}",
            data=ask(b"/open/x", b"Connection: " + options, b"X-Nom: 1"),
            verdicts=statuses(200, 400) if b"close" in options.lower() else (OK,),
            ends=None,
        )
        for name, options in _NOMINATED.items()
    ),
    *(
        Case(group=GROUP, name=f"nominates {name}, alone", data=ask(b"/open/x", b"Connection: " + options), verdicts=(OK,), alone=True, has=(HOST,))
        for name, options in _NOMINATED.items()
        if b"close" in options.lower() and b";" not in options and b'"' not in options
    ),
    Case(group=GROUP, name="nominates a field", data=ask(b"/open/x", b"Connection: X-Nom, Accept", b"X-Nom: 1", b"x-nom: 2", b"Accept: */*", b"X-Other: 1"), verdicts=(OK,), ends=False, lacks=(b"x-nom", b"accept", b"connection"), has=(b"X-Other: 1",)),
    Case(group=GROUP, name="nominates in two lines", data=ask(b"/open/x", b"Connection: X-A", b"X-A: 1", b"connection: x-b", b"X-B: 1"), verdicts=(OK,), ends=False, lacks=(b"x-a", b"x-b", b"connection")),
    Case(group=GROUP, name="nominates a credential", data=ask(b"/guarded/x", b"Connection: Authorization", b"Authorization: Bearer %TOKEN%"), verdicts=statuses(200, 401), ends=False),
    Case(group=GROUP, name="nominates the assertion on a guarded route", data=ask(b"/named/x", b"Connection: X-Gateway-Subject, X-Gateway-Roles", b"Authorization: Bearer %TOKEN%"), verdicts=(OK,), ends=False, has=(b"X-Gateway-Roles: reader",)),
    Case(group=GROUP, name="nominates what a condition needs", data=ask(b"/blue/x", b"Connection: X-Tenant", b"X-Tenant: blue", b"Authorization: Bearer %TOKEN%"), verdicts=statuses(200, 403), ends=False),
    Case(group=GROUP, name="nominates what a rule denies", data=ask(b"/open/x", b"Connection: X-Deny", b"X-Deny: 1"), verdicts=statuses(403), ends=False, bodies=()),
    Case(group=GROUP, name="other fields of one hop", data=ask(b"/open/x", b"Keep-Alive: timeout=99999, max=99999", b"Proxy-Connection: keep-alive", b"Proxy-Authorization: Basic " + SECRET, b"Proxy-Authenticate: Basic", b"TE: gzip", b"Trailer: X-A", b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA", b"Connection: HTTP2-Settings"), verdicts=(OK,), ends=False, lacks=(b"keep-alive", b"proxy-connection", b"proxy-authorization", b"proxy-authenticate", b"te", b"trailer", b"http2-settings")),
    Case(group=GROUP, name="TE trailers", data=ask(b"/open/x", b"TE: gzip, trailers", b"Connection: TE"), verdicts=(OK,), ends=False, has=(b"TE: trailers", b"Connection: TE")),
    Case(group=GROUP, name="a request behind close", data=ask(b"/open/x", _CLOSE) + _ADMIN, verdicts=statuses(200, 400), ends=True),
    Case(group=GROUP, name="garbage behind close", data=ask(b"/open/x", _CLOSE) + b"\x00\x01\x02", verdicts=statuses(200, 400), ends=True),
    Case(group=GROUP, name="a request behind the end of HTTP/1.0", data=ask(b"/open/x", version=b"HTTP/1.0") + _ADMIN, verdicts=statuses(200, 400), ends=True),
    Case(group=GROUP, name="a request behind close with a body", data=post(_CLOSE, b"Content-Length: 5", body=b"hello") + _ADMIN, verdicts=statuses(200, 400), ends=True),
    Case(group=GROUP, name="HTTP/1.0 keep-alive", data=ask(b"/open/x", b"Connection: keep-alive", version=b"HTTP/1.0"), verdicts=(OK,), ends=False),
    Case(group=GROUP, name="HTTP/1.0 keep-alive by Proxy-Connection", data=ask(b"/open/x", b"Proxy-Connection: keep-alive", version=b"HTTP/1.0"), verdicts=statuses(200, 400), ends=None),
    Case(group=GROUP, name="HTTP/1.0 asks for a stream of chunks", data=ask(b"/open/x", b"TE: chunked", version=b"HTTP/1.0"), verdicts=(OK,), alone=True),
    Case(group=GROUP, name="two good, one bad, one good", data=ask() + ask() + ask(host=b"Host: a b") + ask(), verdicts=(OK, OK, BAD)),
    Case(group=GROUP, name="good, protected, good", data=ask() + _ADMIN + ask(), verdicts=(OK, frozenset({401}), OK), ends=False, bodies=(b"", b"")),
    Case(group=GROUP, name="good, ambiguous, good", data=ask() + ask(b"/open/../admin") + ask(), verdicts=(OK, BAD, OK), ends=False, bodies=(b"", b"")),
    Case(group=GROUP, name="50 in a row", data=ask() * 50, verdicts=(OK,) * 50, ends=False, bodies=(b"",) * 50),
    Case(group=GROUP, name="50 in a row, half of them protected", data=(ask() + _ADMIN) * 25, verdicts=(OK, frozenset({401})) * 25, ends=False, bodies=(b"",) * 25),
    Case(group=GROUP, name="empty lines between requests", data=ask() + b"\r\n\r\n" + ask(), verdicts=(OK, frozenset({200, 400})), ends=None),
    # Upgrades.
    *(
        Case(group=GROUP, name=f"upgrade to {name}", data=ask(b"/open/x", _UPGRADE, b"Upgrade: " + protocol), verdicts=statuses(200, 400, 426), ends=True if protocol else None)
        for name, protocol in _BARE_UPGRADES.items()
    ),
    *(
        Case(group=GROUP, name=f"upgrade to {name} on a protected path", data=ask(b"/admin/x", _UPGRADE, b"Upgrade: " + protocol), verdicts=statuses(400, 401), ends=True if protocol else None, bodies=())
        for name, protocol in _BARE_UPGRADES.items()
    ),
    Case(group=GROUP, name="upgrade to h2c with settings", data=ask(b"/open/x", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA") + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", verdicts=statuses(200, 400, 426)),
    Case(group=GROUP, name="upgrade with a smuggled request", data=ask(b"/open/x", _UPGRADE, b"Upgrade: foo") + _ADMIN + ask(), verdicts=statuses(200, 400, 426)),
    Case(group=GROUP, name="upgrade with half a request", data=ask(b"/open/x", _UPGRADE, b"Upgrade: foo") + b"GET /open/y HTTP/1.1\r\nHost: localhost\r\nX: ", verdicts=statuses(200, 400, 426)),
    Case(group=GROUP, name="upgrade with a body", data=post(_UPGRADE, b"Upgrade: foo", b"Content-Length: 5", body=b"hello"), verdicts=statuses(200, 400, 426)),
    Case(group=GROUP, name="upgrade with a chunked body", data=post(_UPGRADE, b"Upgrade: h2c", b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n"), verdicts=statuses(200, 400, 426)),
    Case(group=GROUP, name="upgrade with a request in a body", data=post(_UPGRADE, b"Upgrade: h2c", b"Content-Length: %d" % len(_ADMIN), body=_ADMIN), verdicts=statuses(200, 400, 426)),
    Case(group=GROUP, name="upgrade of HTTP/1.0", data=ask(b"/open/x", _UPGRADE, b"Upgrade: websocket", version=b"HTTP/1.0"), verdicts=statuses(200, 400)),
    Case(group=GROUP, name="upgrade without the option", data=ask(b"/open/x", b"Upgrade: foo"), verdicts=statuses(200, 400), ends=None),
    Case(group=GROUP, name="WebSocket where there is none", data=ask(b"/open/x", *_WEBSOCKET), verdicts=statuses(426), bodies=()),
    Case(group=GROUP, name="WebSocket and frames", data=ask(b"/open/x", *_WEBSOCKET) + b"\x81\x85\x00\x00\x00\x00hello" * 3, verdicts=statuses(426, 400), bodies=()),
    Case(group=GROUP, name="WebSocket and a smuggled request", data=ask(b"/open/x", *_WEBSOCKET) + _ADMIN, verdicts=statuses(426, 400), bodies=()),
    Case(group=GROUP, name="WebSocket on a protected path", data=ask(b"/admin/x", *_WEBSOCKET), verdicts=statuses(401, 426), bodies=()),
    Case(group=GROUP, name="WebSocket in capitals", data=ask(b"/open/x", b"CONNECTION: UPGRADE", b"UPGRADE: WEBSOCKET"), verdicts=statuses(426, 400), bodies=()),
    Case(group=GROUP, name="WebSocket in a list", data=ask(b"/open/x", b"Connection: keep-alive, Upgrade", b"Upgrade: h2c, websocket"), verdicts=statuses(426, 400, 200)),
    Case(group=GROUP, name="WebSocket twice", data=ask(b"/open/x", *_WEBSOCKET, b"Upgrade: websocket"), verdicts=statuses(426, 400), bodies=()),
    Case(group=GROUP, name="WebSocket with a length", data=ask(b"/open/x", *_WEBSOCKET, b"Content-Length: 5", body=b"hello"), verdicts=statuses(400, 426), bodies=()),
    Case(group=GROUP, name="WebSocket with chunks", data=ask(b"/open/x", *_WEBSOCKET, b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n"), verdicts=statuses(400, 426), bodies=()),
    Case(group=GROUP, name="WebSocket by POST", data=ask(b"/open/x", *_WEBSOCKET, method=b"POST"), verdicts=statuses(400, 405, 426), bodies=()),
    # Expectations.
    Case(group=GROUP, name="an expectation, and the body at once", data=post(b"Expect: 100-continue", b"Content-Length: 5", body=b"hello"), verdicts=(OK,), ends=None, bodies=(b"hello",), lacks=(b"expect",)),
    Case(group=GROUP, name="an expectation in capitals", data=post(b"EXPECT: 100-CONTINUE", b"Content-Length: 5", body=b"hello"), verdicts=(OK,), ends=None, bodies=(b"hello",)),
    Case(group=GROUP, name="an expectation without a body", data=ask(b"/open/x", b"Expect: 100-continue"), verdicts=(OK,), ends=None, lacks=(b"expect",)),
    Case(group=GROUP, name="an expectation of HTTP/1.0", data=post(b"Expect: 100-continue", b"Content-Length: 5", body=b"hello", version=b"HTTP/1.0"), verdicts=(OK,), alone=True, bodies=(b"hello",)),
    Case(group=GROUP, name="an expectation on a protected path", data=post(b"Expect: 100-continue", b"Content-Length: 5", body=b"hello", target=b"/admin/x"), verdicts=statuses(401), ends=None, bodies=()),
    Case(group=GROUP, name="an expectation with a request in its body, protected", data=post(b"Expect: 100-continue", b"Content-Length: %d" % len(_ADMIN), body=_ADMIN, target=b"/admin/x"), verdicts=statuses(401), ends=None, bodies=()),
    Case(group=GROUP, name="an expectation of a large body", data=post(b"Expect: 100-continue", b"Content-Length: 5000", target=b"/small"), verdicts=statuses(413), bodies=()),
    Case(group=GROUP, name="an expectation by an underscore", data=post(b"Ex_pect: nonsense", b"Content-Length: 5", body=b"hello"), verdicts=(OK,), ends=False, bodies=(b"hello",)),
    *(
        Case(group=GROUP, name=f"an expectation of {name}", data=post(*lines, b"Content-Length: 5", body=b"hello"), verdicts=statuses(417, 400), bodies=())
        for name, lines in {
            "nonsense": (b"Expect: nonsense",),
            "two things": (b"Expect: 100-continue, nonsense",),
            "the same twice": (b"Expect: 100-continue", b"Expect: 100-continue"),
            "200": (b"Expect: 200-ok",),
            "a parameter": (b"Expect: 100-continue;x=1",),
            "nothing": (b"Expect:",),
            "a no-break space": (b"Expect: 100-continue\xa0",),
            "a NUL": (b"Expect: 100-continue\x00",),
        }.items()
    ),
    # CONNECT and the like.
    *(
        Case(group=GROUP, name=name, data=data, verdicts=statuses(405, 400, 501), bodies=())
        for name, data in {
            "CONNECT": ask(b"localhost:443", method=b"CONNECT"),
            "CONNECT elsewhere": ask(b"169.254.169.254:80", method=b"CONNECT"),
            "CONNECT to a path": ask(b"/open/x", method=b"CONNECT"),
            "CONNECT in absolute form": ask(b"http://localhost/open/x", method=b"CONNECT"),
            "CONNECT with a body": ask(b"localhost:443", b"Content-Length: 5", method=b"CONNECT", body=b"hello"),
            "CONNECT with chunks": ask(b"localhost:443", b"Transfer-Encoding: chunked", method=b"CONNECT", body=b"0\r\n\r\n"),
            "CONNECT and a request": ask(b"localhost:443", method=b"CONNECT") + _ADMIN + ask(),
            "CONNECT of HTTP/1.0": ask(b"localhost:443", method=b"CONNECT", version=b"HTTP/1.0"),
            "CONNECT without a port": ask(b"localhost", method=b"CONNECT"),
            "CONNECT with an upgrade": ask(b"localhost:443", _UPGRADE, b"Upgrade: websocket", method=b"CONNECT"),
            "TRACE": ask(b"/open/x", b"Cookie: a=c4nary", method=b"TRACE"),
            "TRACE with a hop": ask(b"/open/x", b"Max-Forwards: 0", method=b"TRACE"),
            "TRACE for the server": ask(b"*", method=b"TRACE"),
            "TRACE with a body": ask(b"/open/x", b"Content-Length: 5", method=b"TRACE", body=b"hello"),
        }.items()
    ),
]
