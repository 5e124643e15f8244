"""Step 1: from what the parser read to a `RequestHead`, or the refusal of what is ambiguous.

Decide on, audit and forward the same bytes: what two parsers could read in two ways is refused here, never
repaired (RFC 9112; the classes are those of the threat model).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

from aiohttp.http_parser import RawRequestMessage

from gateway.edge.client_address import ClientAddresses
from gateway.edge.request_id import request_id
from gateway.model import (
    ClientCertificate,
    Fields,
    Framing,
    Line,
    Reason,
    Refusal,
    RequestHead,
    wants_websocket,
)
from gateway.model.per_request import per_request
from gateway.routing import Oddities, TargetParts, read_host, read_target, without_userinfo
from gateway.settings import Settings

_NO_SEGMENTS: tuple[str, ...] = ()
_NO_ODDITIES: Oddities = frozenset()
_LONGEST_LENGTH = 18
"""Digits of a Content-Length: beyond, 64-bit counters of parsers overflow in different ways."""

ALLOWED = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
"""What a 405 for CONNECT and TRACE names."""
_RTSP = frozenset(
    {
        "ANNOUNCE",
        "DESCRIBE",
        "FLUSH",
        "GET_PARAMETER",
        "PAUSE",
        "PLAY",
        "RECORD",
        "REDIRECT",
        "SETUP",
        "SET_PARAMETER",
        "TEARDOWN",
        "PRI",
        "SOURCE",
    }
)
"""Verbs of other protocols that the parser knows."""
_SERVER = "*"
"""The asterisk-form (RFC 9112 section 3.2.4)."""
_NEVER_ALLOWED = frozenset({"CONNECT", "TRACE"})
_REFUSED_METHODS = _RTSP | _NEVER_ALLOWED
_HTTP_1_1 = (1, 1)
_VERSIONS = ((1, 1), (1, 0))
_RARE = frozenset({b"transfer-encoding", b"content-length", b"expect", b"upgrade"})
"""Fields that most requests do not have, and that need a closer look."""
_SEPARATORS = 4
"""Bytes of a header line besides name and value: `: ` and the line end."""
# Looking a member up in its enum costs ten times what a global does.
_CHUNKED, _LENGTH, _NO_BODY = Framing.CHUNKED, Framing.LENGTH, Framing.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadLimits:
    """How large one request head may be, in bytes."""

    target: int
    fields: int


@per_request
class Block:
    """The header lines of a request, and what they say whatever its target is. Most clients repeat them with
    each request of a connection."""

    lines: Sequence[Line] = field(repr=False)
    size: int
    """Bytes of the lines, with what stands between name and value and behind it."""
    version: tuple[int, int]
    fields: Fields = field(repr=False)
    flaw: tuple[Reason, str] | None
    host: str | None
    authority: str | None
    length: int | None
    peer: str
    client: str
    scheme: str
    is_trusted: bool
    certificate: ClientCertificate | None

    def is_of(self, message: RawRequestMessage) -> bool:
        """Say whether another request from the same peer has the same lines."""
        return self.lines == message.raw_headers and self.version == message.version


class HeadReader:
    """Reads the heads of all requests of one listener."""

    def __init__(self, settings: Settings, *, scheme: str = "http") -> None:
        self._addresses = ClientAddresses(settings.trusted_proxies)
        self._limits = HeadLimits(target=settings.max_target_bytes, fields=settings.max_header_bytes)
        self._scheme = scheme

    def unreadable(self, peer: str) -> RequestHead:
        """Return the head of a request that the parser gave up on: nothing is known but who sent it."""
        return self._head("", "", self._block((), peer, _HTTP_1_1))

    def block(
        self, message: RawRequestMessage, peer: str, certificate: ClientCertificate | None = None
    ) -> Block:
        """Return what the header lines of a request say, from a peer that holds this certificate."""
        return self._block(message.raw_headers, peer, message.version, certificate)

    def read(self, message: RawRequestMessage, block: Block) -> tuple[RequestHead, Refusal | None]:
        """Return the head of a request, and why it is refused when it is not well-formed: then the head says
        what could be read."""
        target = message.path
        method = message.method
        flaw = self._flaw(method, target, block)
        if flaw is not None:
            head = self._head(method, target, block)
            return head, _refused(head, *flaw)
        if target[:1] != "/":
            found = _other_form(method, target, block.fields)
            if found is None:
                head = self._head(method, target, block)
                return head, _refused(
                    head, Reason.MALFORMED_REQUEST, "target is neither a path nor names our host"
                )
            if found == _SERVER:
                return self._head(method, found, block), None
            target = found
        parts = read_target(target)
        if not isinstance(parts, TargetParts):
            head = self._head(method, target, block, length=block.length, chunked=message.chunked)
            return head, Refusal(
                head=head,
                reason=Reason.AMBIGUOUS_PATH,
                diagnosis=parts.diagnosis,
                # It says what is wrong and never quotes what was sent.
                detail=f"Refused because {parts.diagnosis}.",
            )
        return self._head(
            method, target, block, parts=parts, length=block.length, chunked=message.chunked
        ), None

    def _flaw(self, method: str, target: str, block: Block) -> tuple[Reason, str] | None:
        version = block.version
        if version not in _VERSIONS:
            return Reason.HTTP_VERSION, f"HTTP/{version[0]}.{version[1]}"
        if method in _REFUSED_METHODS:
            reason = Reason.METHOD_NOT_ALLOWED if method in _NEVER_ALLOWED else Reason.NOT_IMPLEMENTED
            return reason, method
        if len(target) > self._limits.target:
            return Reason.URI_TOO_LONG, f"{len(target)} bytes"
        return block.flaw

    def _block(
        self,
        lines: Sequence[Line],
        peer: str,
        version: tuple[int, int],
        certificate: ClientCertificate | None = None,
    ) -> Block:
        fields = Fields(lines)
        hosts = fields.all(b"host")
        host = read_host(hosts[0]) if len(hosts) == 1 else None
        flaw: tuple[Reason, str] | None = None
        size = sum(map(len, chain.from_iterable(lines))) + _SEPARATORS * len(lines)
        if size > self._limits.fields:
            flaw = Reason.HEADERS_TOO_LARGE, f"{size} bytes"
        elif hosts and host is None:
            flaw = Reason.MALFORMED_REQUEST, "host is not one host with an optional port"
        elif not hosts and version == _HTTP_1_1:
            flaw = Reason.MALFORMED_REQUEST, "host is missing"
        elif fields.any_of(_RARE):
            flaw = _framing_flaw(version, fields)
        lengths = fields.all(b"content-length") if flaw is None else ()
        is_trusted = self._addresses.is_trusted(peer)
        return Block(
            lines=lines,
            size=size,
            version=version,
            fields=fields,
            flaw=flaw,
            host=host,
            authority=hosts[0].decode("latin-1") if len(hosts) == 1 else None,
            length=int(lengths[0]) if lengths else None,
            peer=peer,
            client=self._addresses.client(peer, fields) if is_trusted else peer,
            scheme=ClientAddresses.scheme(fields, self._scheme) if is_trusted else self._scheme,
            is_trusted=is_trusted,
            certificate=certificate,
        )

    @staticmethod
    def _head(
        method: str,
        target: str,
        block: Block,
        *,
        parts: TargetParts | None = None,
        length: int | None = None,
        chunked: bool = False,
    ) -> RequestHead:
        now = time.time()
        return RequestHead(
            id=request_id(now),
            received=now,
            method=method,
            # A password in a target that is refused anyway is not for the record.
            target=target if parts is not None else without_userinfo(target),
            path=without_userinfo(target.partition("?")[0]) if parts is None else parts.path,
            query=None if parts is None else parts.query,
            segments=_NO_SEGMENTS if parts is None else parts.segments,
            host=block.host,
            authority=block.authority,
            scheme=block.scheme,
            version=block.version,
            fields=block.fields,
            framing=_CHUNKED if chunked else _NO_BODY if length is None else _LENGTH,
            content_length=length,
            peer=block.peer,
            client=block.client,
            peer_trusted=block.is_trusted,
            oddities=_NO_ODDITIES if parts is None else parts.oddities,
            certificate=block.certificate,
        )


def _framing_flaw(version: tuple[int, int], fields: Fields) -> tuple[Reason, str] | None:
    """Say what is wrong with the fields that decide where a body ends and what comes behind it."""
    coding = fields.all(b"transfer-encoding")
    if coding and (flaw := _coding_flaw(coding, version, fields)) is not None:
        return flaw
    lengths = fields.all(b"content-length")
    if lengths and (len(lengths) > 1 or not lengths[0].isdigit() or len(lengths[0]) > _LONGEST_LENGTH):
        return Reason.MALFORMED_REQUEST, "content-length is not one plain number"
    if version == _HTTP_1_1 and b"expect" in fields and not _may_expect(fields):
        return Reason.EXPECTATION_FAILED, "only 100-continue can be met"
    if wants_websocket(fields, version) and (coding or (lengths and int(lengths[0]))):
        return Reason.MALFORMED_REQUEST, "a WebSocket handshake with a body"
    return None


def _coding_flaw(
    coding: tuple[bytes, ...], version: tuple[int, int], fields: Fields
) -> tuple[Reason, str] | None:
    if version == (1, 0):
        return Reason.MALFORMED_REQUEST, "transfer-encoding in HTTP/1.0"
    if len(coding) > 1 or coding[0].lower() != b"chunked":
        return Reason.NOT_IMPLEMENTED, "a transfer coding other than chunked"
    if b"content-length" in fields:
        return Reason.MALFORMED_REQUEST, "content-length beside transfer-encoding"
    return None


def _may_expect(fields: Fields) -> bool:
    wanted = fields.all(b"expect")
    return len(wanted) == 1 and wanted[0].lower() == b"100-continue"


def _other_form(method: str, target: str, fields: Fields) -> str | None:
    """Return the origin-form of an absolute-form target, or `*` for what is about the server; None unless the
    authority equals Host (RFC 9112 section 3.2)."""
    if target == _SERVER:
        return target if method == "OPTIONS" else None
    scheme, found, rest = target.partition("://")
    if not found or scheme.lower() not in {"http", "https"}:
        return None
    cut = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    authority, path = rest[:cut], rest[cut:]
    host = fields.one(b"host")
    if host is None or host.decode("latin-1").lower() != authority.lower():
        return None
    if not path and method == "OPTIONS":
        return _SERVER
    return path if path.startswith("/") else "/" + path


def _refused(head: RequestHead, reason: Reason, diagnosis: str) -> Refusal:
    return Refusal(
        head=head,
        reason=reason,
        diagnosis=diagnosis,
        allow=ALLOWED if reason is Reason.METHOD_NOT_ALLOWED else (),
        # Whoever sends an ambiguous head may mean the bytes that follow as another request.
        close=True,
    )
