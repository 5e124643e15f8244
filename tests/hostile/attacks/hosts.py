"""Host and authority: one host with an optional port, or nothing (RFC 9110 section 7.2)."""

from hostile.case import BAD, OK, Case, ask, statuses

# fmt: off

GROUP = "host"

_REFUSED = {
    "empty": b"",
    "a space": b" ",
    "a list": b"localhost, evil.example",
    "a list without space": b"localhost,evil.example",
    "a space inside": b"local host",
    "two words": b"localhost evil.example",
    "a tab inside": b"local\thost",
    "userinfo": b"user@localhost",
    "userinfo and password": b"user:c4nary@localhost",
    "a path": b"localhost/admin",
    "a query": b"localhost?a",
    "a fragment": b"localhost#a",
    "a backslash": b"localhost\\evil.example",
    "a scheme": b"http://localhost",
    "two slashes": b"//localhost",
    "a port of zero": b"localhost:0",
    "a port too large": b"localhost:65536",
    "a port of six digits": b"localhost:099999",
    "a port with a sign": b"localhost:+80",
    "a negative port": b"localhost:-80",
    "a port in hex": b"localhost:0x50",
    "a named port": b"localhost:http",
    "two ports": b"localhost:80:80",
    "a port and userinfo": b"localhost:80@evil.example",
    "a port with a space": b"localhost: 80",
    "a port of fullwidth digits": "localhost:８０".encode(),
    "a port alone": b":80",
    "a dot alone": b".",
    "a dot first": b".localhost",
    "two dots": b"local..host",
    "two dots at the end": b"localhost..",
    "an encoded dot": b"evil%2eexample",
    "an encoded NUL": b"localhost%00.evil.example",
    "a percent sign": b"local%host",
    "Latin-1": b"\xe9vil.example",
    "UTF-8": "évil.example".encode(),
    "fullwidth": "ｌocalhost".encode(),
    "an ideographic full stop": "evil。example".encode(),
    "NBSP": b"localhost\xa0",
    "a quote": b'"localhost"',
    "brackets around a name": b"[localhost]",
    "an open bracket": b"[::1",
    "a closed bracket": b"::1]",
    "IPv6 without brackets": b"::1",
    "IPv6 with a tail": b"[::1]x",
    "IPv6 with a zone": b"[fe80::1%25eth0]",
    "IPv6 with two ports": b"[::1]:80:80",
    "IPv6 that is none": b"[:::1]",
    "IPv6 too long": b"[1:2:3:4:5:6:7:8:9]",
    "an IP of the future": b"[v1.x]",
    "a semicolon": b"localhost;x",
    "an asterisk": b"*",
    "an equals sign": b"localhost=x",
    "a comma at the end": b"localhost,",
    "300 characters": b"a" * 300,
    "a label too deep": b"a." * 127 + b"a" * 10,
}

_SERVED = {
    "a port": b"localhost:8000",
    "capitals": b"LOCALHOST",
    "a dot at the end": b"localhost.",
    "a dot and a port": b"localhost.:80",
    "an underscore": b"my_service",
    "IPv4": b"127.0.0.1",
    "IPv6": b"[::1]",
    "IPv6 and a port": b"[::1]:8000",
    "any other": b"evil.example",
    "spaces around": b"  localhost  ",
}

_INSIDE = {
    "exact": b"inside.example",
    "capitals": b"INSIDE.Example",
    "a dot at the end": b"inside.example.",
    "a port": b"inside.example:8000",
    "a dot and a port": b"inside.example.:443",
    "two dots at the end": b"inside.example..",
    "a space at the end": b"inside.example ",
    "a tab at the end": b"inside.example\t",
    "an empty port": b"inside.example:",
    "userinfo": b"x@inside.example",
    "a list": b"localhost, inside.example",
    "a list the other way": b"inside.example, localhost",
    "a NUL": b"inside.example\x00",
    "an encoded dot": b"inside%2eexample",
    "fullwidth": "inside．example".encode(),
    "a Kelvin sign's cousin": "ınside.example".encode(),
    "a path": b"inside.example/",
    "a zero-width space": "inside.exa\u200bmple".encode(),
    "a leading zero in the port": b"inside.example:080",
}
"""Spellings of a host that has a stricter rule for the path: none gets round it."""

