"""Methods: unknown ones, other spellings, overrides, and what borrows the rights of another."""

from hostile.case import OK, TOKEN, Case, ask, statuses

# fmt: off

GROUP = "method"
_AUTHORIZATION = b"Authorization: Bearer " + TOKEN

_NONE = {
    "unknown": b"FOO",
    "lower case": b"get",
    "mixed case": b"Get",
    "a letter more": b"GETT",
    "a letter less": b"GE",
    "one letter": b"G",
    "a space inside": b"G ET",
    "a slash": b"GET/",
    "a colon": b"GET:",
    "a comma": b"GET,POST",
    "an equals sign": b"method=GET",
    "a NUL": b"GE\x00T",
    "a NUL behind": b"GET\x00",
    "a NUL before": b"\x00GET",
    "a delete": b"GET\x7f",
    "a high byte": b"G\xcbT",
    "fullwidth": "ＧＥＴ".encode(),
    "quotes": b'"GET"',
    "a bracket": b"[GET]",
    "a dash": b"GET-",
    "an asterisk": b"*",
    "a number": b"123",
    "200 letters": b"A" * 200,
    "20000 letters": b"A" * 20000,
    "TRACK": b"TRACK",
    "DEBUG": b"DEBUG",
    "BREW": b"BREW",
    "HTTP": b"HTTP",
    "the preface": b"PRI",
    "SSH": b"SSH-2.0",
}
"""No methods of the parser's: 501, or 400 where it is no token."""

_KNOWN = (b"PROPFIND", b"MKCOL", b"LOCK", b"SEARCH", b"REPORT", b"PURGE", b"LINK", b"M-SEARCH", b"SUBSCRIBE", b"MKCALENDAR", b"QUERY", b"BIND", b"ACL")
_FOREIGN = (b"DESCRIBE", b"ANNOUNCE", b"SETUP", b"PLAY", b"PAUSE", b"TEARDOWN", b"GET_PARAMETER", b"SET_PARAMETER", b"REDIRECT", b"RECORD", b"FLUSH", b"SOURCE")

CASES = [
    *(Case(group=GROUP, name=name, data=ask(method=method), verdicts=statuses(400, 405, 501), bodies=()) for name, method in _NONE.items()),
    *(Case(group=GROUP, name=f"{method.decode()} on a public path", data=ask(method=method), verdicts=statuses(405, 501, 400), ends=None, bodies=()) for method in _KNOWN + _FOREIGN),
    *(Case(group=GROUP, name=f"{method.decode()} on a protected path", data=ask(b"/admin/x", method=method), verdicts=statuses(405, 501, 400), ends=None, bodies=()) for method in _KNOWN[:4] + _FOREIGN[:2]),
    Case(group=GROUP, name="DELETE where there is GET", data=ask(b"/guarded/x", _AUTHORIZATION, method=b"DELETE"), verdicts=statuses(405), ends=None, bodies=()),
    Case(group=GROUP, name="HEAD as GET, protected", data=ask(b"/admin/x", method=b"HEAD"), verdicts=statuses(401), ends=False, to_head=True, bodies=()),
    Case(group=GROUP, name="HEAD as GET, named", data=ask(b"/named/x", _AUTHORIZATION, method=b"HEAD"), verdicts=(OK,), ends=False, to_head=True, has=(b"X-Gateway-Roles: reader",)),
    Case(group=GROUP, name="HEAD of an ambiguous path", data=ask(b"/open/../admin", method=b"HEAD"), verdicts=statuses(400), ends=None, to_head=True, bodies=()),
    Case(group=GROUP, name="HEAD of nothing", data=ask(b"/nowhere", method=b"HEAD"), verdicts=statuses(404), ends=False, to_head=True, bodies=()),
    Case(group=GROUP, name="OPTIONS on a protected path", data=ask(b"/admin/x", method=b"OPTIONS"), verdicts=statuses(401, 405), ends=None, bodies=()),
    Case(group=GROUP, name="OPTIONS that looks like a preflight", data=ask(b"/admin/x", b"Origin: https://evil.example", b"Access-Control-Request-Method: GET", method=b"OPTIONS"), verdicts=statuses(401, 403, 405), ends=None, bodies=()),
    Case(group=GROUP, name="OPTIONS with an override", data=ask(b"/admin/x", b"X-HTTP-Method-Override: GET", b"Access-Control-Request-Method: DELETE", method=b"OPTIONS"), verdicts=statuses(401, 405), ends=None, bodies=()),
    Case(group=GROUP, name="POST with an override", data=ask(b"/guarded/x", b"X-HTTP-Method-Override: DELETE", b"X-Method-Override: ev1l", b"Content-Length: 0", _AUTHORIZATION, method=b"POST"), verdicts=(OK,), ends=False, lacks=(b"x-http-method-override", b"x-method-override")),
    Case(group=GROUP, name="an override in the query", data=ask(b"/open/x?_method=DELETE"), verdicts=(OK,), ends=False),
    Case(group=GROUP, name="an override in the body", data=ask(b"/open/x", b"Content-Length: 14", method=b"POST", body=b"_method=DELETE"), verdicts=(OK,), ends=False, bodies=(b"_method=DELETE",)),
]
