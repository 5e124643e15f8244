"""The gateway's own endpoints, which read bodies and answer for themselves."""

from hostile.case import Case, ask, post, statuses

# fmt: off

GROUP = "own"
_LOGIN = b"/gateway/v1/auth/login"
_JSON = b"Content-Type: application/json"


def _login(body: bytes, *lines: bytes) -> bytes:
    return post(*(lines or (_JSON,)), b"Content-Length: %d" % len(body), body=body, target=_LOGIN)


_BAD_BODIES = {
    "empty": b"",
    "no JSON": b"c4nary",
    "half": b'{"username": "mallory", "password": "c4nary',
    "a list": b"[]",
    "null": b"null",
    "a number": b"1",
    "a string": b'"c4nary"',
    "an empty object": b"{}",
    "a member twice": b'{"username":"a","username":"mallory","password":"c4nary"}',
    "a member of the wrong kind": b'{"username":1,"password":["c4nary"]}',
    "a member of an object": b'{"username":{"$ne":""},"password":{"$ne":"c4nary"}}',
    "an unknown member": b'{"username":"mallory","password":"c4nary","role":"admin"}',
    "NaN": b'{"username":NaN,"password":"c4nary"}',
    "a huge number": b'{"username":1' + b"0" * 5000 + b',"password":"c4nary"}',
    "nested deeply": b"[" * 30000 + b"]" * 30000,
    "objects nested deeply": b'{"a":' * 8000 + b"1" + b"}" * 8000,
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"username":"a"}'.encode("utf-16"),
    "invalid UTF-8": b'{"username":"\xff","password":"c4nary"}',
    "a lone surrogate": b'{"username":"\\ud800","password":"c4nary"}',
    "a control character": b'{"username":"a\nb","password":"c4nary"}',
    "a NUL": b'{"username":"mallory\\u0000","password":"c4nary"}',
    "a comment": b'{"username":"a"/**/,"password":"c4nary"}',
    "trailing bytes": b'{"username":"a","password":"c4nary"} x',
}

_HASHED = {"an unknown member", "a NUL", "trailing bytes", "a lone surrogate"}
"""Those that may be answered only after a password was hashed, which takes its time."""

CASES = [
    *(Case(group=GROUP, name=f"login with {name}", data=_login(body), verdicts=statuses(400, 401), ends=None, bodies=(), way="whole" if name in _HASHED else None, lasts=5.0 if name in _HASHED else 0.0) for name, body in _BAD_BODIES.items()),
    Case(group=GROUP, name="login with a bad password", data=_login(b'{"username":"mallory","password":"c4nary"}'), verdicts=statuses(401), ends=None, bodies=(), way="whole", lasts=5.0),
    Case(group=GROUP, name="login as form", data=_login(b"username=mallory&password=c4nary", b"Content-Type: application/x-www-form-urlencoded"), verdicts=statuses(415), ends=None, bodies=()),
    Case(group=GROUP, name="login as text", data=_login(b"{}", b"Content-Type: text/plain"), verdicts=statuses(415), ends=None, bodies=()),
    Case(group=GROUP, name="login without a type", data=_login(b"{}", b"X-A: b"), verdicts=statuses(400, 415), ends=None, bodies=()),
    Case(group=GROUP, name="login with two types", data=_login(b"{}", _JSON, b"content-type: text/plain"), verdicts=statuses(400, 415), ends=None, bodies=()),
    Case(group=GROUP, name="login with a gzipped body", data=_login(b"\x1f\x8b\x08" + bytes(20), _JSON, b"Content-Encoding: gzip"), verdicts=statuses(400, 415), ends=None, bodies=()),
    Case(group=GROUP, name="login with another charset", data=_login(b"{}", b"Content-Type: application/json; charset=utf-7"), verdicts=statuses(400, 415), ends=None, bodies=()),
    Case(group=GROUP, name="login of 100 KiB", data=_login(b'{"username":"' + b"a" * 102400 + b'"}'), verdicts=statuses(400, 413), ends=None, bodies=()),
    Case(group=GROUP, name="login of an announced gigabyte", data=post(_JSON, b"Content-Length: 1073741824", target=_LOGIN), verdicts=statuses(413), alone=True, bodies=()),
    Case(group=GROUP, name="login of chunks without end", data=post(_JSON, b"Transfer-Encoding: chunked", target=_LOGIN, body=b"4000\r\n" + b" " * 16384 + b"\r\n" + b"ffff\r\n" + b" " * 65535 + b"\r\n"), verdicts=statuses(413, 400), ends=None, bodies=()),
    Case(group=GROUP, name="login of a broken chunk", data=post(_JSON, b"Transfer-Encoding: chunked", target=_LOGIN, body=b"zz\r\n"), bodies=()),
    Case(group=GROUP, name="login by GET", data=ask(_LOGIN), verdicts=statuses(405), ends=None, bodies=()),
    Case(group=GROUP, name="login by GET with a password in the query", data=ask(_LOGIN + b"?username=mallory&password=c4nary"), verdicts=statuses(405), ends=None, bodies=()),
    Case(group=GROUP, name="login with a Host of somebody else", data=ask(b"/gateway/v1", host=b"Host: evil.example"), verdicts=statuses(200), ends=False, bodies=()),
    Case(group=GROUP, name="me without credentials", data=ask(b"/gateway/v1/auth/me"), verdicts=statuses(401), ends=False, bodies=()),
    Case(group=GROUP, name="me with an encoded slash", data=ask(b"/gateway%2fv1/auth/me"), verdicts=statuses(400), ends=None, bodies=()),
    Case(group=GROUP, name="me with a slash more", data=ask(b"/gateway/v1/auth/me/"), verdicts=statuses(404), ends=False, bodies=()),
    Case(group=GROUP, name="gateway without anything", data=ask(b"/gateway/"), verdicts=statuses(404), ends=False, bodies=()),
    Case(group=GROUP, name="what operators have", data=ask(b"/gateway/v1/audit"), verdicts=statuses(404, 401), ends=False, bodies=()),
    Case(group=GROUP, name="metrics", data=ask(b"/metrics"), verdicts=statuses(404), ends=False, bodies=()),
    Case(group=GROUP, name="readiness", data=ask(b"/readyz"), verdicts=statuses(404), ends=False, bodies=()),
    Case(group=GROUP, name="console", data=ask(b"/console/"), verdicts=statuses(404), ends=False, bodies=()),
    Case(group=GROUP, name="keys with a body", data=ask(b"/.well-known/jwks.json", b"Content-Length: 5", body=b"hello"), verdicts=statuses(200), ends=None, bodies=()),
    Case(group=GROUP, name="keys by HEAD", data=ask(b"/.well-known/jwks.json", method=b"HEAD"), verdicts=statuses(200), ends=False, to_head=True, bodies=()),
]
