"""WebSocket: what is behind a handshake is a tunnel or nothing, and never a request."""

from hostile.case import OK, PAGE, TOKEN, Case, ask, post, statuses
from hostile.sending import AFTER

# fmt: off

GROUP = "socket"
UPGRADE = (b"Connection: Upgrade", b"Upgrade: websocket")
VERSION = b"Sec-WebSocket-Version: 13"
KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
SHAKE = (*UPGRADE, VERSION, KEY)
FRAME = b"\x81\x85\x01\x02\x03\x04\x69\x67\x6f\x68\x6e"
_ADMIN = ask(b"/admin/x")
_SWITCHED = statuses(101)
_PATH = b"/socket/x"


def _shake(*lines: bytes, target: bytes = _PATH) -> bytes:
    return ask(target, *SHAKE, *lines)


_TUNNELLED = {
    "a handshake": b"",
    "a frame in the same segment": FRAME,
    "100 frames in the same segment": FRAME * 100,
    "a request in the same segment": _ADMIN,
    "two requests in the same segment": _ADMIN + ask(),
    "garbage in the same segment": b"\x00\xff\x00\xff",
    "line ends in the same segment": b"\r\n\r\n\r\n",
    "a frame without a mask": b"\x81\x05hello",
    "a frame of 2^63 bytes": b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00hello",
    "a frame of an unknown kind": b"\x83\x80\x00\x00\x00\x00",
    "a frame with reserved bits": b"\xf1\x80\x00\x00\x00\x00",
    "a ping of 125 bytes": b"\x89\xfd\x00\x00\x00\x00" + b"x" * 125,
    "a ping that is too long": b"\x89\xfe\x00\x7e\x00\x00\x00\x00" + b"x" * 126,
    "a close frame and a request": b"\x88\x82\x00\x00\x00\x00\x03\xe8" + _ADMIN,
    "TLS in the same segment": b"\x16\x03\x01\x02\x00",
}
"""Carried as they came, whatever they are: the upstream agreed to them."""

_MALFORMED = {
    "no key": (*UPGRADE, VERSION),
    "an empty key": (*UPGRADE, VERSION, b"Sec-WebSocket-Key:"),
    "a short key": (*UPGRADE, VERSION, b"Sec-WebSocket-Key: AAAA"),
    "a long key": (*UPGRADE, VERSION, b"Sec-WebSocket-Key: " + b"A" * 40 + b"=="),
    "a key that is no base64": (*UPGRADE, VERSION, b"Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!=="),
    "a key of high bytes": (*UPGRADE, VERSION, b"Sec-WebSocket-Key: " + b"\xff" * 24),
    "two keys": (*SHAKE, KEY),
    "two different keys": (*SHAKE, b"sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA=="),
    "a key of the old protocol": (*UPGRADE, b"Sec-WebSocket-Key1: 1 2 3", b"Sec-WebSocket-Key2: 4 5 6"),
    "no version": (*UPGRADE, KEY),
    "version 12": (*UPGRADE, b"Sec-WebSocket-Version: 12", KEY),
    "version 0": (*UPGRADE, b"Sec-WebSocket-Version: 0", KEY),
    "version 13, 8": (*UPGRADE, b"Sec-WebSocket-Version: 13, 8", KEY),
    "version 013": (*UPGRADE, b"Sec-WebSocket-Version: 013", KEY),
    "two versions": (*SHAKE, b"Sec-WebSocket-Version: 8"),
    "an upgrade to more": (b"Connection: Upgrade", b"Upgrade: websocket, h2c", VERSION, KEY),
    "an upgrade to others first": (b"Connection: Upgrade", b"Upgrade: h2c, websocket", VERSION, KEY),
    "two upgrades": (*SHAKE, b"Upgrade: h2c"),
    "the upgrade twice": (*SHAKE, b"Upgrade: websocket"),
    "a length": (*SHAKE, b"Content-Length: 5"),
    "a coding": (*SHAKE, b"Transfer-Encoding: chunked"),
    "a length and a coding": (*SHAKE, b"Content-Length: 5", b"Transfer-Encoding: chunked"),
}

_OTHERS = {
    "another protocol's name inside": b"notwebsocket",
    "a version": b"websocket/13",
    "quotes": b'"websocket"',
    "a no-break space": b"websocket\xa0",
}
"""Upgrades to something else: refused, or ignored and the connection ended."""

_FOREIGN = {
    "another origin": b"https://evil.example",
    "null": b"null",
    "a longer name": b"https://app.example.com.evil.example",
    "another scheme": b"http://app.example.com",
    "a slash": b"https://app.example.com/",
    "a list": b"https://app.example.com, https://evil.example",
    "a high byte": b"https://app.example.com\xff",
    "empty": b"",
}

