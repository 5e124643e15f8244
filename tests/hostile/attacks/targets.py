"""Forms of the request-target and of the request line (RFC 9112 sections 2.3, 3 and 3.2)."""

from hostile.case import OK, Case, ask, statuses

# fmt: off

GROUP = "target"

_REFUSED = {
    "foreign absolute form": ask(b"http://evil.example/open/x"),
    "foreign absolute form with our port": ask(b"http://evil.example:80/open/x"),
    "userinfo": ask(b"http://user:c4nary@localhost/open/x"),
    "userinfo without password": ask(b"http://user@localhost/open/x"),
    "empty userinfo": ask(b"http://@localhost/open/x"),
    "userinfo that looks like us": ask(b"http://localhost@evil.example/open/x"),
    "userinfo with a port": ask(b"http://localhost:80@evil.example/open/x"),
    "userinfo with a secret in the path": ask(b"http://x:c4nary@evil.example/c4n"),
    "backslash before the host": ask(b"http://localhost\\@evil.example/open/x"),
    "encoded slash before the host": ask(b"http://localhost%2f@evil.example/open/x"),
    "another host's subdomain": ask(b"http://localhost.evil.example/open/x"),
    "a port that Host does not name": ask(b"http://localhost:8000/open/x"),
    "a port that does not exist": ask(b"http://localhost:99999/open/x"),
    "a Host with another port": ask(b"http://localhost:1/open/x", host=b"Host: localhost:2"),
    "three slashes": ask(b"http:///open/x"),
    "one slash": ask(b"http:/open/x"),
    "no slash": ask(b"http:open/x"),
    "four slashes": ask(b"http:////localhost/open/x"),
    "another scheme": ask(b"ftp://localhost/open/x"),
    "file": ask(b"file:///etc/passwd"),
    "gopher": ask(b"gopher://localhost/_GET%20/admin"),
    "websocket scheme": ask(b"ws://localhost/open/x"),
    "unix": ask(b"unix:/run/docker.sock"),
    "data": ask(b"data:,hello"),
    "javascript": ask(b"javascript:alert(1)"),
    "a scheme with a space": ask(b"ht tp://localhost/open/x"),
    "authority form": ask(b"localhost:80"),
    "authority form without port": ask(b"localhost"),
    "asterisk": ask(b"*"),
    "asterisk and a path": ask(b"*/x"),
    "path and an asterisk without slash": ask(b"*open/x", method=b"OPTIONS"),
    "no slash at the start": ask(b"open/x"),
    "a query alone": ask(b"?a=1"),
    "dots alone": ask(b"../admin"),
    "backslash alone": ask(b"\\open\\x"),
    "fragment behind the host": ask(b"http://localhost#/open/x"),
    "fragment instead of a path": ask(b"#/open/x"),
    "absolute form without Host": ask(b"http://localhost/open/x", host=None),
    "absolute form in HTTP/1.0 without Host": ask(
        b"http://localhost/open/x", host=None, version=b"HTTP/1.0"
    ),
    "absolute form with two Hosts": ask(b"http://localhost/open/x", b"Host: evil.example"),
    "absolute form of IPv6": ask(b"http://[::1]/open/x"),
    "proxy request": ask(b"http://169.254.169.254/latest/meta-data/"),
    "empty target": b"GET  HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no target": b"GET HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "two targets": b"GET /open/x /admin HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "two versions": b"GET /open/x HTTP/1.1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a space at the end of the line": b"GET /open/x HTTP/1.1 \r\nHost: localhost\r\n\r\n",
    "a tab at the end of the line": b"GET /open/x HTTP/1.1\t\r\nHost: localhost\r\n\r\n",
    "NUL behind the version": b"GET /open/x HTTP/1.1\x00\r\nHost: localhost\r\n\r\n",
    "line feed in the line": b"GET /open/x\nHTTP/1.1\r\nHost: localhost\r\n\r\n",
    "carriage return in the line": b"GET /open/x\rHTTP/1.1\r\nHost: localhost\r\n\r\n",
    "line feeds alone": b"GET /open/x HTTP/1.1\nHost: localhost\n\n",
    "line feed behind the line": b"GET /open/x HTTP/1.1\nHost: localhost\r\n\r\n",
    "carriage returns alone": b"GET /open/x HTTP/1.1\rHost: localhost\r\r",
}

_AMBIGUOUS = {
    "fragment in absolute form": ask(b"http://localhost/open/x#y"),
    "path of the absolute form with dots": ask(b"http://localhost/open/../admin"),
    "path of the absolute form with two slashes": ask(b"http://localhost//admin"),
}

_NOT_HTTP = {
    "tabs for spaces": b"GET\t/open/x\tHTTP/1.1\r\nHost: localhost\r\n\r\n",
    "vertical tabs for spaces": b"GET\x0b/open/x\x0bHTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a space first": b" GET /open/x HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a NUL first": b"\x00GET /open/x HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a byte order mark first": b"\xef\xbb\xbfGET /open/x HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x41" * 40 + b"\r\n\r\n",
    "SOCKS": b"\x05\x01\x00\r\n\r\n",
    "PROXY protocol": b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" + ask(),
    "PROXY protocol, binary": b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\x0a\x00\x00\x01\x0a\x00\x00\x02\x00\x01\x00\x02" + ask(),
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "SMTP": b"EHLO evil.example\r\n\r\n",
    "Redis": b"*1\r\n$4\r\nPING\r\n\r\n",
    "a response": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
}

