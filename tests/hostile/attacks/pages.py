"""Pages of other origins: only listed ones may call, and no origin is ever told its own name back."""

from hostile.case import OK, PAGE, TOKEN, Case, ask, statuses

# fmt: off

GROUP = "page"
_ASK = b"Access-Control-Request-Method: GET"
_ORIGIN = b"Origin: " + PAGE
_ALLOWED = (b"access-control-allow-origin", b"access-control-allow-credentials", b"access-control-allow-methods")
_GOOD = b"Authorization: Bearer " + TOKEN

_FOREIGN = {
    "another origin": b"https://evil.example",
    "null": b"null",
    "a longer name": b"https://app.example.com.evil.example",
    "a name before": b"https://evil-app.example.com",
    "a subdomain": b"https://x.app.example.com",
    "the parent": b"https://example.com",
    "another scheme": b"http://app.example.com",
    "another port": b"https://app.example.com:8443",
    "the default port": b"https://app.example.com:443",
    "a slash": b"https://app.example.com/",
    "a dot": b"https://app.example.com.",
    "userinfo": b"https://app.example.com@evil.example",
    "userinfo before": b"https://x@app.example.com",
    "a list": b"https://app.example.com https://evil.example",
    "a list with a comma": b"https://app.example.com, https://evil.example",
    "a wildcard": b"*",
    "an underscore": b"https://app_example.com",
    "any character for the dot": b"https://appXexample.com",
    "a NUL's code": b"https://app.example.com%00",
    "a no-break space": b"https://app.example.com\xa0",
    "a high byte": b"https://app.example.com\xff",
    "empty": b"",
    "no scheme": b"app.example.com",
    "a backtick": b"https://app.example.com`.evil.example",
    "a file": b"file://",
}