_REACHES_IN = ask(b"/inside/x", host=b"Host: inside.example")

CASES = [
    *(Case(group=GROUP, name=name, data=ask(host=b"Host: " + value)) for name, value in _REFUSED.items()),
    *(
        Case(group=GROUP, name=name, data=ask(host=b"Host: " + value), verdicts=(OK,), ends=False, has=(b"Host: " + value.strip(),))
        for name, value in _SERVED.items()
    ),
    *(
        Case(group=GROUP, name=f"the inside by {name}", data=ask(b"/inside/x", host=b"Host: " + value), verdicts=statuses(400, 401), ends=None)
        for name, value in _INSIDE.items()
    ),
    Case(group=GROUP, name="the inside by X-Forwarded-Host", data=ask(b"/admin/x", b"X-Forwarded-Host: outside.ev1l"), verdicts=statuses(401), ends=False),
    Case(group=GROUP, name="the outside stays outside", data=ask(b"/inside/x", b"X-Forwarded-Host: inside.ev1l", b"X-Host: a"), verdicts=(OK,), ends=False, has=(b"X-Forwarded-Host: localhost",)),
    Case(group=GROUP, name="missing", data=ask(host=None)),
    Case(group=GROUP, name="twice the same", data=ask(b"/open/x", b"Host: localhost")),
    Case(group=GROUP, name="twice, other case", data=ask(b"/open/x", b"hOST: localhost")),
    Case(group=GROUP, name="twice, different", data=ask(b"/open/x", b"Host: evil.example")),
    Case(group=GROUP, name="twice, far apart", data=ask(b"/open/x", b"Accept: */*", b"X-A: b", b"host: evil.example")),
    Case(group=GROUP, name="twice, the second empty", data=ask(b"/open/x", b"Host:")),
    Case(group=GROUP, name="the first empty", data=ask(b"/open/x", b"Host: localhost", host=b"Host:")),
    Case(group=GROUP, name="space before the colon", data=ask(host=b"Host : localhost")),
    Case(group=GROUP, name="space before the name", data=ask(host=b" Host: localhost")),
    Case(group=GROUP, name="folded", data=ask(host=b"Host:\r\n localhost")),
    Case(group=GROUP, name="an underscore in its name", data=ask(host=b"Ho_st: localhost")),
    Case(group=GROUP, name="HTTP/1.0 without", data=ask(host=None, version=b"HTTP/1.0"), alone=True, verdicts=(OK,), bodies=(b"",)),
    Case(group=GROUP, name="HTTP/1.0 with a bad one", data=ask(host=b"Host: a b", version=b"HTTP/1.0")),
    Case(group=GROUP, name="HTTP/1.0 with an empty one", data=ask(host=b"Host:", version=b"HTTP/1.0")),
    Case(group=GROUP, name="HTTP/1.0 twice", data=ask(b"/open/x", b"Host: evil.example", version=b"HTTP/1.0")),
    Case(group=GROUP, name="HTTP/1.0 without, inside", data=ask(b"/inside/x", host=None, version=b"HTTP/1.0"), alone=True, verdicts=(OK,)),
    Case(group=GROUP, name="HTTP/1.0 inside", data=_REACHES_IN.replace(b"/1.1", b"/1.0"), alone=True, verdicts=statuses(401)),
    Case(group=GROUP, name="of an upgrade", data=ask(b"/open/x", b"Connection: Host", host=b"Host: localhost"), verdicts=(OK,), ends=False, has=(b"Host: localhost",)),
    Case(group=GROUP, name="hop by hop without Host", data=ask(b"/open/x", b"Connection: Host", host=None), verdicts=(BAD,)),
]
