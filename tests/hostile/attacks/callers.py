"""Credentials on the wire, and decisions on fields that the client writes."""

from base64 import urlsafe_b64encode

from hostile.case import BAD, OK, SECRET, TOKEN, Case, ask, statuses

# fmt: off

GROUP = "caller"
GOOD = b"Authorization: Bearer " + TOKEN
NO = statuses(401)


def _part(text: bytes) -> bytes:
    return urlsafe_b64encode(text).rstrip(b"=")


def _forged(header: bytes, claims: bytes = b'{"sub":"c4nary","exp":9999999999}', signature: bytes = b"") -> bytes:
    return b".".join((_part(header), _part(claims), signature))


_BAD_TOKENS = {
    "nothing": b"",
    "made up": b"c4nary",
    "two dots": b"c4nary..",
    "three dots": b"a.b.c.c4nary",
    "dots alone": b"...",
    "algorithm none": _forged(b'{"alg":"none"}'),
    "algorithm None": _forged(b'{"alg":"NoNe","typ":"at+jwt"}'),
    "no algorithm": _forged(b"{}"),
    "algorithm HS256": _forged(b'{"alg":"HS256","typ":"at+jwt"}', signature=_part(b"x" * 32)),
    "algorithm of a list": _forged(b'{"alg":["ES256"]}', signature=b"AA"),
    "its own key": _forged(b'{"alg":"ES256","jwk":{"kty":"oct","k":"AA"}}', signature=b"AA"),
    "a key elsewhere": _forged(b'{"alg":"ES256","jku":"http://127.0.0.1:1/","x5u":"http://127.0.0.1:1/"}', signature=b"AA"),
    "a key of a path": _forged(b'{"alg":"ES256","kid":"../../../../dev/null"}', signature=b"AA"),
    "a key of a query": _forged(b'{"alg":"ES256","kid":"\' OR 1=1--"}', signature=b"AA"),
    "a key of a number": _forged(b'{"alg":"ES256","kid":1}', signature=b"AA"),
    "a critical field": _forged(b'{"alg":"ES256","crit":["exp"]}', signature=b"AA"),
    "compressed": _forged(b'{"alg":"ES256","zip":"DEF"}', signature=b"AA"),
    "a high byte in the header": _forged(b'{"alg":"ES256\xff"}', signature=b"AA"),
    "no JSON": _forged(b"c4nary", signature=b"AA"),
    "a list for a header": _forged(b"[]", signature=b"AA"),
    "a number for a header": _forged(b"1", signature=b"AA"),
    "null for claims": _forged(b'{"alg":"ES256"}', b"null", signature=b"AA"),
    "nested deeply": _forged(b'{"alg":' + b"[" * 2000 + b"]" * 2000 + b"}", signature=b"AA"),
    "claims nested deeply": _forged(b'{"alg":"ES256"}', b"[" * 2000 + b"]" * 2000, signature=b"AA"),
    "a huge number": _forged(b'{"alg":"ES256"}', b'{"exp":1' + b"0" * 4000 + b"}", signature=b"AA"),
    "NaN": _forged(b'{"alg":"ES256"}', b'{"exp":NaN}', signature=b"AA"),
    "a lone surrogate": _forged(b'{"alg":"ES256"}', b'{"sub":"\\ud800"}', signature=b"AA"),
    "five parts": b"a.b.c.d.c4nary",
    "not base64": b"!!.!!.c4nary!!",
    "Unicode": "c\u00e4n.c4nary.x".encode(),
    "6000 bytes": b"c4nary" * 1000,
    "spaces inside": b"a b c4nary",
    "a comma": b"c4nary, Basic c4nary",
}

_SPELLINGS = {
    "no scheme": b"Authorization: " + TOKEN,
    "two spaces": b"Authorization: Bearer  " + TOKEN,
    "a tab": b"Authorization: Bearer\t" + TOKEN,
    "no space": b"Authorization: Bearer" + TOKEN,
    "a no-break space": b"Authorization: Bearer\xa0" + TOKEN,
    "a colon": b"Authorization: Bearer: " + TOKEN,
    "a parameter": b"Authorization: Bearer token=" + TOKEN,
    "quotes": b'Authorization: Bearer "' + TOKEN + b'"',
    "a word behind": b"Authorization: Bearer " + TOKEN + b" x",
    "padding behind": b"Authorization: Bearer " + TOKEN + b"=",
    "a dot behind": b"Authorization: Bearer " + TOKEN + b".",
    "a newline's code behind": b"Authorization: Bearer " + TOKEN + b"%0a",
    "the scheme Basic": b"Authorization: Basic " + TOKEN,
    "the scheme Token": b"Authorization: Token " + TOKEN,
    "another field": b"X-Authorization: Bearer " + TOKEN,
    "an underscore": b"Author_ization: Bearer " + TOKEN,
    "Proxy-Authorization": b"Proxy-Authorization: Bearer " + TOKEN,
    "a cookie": b"Cookie: access_token=" + TOKEN,
    "the key's field": b"X-Api-Key: " + TOKEN,
}