_VERSIONS = {
    "HTTP/0.9": ask(version=b"HTTP/0.9"),
    "HTTP/1.2": ask(version=b"HTTP/1.2"),
    "HTTP/1.9": ask(version=b"HTTP/1.9"),
    "HTTP/2.0": ask(version=b"HTTP/2.0"),
    "HTTP/3.0": ask(version=b"HTTP/3.0"),
    "HTTP/9.9": ask(version=b"HTTP/9.9"),
    "HTTP/1.10": ask(version=b"HTTP/1.10"),
    "HTTP/01.1": ask(version=b"HTTP/01.1"),
    "HTTP/1": ask(version=b"HTTP/1"),
    "HTTP/1.": ask(version=b"HTTP/1."),
    "HTTP/.1": ask(version=b"HTTP/.1"),
    "HTTP/1.1.1": ask(version=b"HTTP/1.1.1"),
    "HTTP/11": ask(version=b"HTTP/11"),
    "HTTP/1,1": ask(version=b"HTTP/1,1"),
    "HTTP/-1.1": ask(version=b"HTTP/-1.1"),
    "HTTP/ 1.1": ask(version=b"HTTP/ 1.1"),
    "HTTP/1. 1": ask(version=b"HTTP/1. 1"),
    "HTTP/1.1x": ask(version=b"HTTP/1.1x"),
    "HTTP/4294967297.1": ask(version=b"HTTP/4294967297.1"),
    "HTTP/1.4294967297": ask(version=b"HTTP/1.4294967297"),
    "HTTP/fullwidth": ask(version="HTTP/1.\uff11".encode()),
    "http in lower case": ask(version=b"http/1.1"),
    "HTP": ask(version=b"HTP/1.1"),
    "HTTPS": ask(version=b"HTTPS/1.1"),
    "ICE": ask(version=b"ICE/1.0"),
    "a version without its name": ask(version=b"1.1"),
    "no version": b"GET /open/x\r\n\r\n",
    "no version and no line end": b"GET /open/x\r\nHost: localhost\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
}

_SERVED = {
    "absolute form": (ask(b"http://localhost/open/x"), b"/open/x"),
    "absolute form with a query": (ask(b"http://localhost/open/x?a=http://b/"), b"/open/x?a=http://b/"),
    "absolute form with a port": (
        ask(b"http://localhost:8000/open/x", host=b"Host: localhost:8000"),
        b"/open/x",
    ),
}
"""Served, and forwarded in origin form."""

_EITHER = {
    # The parser takes it for HTTP/1.0, which it means the same as.
    "RTSP": (ask(version=b"RTSP/1.0"), (200, 400, 501, 505)),
    "https over plain text": (ask(b"https://localhost/open/x"), (200, 400)),
    "scheme in capitals": (ask(b"HTTP://localhost/open/x"), (200, 400)),
    "authority in capitals": (ask(b"http://LOCALHOST/open/x"), (200, 400)),
    "trailing dot on one side": (ask(b"http://localhost./open/x"), (200, 400)),
    "default port on one side": (ask(b"http://localhost:80/open/x"), (200, 400)),
    "empty port": (ask(b"http://localhost:/open/x"), (200, 400)),
    "absolute form without a path": (ask(b"http://localhost"), (404, 400)),
    "absolute form with a query alone": (ask(b"http://localhost?a=1"), (404, 400)),
    "absolute form to us, protected": (ask(b"http://localhost/admin"), (401, 400)),
    "two spaces before the target": (b"GET  /open/x HTTP/1.1\r\nHost: localhost\r\n\r\n", (200, 400)),
    "two spaces before the version": (b"GET /open/x  HTTP/1.1\r\nHost: localhost\r\n\r\n", (200, 400)),
    "an empty line first": (b"\r\n" + ask(), (200, 400)),
    "three empty lines first": (b"\r\n\r\n\r\n" + ask(), (200, 400)),
    "a line feed first": (b"\n" + ask(), (200, 400)),
    "OPTIONS in absolute form without a path": (
        ask(b"http://localhost", method=b"OPTIONS"),
        (204, 400, 404, 405),
    ),
    "OPTIONS for the server with a query": (ask(b"*?a", method=b"OPTIONS"), (204, 400)),
}

CASES = [
    *(Case(group=GROUP, name=name, data=data) for name, data in _REFUSED.items()),
    *(Case(group=GROUP, name=name, data=data, ends=None) for name, data in _AMBIGUOUS.items()),
    *(Case(group=GROUP, name=name, data=data, verdicts=statuses(400, 501)) for name, data in _NOT_HTTP.items()),
    *(Case(group=GROUP, name=name, data=data, verdicts=statuses(400, 501, 505)) for name, data in _VERSIONS.items()),
    *(
        Case(group=GROUP, name=name, data=data, verdicts=(OK,), ends=False, targets=(target,), bodies=(b"",))
        for name, (data, target) in _SERVED.items()
    ),
    *(
        Case(group=GROUP, name=name, data=data, verdicts=statuses(*allowed), ends=None, targets=(b"/open/x",))
        for name, (data, allowed) in _EITHER.items()
    ),
    Case(
        group=GROUP,
        name="asterisk with OPTIONS",
        data=ask(b"*", method=b"OPTIONS"),
        verdicts=statuses(204),
        ends=False,
        bodies=(),
    ),
    Case(group=GROUP, name="8 KiB and more", data=ask(b"/open/" + b"x" * 8190), verdicts=statuses(414)),
    Case(group=GROUP, name="8 KiB and more of a query", data=ask(b"/open/x?" + b"x" * 8190), verdicts=statuses(414)),
    Case(group=GROUP, name="64 KiB", data=ask(b"/open/" + b"x" * 65536), verdicts=statuses(414)),
    Case(group=GROUP, name="64 KiB that never ends", data=b"GET /open/" + b"x" * 65536, verdicts=statuses(414)),
    Case(group=GROUP, name="nearly 8 KiB", data=ask(b"/open/" + b"x" * 8150), verdicts=(OK,), ends=False),
]