CASES = [
    Case(group=GROUP, name="preflight", data=ask(b"/paged/x", _ORIGIN, _ASK, method=b"OPTIONS"), verdicts=statuses(204), ends=False, bodies=(), tells=(b"Access-Control-Allow-Origin: " + PAGE,)),
    Case(group=GROUP, name="call", data=ask(b"/paged/x", _ORIGIN), verdicts=(OK,), ends=False, tells=(b"Access-Control-Allow-Origin: " + PAGE,), has=(_ORIGIN,)),
    Case(group=GROUP, name="call without an origin", data=ask(b"/paged/x"), verdicts=(OK,), ends=False, hides=_ALLOWED, tells=(b"Vary: Origin",)),
    *(
        Case(group=GROUP, name=f"preflight from {name}", data=ask(b"/paged/x", b"Origin: " + origin, _ASK, method=b"OPTIONS"), verdicts=statuses(403, 400), ends=None, bodies=(), hides=_ALLOWED)
        for name, origin in _FOREIGN.items()
    ),
    *(
        Case(group=GROUP, name=f"call from {name}", data=ask(b"/paged/x", b"Origin: " + origin), verdicts=statuses(200, 400, 403), ends=None, hides=_ALLOWED)
        for name, origin in _FOREIGN.items()
    ),
    *(
        Case(group=GROUP, name=f"refused call from {name}", data=ask(b"/paged-guarded/x", b"Origin: " + origin), verdicts=statuses(401, 400), ends=None, bodies=(), hides=_ALLOWED)
        for name, origin in list(_FOREIGN.items())[:5]
    ),
    *(
        Case(group=GROUP, name=name, data=ask(b"/paged/x", *lines, method=b"OPTIONS"), verdicts=statuses(400, 403, 405), ends=None, bodies=(), hides=_ALLOWED)
        for name, lines in {
            "preflight with two origins": (_ORIGIN, b"Origin: https://evil.example", _ASK),
            "preflight with the origin twice": (_ORIGIN, _ORIGIN, _ASK),
            "preflight for another method": (_ORIGIN, b"Access-Control-Request-Method: POST"),
            "preflight for an unknown method": (_ORIGIN, b"Access-Control-Request-Method: FOO"),
            "preflight for a method in lower case": (_ORIGIN, b"Access-Control-Request-Method: get"),
            "preflight for a list of methods": (_ORIGIN, b"Access-Control-Request-Method: GET, POST"),
            "preflight for an empty method": (_ORIGIN, b"Access-Control-Request-Method:"),
            "preflight for TRACE": (_ORIGIN, b"Access-Control-Request-Method: TRACE"),
            "preflight for CONNECT": (_ORIGIN, b"Access-Control-Request-Method: CONNECT"),
            "preflight for two methods": (_ORIGIN, _ASK, b"Access-Control-Request-Method: POST"),
            "preflight for a method with a high byte": (_ORIGIN, b"Access-Control-Request-Method: GET\xff"),
            "OPTIONS that is none": (_ORIGIN,),
            "OPTIONS without an origin": (_ASK,),
        }.items()
    ),
    Case(group=GROUP, name="call with two origins", data=ask(b"/paged/x", _ORIGIN, b"Origin: https://evil.example"), verdicts=statuses(200, 400), ends=None, hides=_ALLOWED),
    Case(group=GROUP, name="call by an underscore", data=ask(b"/paged/x", b"Ori_gin: " + PAGE), verdicts=(OK,), ends=False, hides=_ALLOWED),
    Case(group=GROUP, name="preflight with a body", data=ask(b"/paged/x", _ORIGIN, _ASK, b"Content-Length: 5", method=b"OPTIONS", body=b"hello"), verdicts=statuses(204, 400), ends=None, bodies=()),
    Case(group=GROUP, name="preflight with broken chunks", data=ask(b"/paged/x", _ORIGIN, _ASK, b"Transfer-Encoding: chunked", method=b"OPTIONS", body=b"zz\r\n"), verdicts=statuses(204, 400), bodies=()),
    Case(group=GROUP, name="preflight of an ambiguous path", data=ask(b"/paged/../admin", _ORIGIN, _ASK, method=b"OPTIONS"), verdicts=statuses(400), ends=None, bodies=(), hides=_ALLOWED),
    Case(group=GROUP, name="preflight of nothing", data=ask(b"/nowhere", _ORIGIN, _ASK, method=b"OPTIONS"), verdicts=statuses(404), ends=None, bodies=(), hides=_ALLOWED),
    Case(group=GROUP, name="preflight where no page may call", data=ask(b"/admin/x", _ORIGIN, _ASK, method=b"OPTIONS"), verdicts=statuses(401, 403, 405), ends=None, bodies=(), hides=_ALLOWED),
    Case(group=GROUP, name="preflight that a rule denies", data=ask(b"/paged/x", _ORIGIN, _ASK, b"X-Deny: 1", method=b"OPTIONS"), verdicts=statuses(403), ends=None, bodies=()),
    Case(group=GROUP, name="preflight of a guarded path", data=ask(b"/paged-guarded/x", _ORIGIN, _ASK, method=b"OPTIONS"), verdicts=statuses(204), ends=False, bodies=()),
    Case(group=GROUP, name="preflight with credentials", data=ask(b"/paged-guarded/x", _ORIGIN, _ASK, b"Authorization: Bearer c4nary", method=b"OPTIONS"), verdicts=statuses(204), ends=False, bodies=()),
    Case(group=GROUP, name="guarded call", data=ask(b"/paged-guarded/x", _ORIGIN, _GOOD), verdicts=(OK,), ends=False, tells=(b"Access-Control-Allow-Origin: " + PAGE,), hides=(b"access-control-allow-credentials",)),
    Case(group=GROUP, name="call where no page may call", data=ask(b"/open/x", _ORIGIN), verdicts=(OK,), ends=False, hides=_ALLOWED),
    Case(group=GROUP, name="a page asks for our own paths", data=ask(b"/gateway/v1", b"Origin: https://evil.example"), verdicts=(OK,), ends=False, bodies=(), hides=_ALLOWED),
    Case(group=GROUP, name="preflight of our own paths", data=ask(b"/gateway/v1/auth/login", b"Origin: https://evil.example", b"Access-Control-Request-Method: POST", method=b"OPTIONS"), verdicts=statuses(403, 404, 405), ends=None, bodies=(), hides=_ALLOWED),
]
