"""What comes through a trusted proxy: the client is the right-most hop that nobody trusts, and no other."""

from hostile.case import CLIENT, OK, Case, ask, statuses

# fmt: off

GROUP = "proxy"
_FOR = b"X-Forwarded-For: "

_HOPS = {
    "one hop": (_FOR + CLIENT,),
    "a claim before": (_FOR + b"127.0.0.1, " + CLIENT,),
    "ten claims before": (_FOR + b"127.0.0.1, " * 10 + CLIENT,),
    "a word before": (_FOR + b"unknown, " + CLIENT,),
    "garbage before": (_FOR + b"<script>, \xff, " + CLIENT,),
    "empty hops before": (_FOR + b", , " + CLIENT,),
    "a claim in a line before": (_FOR + b"127.0.0.1", _FOR + CLIENT),
    "a claim in a line of other case": (b"x-forwarded-for: 10.255.255.255", _FOR + CLIENT),
    "a trusted hop behind": (_FOR + CLIENT + b", 127.220.255.254",),
    "a trusted hop behind in a line of its own": (_FOR + CLIENT, _FOR + b"127.220.255.254"),
    "another claim": (_FOR + CLIENT, b"Forwarded: for=127.0.0.1", b"X-Real-IP: 127.0.0.1", b"True-Client-IP: 127.0.0.1"),
    "claims by an underscore": (_FOR + CLIENT, b"X_Forwarded_For: 127.0.0.1", b"X.Forwarded.For: 127.0.0.1"),
    "nominated for removal": (_FOR + CLIENT, b"Connection: X-Forwarded-For"),
    "a port": (_FOR + CLIENT + b":4711",),
}
_STRIPPED = (
    b"X-Gateway-Subject: ev1l",
    b"X_Gateway_Roles: ev1l",
    b"X-User: ev1l",
    b"X-Remote-User: ev1l",
    b"X-Original-URL: /ev1l",
    b"X-HTTP-Method-Override: ev1l",
    b"X-Request-Id: ev1l",
    b"X-Envoy-Internal: ev1l",
    b"X-Internal-A: ev1l",
)

CASES = [
    *(
        Case(group=GROUP, name=name, data=ask(b"/open/x", *lines, b"X-Last: 1", b"Connection: close"), verdicts=(OK,), alone=True, by_proxy=True)
        for name, lines in _HOPS.items()
    ),
    Case(group=GROUP, name="identities", data=ask(b"/open/x", _FOR + CLIENT, *_STRIPPED, b"Connection: close"), verdicts=(OK,), alone=True, by_proxy=True),
    Case(group=GROUP, name="another host", data=ask(b"/admin/x", _FOR + CLIENT, b"X-Forwarded-Host: outside.example", b"Connection: close"), verdicts=statuses(401), alone=True, by_proxy=True),
    Case(group=GROUP, name="a scheme that is none", data=ask(b"/open/x", _FOR + CLIENT, b"X-Forwarded-Proto: javascript", b"Connection: close"), verdicts=(OK,), alone=True, by_proxy=True, has=(b"X-Forwarded-Proto: http",)),
    Case(group=GROUP, name="two schemes", data=ask(b"/open/x", _FOR + CLIENT, b"X-Forwarded-Proto: https", b"X-Forwarded-Proto: http", b"Connection: close"), verdicts=(OK,), alone=True, by_proxy=True, has=(b"X-Forwarded-Proto: http",)),
]