CASES = [
    *(
        Case(group=GROUP, name=f"tunnel: {name}", data=_shake() + data, verdicts=_SWITCHED, bodies=(data + AFTER,), has=(b"Upgrade: websocket", b"Connection: Upgrade"), lasts=2.0)
        for name, data in _TUNNELLED.items()
    ),
    Case(group=GROUP, name="tunnel: its own origin", data=_shake(b"Origin: " + PAGE), verdicts=_SWITCHED, bodies=(AFTER,), lasts=2.0),
    Case(group=GROUP, name="tunnel: in capitals", data=ask(_PATH, b"CONNECTION: keep-alive, UPGRADE", b"UPGRADE: WEBSOCKET", VERSION, KEY), verdicts=statuses(101, 400), lasts=2.0),
    Case(group=GROUP, name="tunnel: a length of zero", data=_shake(b"Content-Length: 0"), verdicts=statuses(101, 400), lasts=2.0),
    Case(group=GROUP, name="tunnel: guarded", data=_shake(b"Authorization: Bearer " + TOKEN, target=b"/socket-guarded/x"), verdicts=_SWITCHED, bodies=(AFTER,), lacks=(b"authorization",), lasts=2.0),
    Case(group=GROUP, name="tunnel: identities claimed", data=_shake(b"X-Gateway-Subject: ev1l", b"X-Forwarded-For: ev1l", b"X_User: ev1l", b"Connection: X-Request-Id"), verdicts=statuses(101, 400, 200), lasts=2.0),
    Case(group=GROUP, name="tunnel: nominates the handshake", data=ask(_PATH, b"Connection: Upgrade, Sec-WebSocket-Key, Sec-WebSocket-Version, Host", b"Upgrade: websocket", VERSION, KEY), verdicts=statuses(101, 400, 502), lasts=2.0),
    *(
        Case(group=GROUP, name=f"malformed: {name}", data=ask(_PATH, *lines) + FRAME, verdicts=statuses(400, 426), bodies=())
        for name, lines in _MALFORMED.items()
    ),
    *(
        Case(group=GROUP, name=f"upgrade to {name}", data=ask(_PATH, b"Connection: Upgrade", b"Upgrade: " + protocol, VERSION, KEY) + _ADMIN + FRAME, verdicts=statuses(200, 400, 426))
        for name, protocol in _OTHERS.items()
    ),
    *(
        Case(group=GROUP, name=f"page of {name}", data=_shake(b"Origin: " + origin) + _ADMIN, verdicts=statuses(403, 400), bodies=())
        for name, origin in _FOREIGN.items()
    ),
    Case(group=GROUP, name="page of two origins", data=_shake(b"Origin: " + PAGE, b"Origin: https://evil.example"), verdicts=statuses(403, 400), bodies=()),
    Case(group=GROUP, name="by POST", data=post(*SHAKE, target=_PATH), verdicts=statuses(400, 405, 426), bodies=()),
    Case(group=GROUP, name="by HEAD", data=ask(_PATH, *SHAKE, method=b"HEAD"), verdicts=statuses(400, 405, 426), to_head=True, bodies=()),
    Case(group=GROUP, name="by HTTP/1.0", data=ask(_PATH, *SHAKE, version=b"HTTP/1.0"), verdicts=statuses(200, 400, 426)),
    Case(group=GROUP, name="without the option", data=ask(_PATH, b"Upgrade: websocket", VERSION, KEY) + _ADMIN, verdicts=(frozenset({200, 400}), frozenset({401})), ends=False, may_stop=True),
    Case(group=GROUP, name="with the option alone", data=ask(_PATH, b"Connection: Upgrade", VERSION, KEY), verdicts=(OK,), ends=None),
    Case(group=GROUP, name="guarded, without credentials", data=_shake(target=b"/socket-guarded/x") + _ADMIN + FRAME, verdicts=statuses(401), bodies=()),
    Case(group=GROUP, name="guarded, bad credentials", data=_shake(b"Authorization: Bearer c4nary", target=b"/socket-guarded/x") + FRAME, verdicts=statuses(401), bodies=()),
    Case(group=GROUP, name="guarded, credentials as a subprotocol", data=_shake(b"Sec-WebSocket-Protocol: bearer, c4nary", target=b"/socket-guarded/x"), verdicts=statuses(401), bodies=()),
    Case(group=GROUP, name="of an ambiguous path", data=_shake(target=b"/socket/../admin") + _ADMIN, verdicts=statuses(400), bodies=()),
    Case(group=GROUP, name="of nothing", data=_shake(target=b"/nowhere") + _ADMIN, verdicts=statuses(404, 426), bodies=()),
    Case(group=GROUP, name="of our own paths", data=_shake(target=b"/gateway/v1") + _ADMIN, verdicts=statuses(426, 400), bodies=()),
    Case(group=GROUP, name="denied by a rule", data=_shake(b"X-Deny: 1") + _ADMIN, verdicts=statuses(403), bodies=()),
    Case(group=GROUP, name="behind a good request", data=ask() + _shake() + FRAME, verdicts=(OK, frozenset({101})), lasts=2.0),
    Case(group=GROUP, name="h2c where there is WebSocket", data=ask(_PATH, b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk") + _ADMIN, verdicts=statuses(200, 400, 426)),
    Case(group=GROUP, name="with an expectation", data=_shake(b"Expect: 100-continue"), verdicts=statuses(101, 400, 417), lasts=2.0),
]