CASES = [
    *(Case(group=GROUP, name=f"token: {name}", data=ask(b"/guarded/x", b"Authorization: Bearer " + token), verdicts=statuses(401, 400), ends=False, bodies=()) for name, token in _BAD_TOKENS.items()),
    *(Case(group=GROUP, name=f"good token by {name}", data=ask(b"/guarded/x", line), verdicts=statuses(401, 400), ends=False, bodies=()) for name, line in _SPELLINGS.items()),
    *(Case(group=GROUP, name=f"key: {name}", data=ask(b"/guarded/x", b"X-Api-Key: " + key), verdicts=statuses(401, 400), ends=False, bodies=())
      for name, key in {"made up": SECRET, "empty": b"", "of our form": b"gwk_c4nary_c4nary", "with a NUL's code": b"c4nary%00", "of high bytes": b"\xff\xfec4nary", "8000 bytes": b"c4nary" * 1300}.items()),
    Case(group=GROUP, name="good token", data=ask(b"/guarded/x", GOOD), verdicts=(OK,), ends=False, lacks=(b"authorization",)),
    Case(group=GROUP, name="good token in lower case", data=ask(b"/guarded/x", b"authorization: bearer " + TOKEN), verdicts=(OK,), ends=False, lacks=(b"authorization",)),
    Case(group=GROUP, name="good token in the query", data=ask(b"/guarded/x?access_token=c4nary"), verdicts=NO, ends=False, bodies=()),
    Case(group=GROUP, name="good token twice", data=ask(b"/guarded/x", GOOD, GOOD), verdicts=(BAD,), ends=False, bodies=()),
    Case(group=GROUP, name="good token, then a bad one", data=ask(b"/guarded/x", GOOD, b"authorization: Bearer c4nary"), verdicts=(BAD,), ends=False, bodies=()),
    Case(group=GROUP, name="bad token, then a good one", data=ask(b"/guarded/x", b"Authorization: Bearer c4nary", GOOD), verdicts=(BAD,), ends=False, bodies=()),
    Case(group=GROUP, name="good token and Basic", data=ask(b"/guarded/x", b"Authorization: Basic c4nary", GOOD), verdicts=(BAD,), ends=False, bodies=()),
    Case(group=GROUP, name="two tokens in a list", data=ask(b"/guarded/x", b"Authorization: Bearer " + TOKEN + b", Bearer " + TOKEN), verdicts=statuses(400, 401), ends=False, bodies=()),
    Case(group=GROUP, name="good token and a bad key", data=ask(b"/guarded/x", GOOD, b"X-Api-Key: c4nary"), verdicts=statuses(400, 401), ends=False, bodies=()),
    Case(group=GROUP, name="two keys", data=ask(b"/guarded/x", b"X-Api-Key: c4nary", b"x-api-key: c4nary2"), verdicts=(BAD,), ends=False, bodies=()),
    Case(group=GROUP, name="bad token on a public path", data=ask(b"/open/x", b"Authorization: Bearer c4nary"), verdicts=(OK,), ends=False, lacks=(b"authorization",)),
    Case(group=GROUP, name="good token, scope of nobody", data=ask(b"/admin/x", GOOD), verdicts=statuses(403), ends=False, bodies=()),
    Case(group=GROUP, name="good token, scope of nobody, roles claimed", data=ask(b"/admin/x", GOOD, b"X-Gateway-Roles: ev1l", b"X-Gateway-Scopes: ev1l"), verdicts=statuses(403), ends=False, bodies=()),
    # Decisions on what the client writes.
    Case(group=GROUP, name="condition holds", data=ask(b"/blue/x", GOOD, b"X-Tenant: blue"), verdicts=(OK,), ends=False),
    *(
        Case(group=GROUP, name=f"condition: {name}", data=ask(b"/blue/x", GOOD, *lines), verdicts=statuses(403), ends=False, bodies=())
        for name, lines in {
            "missing": (),
            "another": (b"X-Tenant: red",),
            "twice": (b"X-Tenant: blue", b"X-Tenant: red"),
            "twice the other way": (b"X-Tenant: red", b"x-tenant: blue"),
            "twice the same": (b"X-Tenant: blue", b"X-TENANT: blue"),
            "a list": (b"X-Tenant: blue, red",),
            "an underscore": (b"X_Tenant: blue",),
            "a dot": (b"X.Tenant: blue",),
            "capitals": (b"X-Tenant: BLUE",),
            "a no-break space": (b"X-Tenant: blue\xa0",),
            "a zero-width space": ("X-Tenant: blue\u200b".encode(),),
            "encoded": (b"X-Tenant: %62lue",),
            "quotes": (b'X-Tenant: "blue"',),
        }.items()
    ),
    Case(group=GROUP, name="parameter holds", data=ask(b"/keyed/x?key=right", GOOD), verdicts=(OK,), ends=False),
    *(
        Case(group=GROUP, name=f"parameter: {name}", data=ask(b"/keyed/x?" + query, GOOD), verdicts=statuses(403), ends=False, bodies=())
        for name, query in {
            "missing": b"",
            "twice": b"key=right&key=wrong",
            "twice the other way": b"key=wrong&key=right",
            "twice, once encoded": b"key=right&%6bey=wrong",
            "capitals": b"KEY=right",
            "behind a semicolon": b"a=b;key=right",
            "an array": b"key[]=right",
            "a NUL": b"key=right%00",
            "invalid UTF-8": b"key=right%ff",
            "a space": b"key=+right",
            "encoded twice": b"key=%2572ight",
            "behind a question mark": b"?key=right",
        }.items()
    ),
    *(
        Case(group=GROUP, name=f"denied: {name}", data=ask(b"/open/x", *lines), verdicts=statuses(*allowed), ends=False)
        for name, lines, allowed in (
            ("by the field", (b"X-Deny: 1",), (403,)),
            ("in capitals", (b"X-DENY: 1",), (403,)),
            ("empty", (b"X-Deny:",), (403,)),
            # A field that occurs twice is missing, and `present` is never unknown.
            ("twice", (b"X-Deny: 1", b"x-deny: 2"), (200, 403)),
            ("of high bytes", (b"X-Deny: \xff",), (200, 403)),
        )
    ),
    Case(group=GROUP, name="denied on our own paths", data=ask(b"/gateway/v1", b"X-Deny: 1"), verdicts=statuses(403), ends=False, bodies=()),
]
