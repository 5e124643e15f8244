"""Chunked bodies: a chunk that is not exactly one ends the request, and the upstream never sees its end."""

from hostile.case import BAD, OK, TOKEN, Case, ask, post, statuses

# fmt: off

GROUP = "chunk"
CHUNKED = b"Transfer-Encoding: chunked"
CUT = statuses(0, 400)

_BROKEN = {
    "size of letters": b"zz\r\nhello\r\n0\r\n\r\n",
    "negative size": b"-5\r\nhello\r\n0\r\n\r\n",
    "minus one": b"-1\r\nhello\r\n0\r\n\r\n",
    "a plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "hex mark": b"0x5\r\nhello\r\n0\r\n\r\n",
    "hex mark in capitals": b"0X5\r\nhello\r\n0\r\n\r\n",
    "an underscore": b"0_5\r\nhello\r\n0\r\n\r\n",
    "empty size": b"\r\nhello\r\n0\r\n\r\n",
    "no size but an extension": b";a=b\r\nhello\r\n0\r\n\r\n",
    "space before the size": b" 5\r\nhello\r\n0\r\n\r\n",
    "tab before the size": b"\t5\r\nhello\r\n0\r\n\r\n",
    "a comma": b"5,\r\nhello\r\n0\r\n\r\n",
    "a list": b"5,5\r\nhello\r\n0\r\n\r\n",
    "a fraction": b"5.0\r\nhello\r\n0\r\n\r\n",
    "two sizes": b"5 5\r\nhello\r\n0\r\n\r\n",
    "quotes": b'"5"\r\nhello\r\n0\r\n\r\n',
    "Arabic digit": "٥\r\nhello\r\n0\r\n\r\n".encode(),
    "fullwidth digit": "５\r\nhello\r\n0\r\n\r\n".encode(),
    "no-break space": b"5\xa0\r\nhello\r\n0\r\n\r\n",
    "NUL before": b"\x005\r\nhello\r\n0\r\n\r\n",
    "NUL behind": b"5\x00\r\nhello\r\n0\r\n\r\n",
    "vertical tab": b"5\x0b\r\nhello\r\n0\r\n\r\n",
    "17 digits": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "2^64": b"10000000000000000\r\nhello\r\n0\r\n\r\n",
    "2^72": b"fffffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "bare line feed behind the size": b"5\nhello\r\n0\r\n\r\n",
    "bare carriage return behind the size": b"5\rhello\r\n0\r\n\r\n",
    "two carriage returns": b"5\r\r\nhello\r\n0\r\n\r\n",
    "carriage return and something": b"5\rX\nhello\r\n0\r\n\r\n",
    "line feed, then carriage return": b"5\n\rhello\r\n0\r\n\r\n",
    "bare line feed behind the data": b"5\r\nhello\n0\r\n\r\n",
    "bare carriage return behind the data": b"5\r\nhello\r0\r\n\r\n",
    "nothing behind the data": b"5\r\nhello0\r\n\r\n",
    "too much data": b"5\r\nhello!\r\n0\r\n\r\n",
    "too little data": b"5\r\nhell\r\n0\r\n\r\n",
    "something in place of the line end": b"5\r\nhelloXX0\r\n\r\n",
    "bare line feed behind the last chunk": b"5\r\nhello\r\n0\n\r\n",
    "bare line feeds at the end": b"5\r\nhello\r\n0\n\n",
    "bare line feed at the very end": b"5\r\nhello\r\n0\r\n\n",
    "last chunk with a minus": b"5\r\nhello\r\n-0\r\n\r\n",
    "last chunk with a hex mark": b"5\r\nhello\r\n0x0\r\n\r\n",
    "extension with a line feed": b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "extension with a carriage return": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "extension with a NUL": b"5;a=\x00\r\nhello\r\n0\r\n\r\n",
    "extension with a line end in quotes": b'5;a="\r\n"\r\nhello\r\n0\r\n\r\n',
    "extension with a line feed in quotes": b'5;a="\nX"\r\nhello\r\n0\r\n\r\n',
    "extension with a quote that stays open": b'5;a="b\r\nhello\r\n0\r\n\r\n',
    "extension of the last chunk with a line feed": b"5\r\nhello\r\n0;a\nb\r\n\r\n",
    "trailer without a colon": b"5\r\nhello\r\n0\r\nX-A\r\n\r\n",
    "trailer with a space before the colon": b"5\r\nhello\r\n0\r\nX-A : b\r\n\r\n",
    "trailer with a NUL": b"5\r\nhello\r\n0\r\nX-A: \x00\r\n\r\n",
    "trailer with a bare line feed": b"5\r\nhello\r\n0\r\nX-A: b\nX-B: c\r\n\r\n",
    "trailer folded": b"5\r\nhello\r\n0\r\nX-A: b\r\n c\r\n\r\n",
    "trailer without a name": b"5\r\nhello\r\n0\r\n: b\r\n\r\n",
    "trailer with a space in its name": b"5\r\nhello\r\n0\r\nX A: b\r\n\r\n",
    "trailer that is a request": b"5\r\nhello\r\n0\r\nGET /admin HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "40 KiB of one trailer": b"5\r\nhello\r\n0\r\nX-A: " + b"a" * 40960 + b"\r\n\r\n",
    "1000 trailers": b"5\r\nhello\r\n0\r\n" + b"X-A: b\r\n" * 1000 + b"\r\n",
    "chunks of HTTP/0.9": b"hello",
    "form data": b"a=b&c=c4nary",
}

