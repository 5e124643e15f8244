"""What another proxy says of the request that it asks about, as the message that its client sent.

Two ways: `X-Forwarded-Method`, `-Proto`, `-Host`, `-Uri` and `-For` say it all (nginx, Traefik, Caddy), or
the request is the original one with a path in front of its own (Envoy's `path_prefix`). Nothing is made up
for what is missing. A client's word cannot be told from its proxy's, which has to set all of these fields.
"""

import re
from collections.abc import Mapping

from aiohttp import HttpVersion11
from aiohttp.http_parser import RawRequestMessage
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from gateway.edge.client_address import bare_address
from gateway.model import Fields, Line, RequestHead, wants_websocket
from gateway.model.address import read_address

CHECK_PATH = "/gateway/v1/check"
FOR_NGINX = "status=auth"
"""The one query that means something; proxies may leave their client's there."""

Flaws = tuple[Mapping[str, str], ...]

_METHOD = re.compile(rb"[A-Z][A-Z-]{0,31}")
_SCHEMES = {b"http": b"http", b"https": b"https", b"ws": b"http", b"wss": b"https"}
"""What some proxies say of a WebSocket is how its handshake comes."""
_SAID = (b"x-forwarded-method", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-uri")
_FOR = b"x-forwarded-for"
_NOT_THE_CLIENTS = frozenset(
    {
        *(b"host", b"x-forwarded-host", b"x-forwarded-method", b"x-forwarded-proto", b"x-forwarded-uri"),
        *(b"connection", b"content-length", b"expect", b"transfer-encoding", b"upgrade"),
    }
)
"""Fields that are about the way from the proxy to us, and those that the original request is read from."""
_HANDSHAKE: tuple[Line, ...] = ((b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"))
_EMPTY = CIMultiDictProxy(CIMultiDict[str]())


def is_check(head: RequestHead) -> bool:
    """Say whether a proxy asks about another request."""
    return head.path.startswith(CHECK_PATH) and head.path[len(CHECK_PATH) :][:1] in {"", "/"}


def described(head: RequestHead) -> RawRequestMessage | Flaws:
    """Return the request that a trusted proxy asks about, without its body, or all that is missing."""
    fields = head.fields
    flaws: list[Mapping[str, str]] = []
    client = fields.all(_FOR)
    if not client:
        flaws.append(_flaw(_FOR, "is missing"))
    elif read_address(bare_address(client[-1].rpartition(b",")[2].decode("latin-1"))) is None:
        flaws.append(_flaw(_FOR, "does not end with an address"))
    if head.path == CHECK_PATH:
        said, missing = _said(fields)
        flaws += missing
        if flaws:
            return tuple(flaws)
        method, scheme, authority, target = said
        lines = [(b"Host", authority), (b"X-Forwarded-Proto", _SCHEMES[scheme])]
    else:
        if flaws:
            return tuple(flaws)
        method, target = head.method.encode("latin-1"), head.target[len(CHECK_PATH) :].encode("latin-1")
        lines = [(b"Host", value) for value in fields.all(b"host")]
        scheme = fields.one(b"x-forwarded-proto") or b""
        lines += [(b"X-Forwarded-Proto", _SCHEMES[scheme])] if scheme in _SCHEMES else []
    lines += [line for line in fields.lines if line[0].lower() not in _NOT_THE_CLIENTS]
    # Proxies do not pass on what is about one connection, but this field comes with handshakes only.
    if b"sec-websocket-key" in fields or wants_websocket(fields, head.version):
        lines += _HANDSHAKE
    return RawRequestMessage(
        method.decode("latin-1"),
        target.decode("latin-1"),
        HttpVersion11,
        _EMPTY,
        tuple(lines),
        should_close=False,
        compression=None,
        upgrade=False,
        chunked=False,
        url=URL(),
    )


def _said(fields: Fields) -> tuple[tuple[bytes, ...], Flaws]:
    """Return what the fields say, in the order of `_SAID`, and what is wrong with them."""
    flaws: list[Mapping[str, str]] = []
    for name in _SAID:
        values = fields.all(name)
        if len(values) != 1 or not values[0]:
            flaws.append(_flaw(name, "occurs more than once" if len(values) > 1 else "is missing"))
        elif name == b"x-forwarded-method" and _METHOD.fullmatch(values[0]) is None:
            flaws.append(_flaw(name, "is not a method in upper case"))
        elif name == b"x-forwarded-proto" and values[0] not in _SCHEMES:
            flaws.append(_flaw(name, "is neither http nor https"))
        elif name == b"x-forwarded-uri" and not values[0].startswith(b"/"):
            flaws.append(_flaw(name, "does not begin with /"))
    return tuple(fields.one(name) or b"" for name in _SAID), tuple(flaws)


def _flaw(name: bytes, message: str) -> Mapping[str, str]:
    return {"field": name.decode().title(), "message": message}
