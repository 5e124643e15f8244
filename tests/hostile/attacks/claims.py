"""Identity and forwarding fields: what a client says about itself never reaches an upstream."""

from hostile.case import OK, TOKEN, Case, ask, post, statuses

# fmt: off

GROUP = "claim"

_NAMES = (
    b"X-Gateway-Subject",
    b"X-Gateway-Roles",
    b"X-Gateway-Scopes",
    b"X-Gateway-Auth-Kind",
    b"X-Gateway-Assertion",
    b"X-Gateway-Anything",
    b"X-Gateway-",
    b"X-Request-Id",
    b"Forwarded",
    b"X-Forwarded-For",
    b"X-Forwarded-Proto",
    b"X-Forwarded-Host",
    b"X-Forwarded-Port",
    b"X-Forwarded-Prefix",
    b"X-Forwarded-User",
    b"X-Forwarded-Groups",
    b"X-Forwarded-Email",
    b"X-Forwarded-Access-Token",
    b"X-Forwarded-Client-Cert",
    b"X-Forwarded-Tls-Client-Cert",
    b"X-Forwarded-",
    b"X-Real-IP",
    b"X-Client-IP",
    b"True-Client-IP",
    b"CF-Connecting-IP",
    b"X-Cluster-Client-IP",
    b"X-Original-URL",
    b"X-Rewrite-URL",
    b"X-Original-Method",
    b"X-HTTP-Method",
    b"X-HTTP-Method-Override",
    b"X-Method-Override",
    b"X-Envoy-External-Address",
    b"X-Envoy-Original-Path",
    b"X-Envoy-Internal",
    b"X-User",
    b"X-User-Id",
    b"X-User-Roles",
    b"X-Remote-User",
    b"X-Internal-Secret",
)


def _spellings(name: bytes) -> list[bytes]:
    value = b": ev1l"
    under, dotted = name.replace(b"-", b"_"), name.replace(b"-", b".")
    mixed = name.replace(b"-", b"_", 1)
    return [
        each + value
        for each in (name, name.upper(), name.lower(), name.swapcase(), under, under.upper(), dotted, mixed, name)
    ]


_AUTHORIZATION = b"Authorization: Bearer " + TOKEN
_ALL = [name + b": ev1l" for name in _NAMES]
_ALL_UNDERSCORED = [name.replace(b"-", b"_") + b": ev1l" for name in _NAMES]
_CREDENTIALS = {
    "a token": (b"Authorization: Bearer c4nary", (b"authorization",)),
    "a token in lower case": (b"authorization: bearer c4nary", (b"authorization",)),
    "a token behind a tab": (b"Authorization: Bearer\tc4nary", (b"authorization",)),
    "an empty token": (b"Authorization: Bearer", (b"authorization",)),
    "a key": (b"X-Api-Key: c4nary", (b"x-api-key",)),
    "a key in capitals": (b"X-API-KEY: c4nary", (b"x-api-key",)),
    "a key by underscores": (b"X_Api_Key: c4nary", (b"x_api_key",)),
    "a key by dots": (b"x.api.key: c4nary", (b"x.api.key",)),
    "a token by an underscore": (b"Authori_zation: Basic c4nary", ()),
}
_PASSES = {
    "Basic": b"Authorization: Basic c4naryc4nary",
    "a scheme like Bearer": b"Authorization: BearerToken c4nary",
    "a name like ours": b"X-Gatewayish: 1",
    "a name like a user's": b"X-Userland: 1",
    "a name like a forwarding one": b"X-Forwardedish: 1",
    "a cookie": b"Cookie: session=c4nary",
    "an odd cookie": b'Cookie: ;;a=b; =; "',
    "a referrer": b"Referer: http://evil.example/?a",
    "an origin": b"Origin: null",
    "Via": b"Via: 1.1 a, 1.1 b",
    "max forwards": b"Max-Forwards: 0",
    "a range bomb": b"Range: bytes=" + b",".join(b"%d-%d" % (n, n) for n in range(500)),
    "an accept bomb": b"Accept: " + b",".join([b"a/b;q=0.1"] * 500),
}