_FINE = {
    "plain": (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    "two chunks": (b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", b"hello"),
    "hex of both cases": (b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", b"01234567890123456789"),
    "zeros before a size": (b"0005\r\nhello\r\n0\r\n\r\n", b"hello"),
    "zeros as the last size": (b"5\r\nhello\r\n000\r\n\r\n", b"hello"),
    "extension": (b"5;a=b\r\nhello\r\n0\r\n\r\n", b"hello"),
    "extension in quotes": (b'5;a="b;c"\r\nhello\r\n0\r\n\r\n', b"hello"),
    "extension of the last chunk": (b"5\r\nhello\r\n0;a=b\r\n\r\n", b"hello"),
    "two extensions": (b"5;a=b;c=d\r\nhello\r\n0\r\n\r\n", b"hello"),
    "trailer": (b"5\r\nhello\r\n0\r\nX-A: b\r\n\r\n", b"hello"),
    "trailer with an identity": (b"5\r\nhello\r\n0\r\nX-Gateway-Subject: ev1l\r\nX-User: ev1l\r\n\r\n", b"hello"),
    "trailer with a forwarding field": (b"5\r\nhello\r\n0\r\nX-Forwarded-For: ev1l\r\nForwarded: for=ev1l\r\n\r\n", b"hello"),
    "trailer with credentials": (b"5\r\nhello\r\n0\r\nAuthorization: Bearer c4nary\r\nCookie: a=c4nary\r\nX-Api-Key: c4nary\r\n\r\n", b"hello"),
    "trailer with a host": (b"5\r\nhello\r\n0\r\nHost: ev1l.example\r\n\r\n", b"hello"),
    "trailer with a connection": (b"5\r\nhello\r\n0\r\nConnection: Authorization\r\n\r\n", b"hello"),
    "50 trailers": (b"5\r\nhello\r\n0\r\n" + b"".join(b"X-%d: b\r\n" % n for n in range(50)) + b"\r\n", b"hello"),
    "no data": (b"0\r\n\r\n", b""),
    "one byte a chunk": (b"".join(b"1\r\n%c\r\n" % c for c in b"hello") + b"0\r\n\r\n", b"hello"),
}

_EITHER = {
    "space behind the size": b"5 \r\nhello\r\n0\r\n\r\n",
    "tab behind the size": b"5\t\r\nhello\r\n0\r\n\r\n",
    "space before an extension": b"5 ;a=b\r\nhello\r\n0\r\n\r\n",
    "empty extension": b"5;\r\nhello\r\n0\r\n\r\n",
    "extension without a value": b"5;a\r\nhello\r\n0\r\n\r\n",
    "extension with an empty value": b"5;a=\r\nhello\r\n0\r\n\r\n",
    "extension with a space": b"5; a = b\r\nhello\r\n0\r\n\r\n",
    "extension with high bytes": b"5;a=\xff\xfe\r\nhello\r\n0\r\n\r\n",
    "many zeros before a size": b"0" * 100 + b"5\r\nhello\r\n0\r\n\r\n",
    "16 zeros before a size": b"0" * 15 + b"5\r\nhello\r\n0\r\n\r\n",
    "20 KiB of an extension": b"5;a=" + b"b" * 20480 + b"\r\nhello\r\n0\r\n\r\n",
    "trailer with a length": b"5\r\nhello\r\n0\r\nContent-Length: 500\r\n\r\n",
    "trailer with a coding": b"5\r\nhello\r\n0\r\nTransfer-Encoding: gzip\r\n\r\n",
    "200 trailers": b"5\r\nhello\r\n0\r\n" + b"".join(b"X-%d: b\r\n" % n for n in range(200)) + b"\r\n",
}
"""Strict or lenient, both are right, as long as both sides agree where the request ends."""

_HUGE = {
    "2^64 - 1": b"ffffffffffffffff",
    "2^63": b"8000000000000000",
    "2^32 + 5": b"100000005",
    "128 MiB": b"7ffffff",
}
"""Sizes that no body will ever have. What comes behind them is body, and nothing else."""

_CUT_SHORT = {
    "before the first size": b"",
    "in a size": b"5",
    "behind a size": b"5\r\n",
    "in the data": b"5\r\nhel",
    "behind the data": b"5\r\nhello",
    "behind a chunk": b"5\r\nhello\r\n",
    "in the last chunk": b"5\r\nhello\r\n0",
    "behind the last size": b"5\r\nhello\r\n0\r\n",
    "before the last line feed": b"5\r\nhello\r\n0\r\n\r",
    "in a trailer": b"5\r\nhello\r\n0\r\nX-A: b\r\n",
    "in an extension": b"5;a=",
}

_TOO_MUCH = b"".join(b"100\r\n" + b"x" * 256 + b"\r\n" for _ in range(5)) + b"0\r\n\r\n"

CASES = [
    *(
        Case(
            group=GROUP,
            name=name,
            data=post(CHUNKED, body=body),
            verdicts=statuses(400, 431) if len(body) > 1000 else (BAD,),
            may_begin=True,
        )
        for name, body in _BROKEN.items()
    ),
    *(
        Case(group=GROUP, name=f"{name}, protected", data=post(CHUNKED, body=body, target=b"/admin/x"), verdicts=statuses(400, 401), may_begin=True)
        for name, body in _BROKEN.items()
        if name in {"size of letters", "2^64", "nothing behind the data", "bare line feed behind the size", "trailer with a NUL"}
    ),
    *(
        Case(group=GROUP, name=name, data=post(CHUNKED, body=body), verdicts=(OK,), ends=False, bodies=(got,), has=(CHUNKED,), may_stop=True)
        for name, (body, got) in _FINE.items()
    ),
    *(
        Case(group=GROUP, name=name, data=post(CHUNKED, body=body), verdicts=statuses(200, 400, 413, 431), ends=None)
        for name, body in _EITHER.items()
    ),
    *(
        Case(group=GROUP, name=f"cut short {name}", data=post(CHUNKED, body=body), verdicts=CUT, may_begin=True, hangs_up=True)
        for name, body in _CUT_SHORT.items()
    ),
    Case(group=GROUP, name="more than allowed", data=post(CHUNKED, body=_TOO_MUCH, target=b"/small"), verdicts=statuses(413), ends=None, may_begin=True),
    Case(group=GROUP, name="more than allowed in one chunk", data=post(CHUNKED, body=b"401\r\n" + b"x" * 1025 + b"\r\n0\r\n\r\n", target=b"/small"), verdicts=statuses(413), ends=None, may_begin=True),
    Case(group=GROUP, name="just allowed", data=post(CHUNKED, body=b"400\r\n" + b"x" * 1024 + b"\r\n0\r\n\r\n", target=b"/small"), verdicts=(OK,), ends=False, may_stop=True, bodies=(b"x" * 1024,)),
    *(
        Case(group=GROUP, name=f"a size of {name}", data=post(CHUNKED, body=size + b"\r\nhello\r\n0\r\n\r\n" + ask(b"/admin/x")), verdicts=statuses(0, 400, 413), may_begin=True, hangs_up=True)
        for name, size in _HUGE.items()
    ),
    *(
        Case(
            group=GROUP,
            name=f"a trailer does not go on in the next request: {name}",
            data=post(CHUNKED, body=b"5\r\nhello\r\n0\r\n" + trailer + b"\r\n\r\n") + ask(target, *lines),
            verdicts=(OK, frozenset({status})),
            ends=False,
            may_stop=True,
            bodies=(b"hello", b"") if status == 200 else (b"hello",),
        )
        for name, trailer, target, lines, status in (
            ("credentials", b"Authorization: Bearer " + TOKEN, b"/named/x", (), 401),
            ("a condition", b"X-Tenant: blue", b"/blue/x", (b"Authorization: Bearer " + TOKEN,), 403),
            ("a rule that denies", b"X-Deny: 1", b"/open/x", (), 200),
            ("an expectation", b"Expect: nonsense", b"/open/x", (), 200),
            ("an upgrade", b"Upgrade: h2c", b"/open/x", (), 200),
        )
    ),
]
