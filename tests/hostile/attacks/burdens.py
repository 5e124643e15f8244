"""Resources: slowness, size and number, as far as one connection goes."""

import gzip

from hostile.case import OK, Case, ask, post, statuses

# fmt: off

GROUP = "burden"
_HEADER_TIMEOUT = 3.0
_IDLE = 1.0
_BOMB = gzip.compress(bytes(1_000_000), mtime=0)

CASES = [
    # Slowness; the limits are those of the configuration that is attacked.
    Case(group=GROUP, name="nothing at all", data=b"", verdicts=(), alone=True, way="whole", lasts=_HEADER_TIMEOUT),
    Case(group=GROUP, name="line ends alone", data=b"\r\n\r\n", verdicts=(), alone=True, way="whole", lasts=_HEADER_TIMEOUT),
    Case(group=GROUP, name="one byte", data=b"G", verdicts=statuses(408), alone=True, way="whole", lasts=_HEADER_TIMEOUT),
    Case(group=GROUP, name="half a request line", data=b"GET /open/x HT", verdicts=statuses(408), alone=True, way="whole", lasts=_HEADER_TIMEOUT),
    Case(group=GROUP, name="half a head", data=ask()[:-2], verdicts=statuses(408), alone=True, way="whole", lasts=_HEADER_TIMEOUT),
    Case(group=GROUP, name="a head that trickles", data=b"GET /open/x HTTP/1.1", verdicts=statuses(408), alone=True, way="bytes", pause=0.25, lasts=_HEADER_TIMEOUT),
    Case(group=GROUP, name="fields that trickle", data=ask(b"/open/x", *(b"X-%d: a" % n for n in range(10))), verdicts=statuses(408), alone=True, way="lines", pause=0.45, lasts=_HEADER_TIMEOUT),
    Case(group=GROUP, name="half a head behind a request", data=ask() + ask()[:-2], verdicts=(OK, frozenset({408})), alone=True, way="whole", lasts=_HEADER_TIMEOUT),
    Case(group=GROUP, name="no second request", data=ask(), verdicts=(OK,), ends=None, alone=True, way="whole", lasts=_HEADER_TIMEOUT),
    Case(group=GROUP, name="a body that stops", data=post(b"Content-Length: 50", body=b"hello", target=b"/lie/x"), verdicts=statuses(408), alone=True, may_begin=True, way="whole", lasts=_IDLE),
    Case(group=GROUP, name="chunks that stop", data=post(b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n5\r\n", target=b"/lie/x"), verdicts=statuses(408), alone=True, may_begin=True, way="whole", lasts=_IDLE),
    Case(group=GROUP, name="a chunk size that stops", data=post(b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n5;", target=b"/lie/x"), verdicts=statuses(408), alone=True, may_begin=True, way="whole", lasts=_IDLE),
    # Size and number.
    Case(group=GROUP, name="60 segments", data=ask(b"/open" + b"/a" * 60), verdicts=(OK,), ends=False),
    Case(group=GROUP, name="4000 segments", data=ask(b"/open" + b"/a" * 4000), verdicts=statuses(200, 404), ends=False),
    Case(group=GROUP, name="2700 escapes", data=ask(b"/open/" + b"%41" * 2700), verdicts=(OK,), ends=False),
    Case(group=GROUP, name="2700 escapes that are flawed at the end", data=ask(b"/open/" + b"%41" * 2700 + b"%"), verdicts=statuses(400), ends=None),
    Case(group=GROUP, name="4000 parameters", data=ask(b"/open/x?" + b"a&" * 4000), verdicts=(OK,), ends=False),
    Case(group=GROUP, name="2000 parameters with values", data=ask(b"/open/x?" + b"a=b&" * 2000), verdicts=(OK,), ends=False),
    Case(group=GROUP, name="8000 slashes", data=ask(b"/" * 8000), verdicts=statuses(400), ends=None),
    Case(group=GROUP, name="4000 dots", data=ask(b"/." * 4000), verdicts=statuses(400), ends=None),
    Case(group=GROUP, name="a host of many dots", data=ask(host=b"Host: " + b"a." * 15000 + b"!"), verdicts=statuses(400)),
    Case(group=GROUP, name="a type of many parameters", data=post(b"Content-Type: " + b"a;" * 15000, b"Content-Length: 0"), verdicts=(OK,), ends=False),
    Case(group=GROUP, name="a cookie of many parts", data=ask(b"/open/x", b"Cookie: gateway-device=1" + b";a" * 15000), verdicts=(OK,), ends=False),
    Case(group=GROUP, name="many hops", data=ask(b"/open/x", b"X-Forwarded-For: " + b"1.1.1.1," * 3500), verdicts=(OK,), ends=False),
    Case(group=GROUP, name="many options", data=ask(b"/open/x", b"Connection: " + b"x," * 15000), verdicts=(OK,), ends=False),
    Case(group=GROUP, name="a token of many dots", data=ask(b"/guarded/x", b"Authorization: Bearer " + b"a." * 10000), verdicts=statuses(401, 400), ends=None, bodies=()),
    Case(group=GROUP, name="250 fields", data=ask(b"/open/x", *(b"X-%x: a" % (n * 7919) for n in range(250))), verdicts=(OK,), ends=False),
    Case(group=GROUP, name="a bomb passes as it is", data=post(b"Content-Encoding: gzip", b"Content-Length: %d" % len(_BOMB), body=_BOMB), verdicts=(OK,), ends=False, bodies=(_BOMB,)),
    Case(group=GROUP, name="a bomb for a login", data=post(b"Content-Type: application/json", b"Content-Encoding: gzip", b"Content-Length: %d" % len(_BOMB), body=_BOMB, target=b"/gateway/v1/auth/login"), verdicts=statuses(400, 413, 415), ends=None, bodies=()),
    Case(group=GROUP, name="an unknown encoding passes as it is", data=post(b"Content-Encoding: br, zstd, cow", b"Content-Length: 5", body=b"hello"), verdicts=(OK,), ends=False, bodies=(b"hello",)),
    Case(group=GROUP, name="1000 chunks of a byte", data=post(b"Transfer-Encoding: chunked", body=b"1\r\nx\r\n" * 1000 + b"0\r\n\r\n"), verdicts=(OK,), ends=False, may_stop=True, bodies=(b"x" * 1000,)),
    Case(group=GROUP, name="1000 chunks of a byte with extensions", data=post(b"Transfer-Encoding: chunked", body=b"1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n" * 1000 + b"0\r\n\r\n"), verdicts=statuses(200, 400, 413), ends=None, may_begin=False),
    Case(group=GROUP, name="200 requests at once", data=ask() * 200, verdicts=(OK,) * 200, ends=False, way="whole"),
    Case(group=GROUP, name="200 refusals at once", data=ask(b"/admin/x") * 200, verdicts=(frozenset({401}),) * 200, ends=False, way="whole", bodies=()),
]