CASES = [
    *(
        Case(group=GROUP, name=name.decode(), data=ask(b"/open/x", *_spellings(name)), verdicts=(OK,), ends=False)
        for name in _NAMES
    ),
    Case(group=GROUP, name="all at once", data=ask(b"/open/x", *_ALL), verdicts=(OK,), ends=False),
    Case(group=GROUP, name="all at once by underscores", data=ask(b"/open/x", *_ALL_UNDERSCORED), verdicts=(OK,), ends=False),
    Case(group=GROUP, name="all at once in a list", data=ask(b"/open/x", *(line + b", ev1l" for line in _ALL)), verdicts=(OK,), ends=False),
    Case(group=GROUP, name="all at once, twice", data=ask(b"/open/x", *_ALL, *_ALL), verdicts=(OK,), ends=False),
    Case(group=GROUP, name="all at once on a signed route", data=ask(b"/guarded/x", *_ALL, _AUTHORIZATION), verdicts=(OK,), ends=False),
    Case(group=GROUP, name="all at once on a named route", data=ask(b"/named/x", *_ALL, _AUTHORIZATION), verdicts=(OK,), ends=False, has=(b"X-Gateway-Roles: reader", b"X-Gateway-Scopes: things:read", b"X-Gateway-Auth-Kind: gateway_jwt")),
    Case(group=GROUP, name="all at once by underscores on a named route", data=ask(b"/named/x", *_ALL_UNDERSCORED, _AUTHORIZATION), verdicts=(OK,), ends=False, has=(b"X-Gateway-Roles: reader",)),
    Case(group=GROUP, name="all at once without credentials", data=ask(b"/named/x", *_ALL), verdicts=statuses(401), ends=False, bodies=()),
    Case(group=GROUP, name="all at once in trailers", data=post(b"Transfer-Encoding: chunked", body=b"0\r\n" + b"\r\n".join(_ALL) + b"\r\n\r\n"), verdicts=(OK,), ends=False, may_stop=True),
    Case(group=GROUP, name="all at once, announced in Trailer", data=post(b"Transfer-Encoding: chunked", b"Trailer: X-Gateway-Subject, X-User", body=b"0\r\n" + b"\r\n".join(_ALL) + b"\r\n\r\n"), verdicts=(OK,), ends=False, may_stop=True, lacks=(b"trailer",)),
    Case(group=GROUP, name="all at once with empty values", data=ask(b"/open/x", *(name + b":" for name in _NAMES)), verdicts=(OK,), ends=False),
    Case(group=GROUP, name="another path in the fields", data=ask(b"/open/x", b"X-Original-URL: /admin/ev1l", b"X-Rewrite-URL: /admin/ev1l", b"X-Envoy-Original-Path: /admin/ev1l"), verdicts=(OK,), ends=False),
    Case(group=GROUP, name="a public path in the fields", data=ask(b"/admin/x", b"X-Original-URL: /open/ev1l", b"X-Rewrite-URL: /open/ev1l"), verdicts=statuses(401), ends=False, bodies=()),
    Case(group=GROUP, name="another method in the fields", data=ask(b"/admin/x", b"X-HTTP-Method-Override: OPTIONS", b"X-HTTP-Method: OPTIONS"), verdicts=statuses(401), ends=False, bodies=()),
    Case(group=GROUP, name="an address of the house", data=ask(b"/open/x", b"X-Forwarded-For: 127.0.0.1, ev1l", b"Forwarded: for=127.0.0.1;ev1l=1", b"X-Real-IP: 127.0.0.1ev1l"), verdicts=(OK,), ends=False),
    Case(group=GROUP, name="an id with a line end", data=ask(b"/open/x", b"X-Request-Id: a%0d%0aev1l"), verdicts=(OK,), ends=False),
    Case(group=GROUP, name="ten addresses in ten lines", data=ask(b"/open/x", *([b"X-Forwarded-For: 10.0.0.1, ev1l"] * 10)), verdicts=(OK,), ends=False),
    Case(group=GROUP, name="https without being it", data=ask(b"/open/x", b"X-Forwarded-Proto: https, ev1l", b"X-Forwarded-Ssl: on ev1l"), verdicts=(OK,), ends=False, has=(b"X-Forwarded-Proto: http",)),
    Case(group=GROUP, name="a broken trace", data=ask(b"/open/x", b"traceparent: ev1l", b"tracestate: ev1l=1"), verdicts=(OK,), ends=False),
    Case(group=GROUP, name="two traces", data=ask(b"/open/x", b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", b"traceparent: 00-ev1l"), verdicts=(OK,), ends=False),
    Case(group=GROUP, name="the gateway's cookie", data=ask(b"/open/x", b"Cookie: a=1; __Host-gateway-device=ev1l; b=2"), verdicts=(OK,), ends=False, has=(b"Cookie: a=1; b=2",)),
    Case(group=GROUP, name="the gateway's cookie alone", data=ask(b"/open/x", b"Cookie: __Host-gateway-device=ev1l"), verdicts=(OK,), ends=False),
    Case(group=GROUP, name="the gateway's cookie without a space", data=ask(b"/open/x", b"Cookie: a=1;__Host-gateway-session=ev1l;b=2"), verdicts=(OK,), ends=False),
    Case(group=GROUP, name="the gateway's cookie in another line", data=ask(b"/open/x", b"Cookie: a=1", b"cookie: __Host-gateway-device=ev1l"), verdicts=(OK,), ends=False, has=(b"Cookie: a=1",)),
    Case(group=GROUP, name="the gateway's cookie with a tab", data=ask(b"/open/x", b"Cookie: a=1;\t__Host-gateway-device=ev1l"), verdicts=(OK,), ends=False),
    *(
        Case(group=GROUP, name=f"credentials: {name}", data=ask(b"/open/x", line), verdicts=(OK,), ends=False, lacks=lacks)
        for name, (line, lacks) in _CREDENTIALS.items()
    ),
    *(
        Case(group=GROUP, name=f"passes: {name}", data=ask(b"/open/x", line), verdicts=(OK,), ends=False, has=(line,))
        for name, line in _PASSES.items()
    ),
]
