"""The head of a request as an upstream gets it. Pure: no socket, no clock."""

import re
from typing import Final

from gateway.config import ForwardRules, Rewrite
from gateway.model import Framing, Permit, Principal, RequestHead, without_own_cookies
from gateway.proxy.handshake import SWITCHING_LINES
from gateway.proxy.headers import HOP_BY_HOP, Known, Patterns, is_claimed, nominated, settable, spelling
from gateway.proxy.identity_fields import joined, visible
from gateway.proxy.target import Rewriter, request_target

# Plain integers: one is compared for every line of every request.
_DROP: Final = 0
_KEEP: Final = 1
_HOST: Final = 2
_LENGTH: Final = 3
_AUTHORIZATION: Final = 4
_COOKIE: Final = 5
_TRACE: Final = 6
_TE: Final = 7
_MAX_FORWARDS: Final = 8

# Looking up a member of an enum costs as much as ten of these (Python 3.11).
_IS_CHUNKED: Final = Framing.CHUNKED
_HAS_LENGTH: Final = Framing.LENGTH

# The schemes by which tokens come; others are for the service.
_TOKEN = re.compile(rb"(?:bearer|dpop)(?:[ \t]|\Z)", re.IGNORECASE)
_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_SWITCHING = b"\r\n".join(b": ".join(line) for line in SWITCHING_LINES)
_COUNT_DIGITS: Final = 9
_KEPT_AT_MOST = 1024
_KEPT_LENGTH = 64


class RequestHeads:
    """Writes request heads for one upstream and one set of credential fields.

    The client's lines keep their order, case and multiplicity. What a client may not say is removed first
    and what the gateway says is added after, so that nothing a client sends can replace or remove it.
    """

    def __init__(
        self, rules: ForwardRules, credential_fields: frozenset[bytes], rewrite: Rewrite | None = None
    ) -> None:
        self._rules = rules
        self._rewriter = None if rewrite is None else Rewriter(rewrite)
        self._set = settable(rules.set_request_headers)
        self._set_names = frozenset(spelling(name) for name, _ in self._set)
        self._removed = Patterns(rules.remove_request_headers)
        self._credentials = (
            frozenset() if rules.pass_credentials else frozenset(spelling(name) for name in credential_fields)
        )
        self._keeps_host = rules.host == "preserve"
        self._known = Known()
        self._nominated: dict[tuple[bytes, ...], frozenset[bytes]] = {}
        self._words: dict[frozenset[str], bytes] = {}

    def write(
        self,
        permit: Permit,
        *,
        authority: bytes,
        assertion: bytes | None,
        switching: bool = False,
        head: RequestHead | None = None,
    ) -> bytes:
        """Return the whole head, with its empty line.

        `authority` is the target's, for `host: upstream` and for clients that sent no Host; `switching`: the
        upstream is asked to switch to WebSocket; `head`: what is asked in place of what the client asked.
        """
        if head is None:
            head = permit.head
        parts = [b"%b %b HTTP/1.1" % (head.method.encode("ascii"), request_target(head, self._rewriter))]
        if head.authority is None and b"host" not in self._set_names:
            parts.append(b"Host: " + authority)
        self._pass_on(head, parts, authority)
        if head.framing is _IS_CHUNKED:
            parts.append(b"Transfer-Encoding: chunked")
        if switching:
            parts.append(_SWITCHING)
        added = self._forwarding(head)
        if assertion is not None:
            added.append(b"X-Gateway-Assertion: " + assertion)
        elif self._rules.identity == "headers" and not permit.principal.is_anonymous:
            added += self._identity(permit.principal, permit.grant.scopes)
        if self._set:
            added = [line for line in added if spelling(line.partition(b":")[0]) not in self._set_names]
            added += [b": ".join(line) for line in self._set]
        parts += added
        parts.append(b"\r\n")
        return b"\r\n".join(parts)

    def url(self, head: RequestHead, *, scheme: str, authority: bytes) -> str:
        """Return the URL of a request as the upstream gets it, without the query."""
        path, _, _ = request_target(head, self._rewriter).decode("ascii").partition("?")
        set_hosts = [value for name, value in self._set if spelling(name) == b"host"]
        if set_hosts:
            host = set_hosts[-1].decode("utf-8")
        elif self._keeps_host and head.authority is not None:
            host = head.authority
        else:
            host = authority.decode("ascii")
        return f"{scheme}://{host}{path}"

    def _pass_on(self, head: RequestHead, parts: list[bytes], authority: bytes) -> None:
        fields = head.fields
        known = self._known
        hop = self._hop(fields.all(b"connection")) if b"connection" in fields else None
        length_written = takes_trailers = False
        for line in fields.lines:
            name = line[0]
            verdict = known.get(name)
            if verdict is None:
                verdict = known.learn(name, self._judge(name))
            if verdict == _KEEP:
                if not (hop and name.lower() in hop):
                    parts.append(b": ".join(line))
            elif verdict == _LENGTH:
                # Written from the number that was understood, never from the client's text, and once.
                if head.content_length is not None and not length_written:
                    parts.append(b"%b: %d" % (name, head.content_length))
                    length_written = True
            elif verdict == _TE:
                takes_trailers = takes_trailers or _takes_trailers(line[1])
            elif verdict == _DROP or (hop and name.lower() in hop):
                continue
            elif (value := _judged_by_value(verdict, line[1], head, authority)) is not None:
                parts.append(b"%b: %b" % (name, value))
        if head.framing is _HAS_LENGTH and not length_written:
            parts.append(b"Content-Length: %d" % (head.content_length or 0))
        if takes_trailers:
            # RFC 9110 section 10.1.4: "A sender of TE MUST also send a 'TE' connection option".
            parts.append(b"TE: trailers\r\nConnection: TE")

    def _hop(self, values: tuple[bytes, ...]) -> frozenset[bytes]:
        names = self._nominated.get(values)
        if names is None:
            names = nominated(values)
            if sum(map(len, values)) <= _KEPT_LENGTH:
                if len(self._nominated) >= _KEPT_AT_MOST:
                    self._nominated.clear()
                self._nominated[values] = names
        return names

    def _judge(self, name: bytes) -> int:
        """Decide about a name that has not been seen yet. What frames the message comes first: no
        configured pattern may take it away."""
        folded = spelling(name)
        as_is = folded == name.lower()
        if folded == b"content-length":
            return _LENGTH if as_is else _DROP
        if folded == b"te":
            return _TE
        if folded in HOP_BY_HOP or folded == b"expect" or folded in self._set_names:
            return _DROP
        if folded == b"host":
            return _KEEP if self._keeps_host else _HOST
        if is_claimed(folded) or self._removed.match(folded):
            return _DROP
        if folded in self._credentials:
            return _AUTHORIZATION if folded == b"authorization" else _DROP
        if folded == b"cookie":
            return _COOKIE
        if folded == b"max-forwards":
            return _MAX_FORWARDS
        return _TRACE if folded in (b"traceparent", b"tracestate") else _KEEP

    def _forwarding(self, head: RequestHead) -> list[bytes]:
        peer, scheme, host = head.peer, head.scheme, head.authority
        if head.peer_trusted:
            fields = head.fields
            hops = [value.decode("latin-1") for value in fields.all(b"x-forwarded-for")]
            peer = ", ".join([*hops, peer] if peer else hops)
            host = _text(fields.one(b"x-forwarded-host")) or host
        # One formatted text costs half of what a list of lines does.
        lines = f"X-Request-Id: {head.id}\r\nX-Forwarded-Proto: {scheme}\r\nVia: 1.{head.version[1]} gateway"
        if peer:
            lines += f"\r\nX-Forwarded-For: {peer}"
        if host:
            lines += f"\r\nX-Forwarded-Host: {host}"
        if not _continues_trace(head):
            lines += f"\r\ntraceparent: {_new_trace(head.id)}"
        added = lines.encode("latin-1")
        return added.split(b"\r\n") if self._set else [added]

    def _identity(self, principal: Principal, scopes: frozenset[str]) -> list[bytes]:
        added = [b"X-Gateway-Subject: " + visible(principal.id)]
        if principal.roles:
            added.append(b"X-Gateway-Roles: " + self._joined(principal.roles))
        if scopes:
            added.append(b"X-Gateway-Scopes: " + self._joined(scopes))
        if principal.authn_kind:
            added.append(b"X-Gateway-Auth-Kind: " + visible(principal.authn_kind))
        return added

    def _joined(self, words: frozenset[str]) -> bytes:
        text = self._words.get(words)
        if text is None:
            if len(self._words) >= _KEPT_AT_MOST:
                self._words.clear()
            text = self._words[words] = joined(words)
        return text


def goes_no_further(head: RequestHead) -> bool:
    """Say whether a request asks about the gateway itself: an OPTIONS that may not be forwarded any more
    (RFC 9110 section 7.6.2)."""
    return any(_forwards_left(head, value) == 0 for value in head.fields.all(b"max-forwards"))


def _forwards_left(head: RequestHead, value: bytes) -> int | None:
    """Return what Max-Forwards says, None where it says nothing: it is for OPTIONS, and for TRACE, which
    nobody may send."""
    is_number = value.isdigit() and len(value) <= _COUNT_DIGITS
    return int(value) if is_number and head.method == "OPTIONS" else None


def _judged_by_value(verdict: int, value: bytes, head: RequestHead, authority: bytes) -> bytes | None:
    """Return what is passed on of a field that depends on more than its name."""
    if verdict == _HOST:
        return authority
    if verdict == _COOKIE:
        return without_own_cookies(value)
    if verdict == _AUTHORIZATION:
        return None if _TOKEN.match(value) is not None else value
    if verdict == _MAX_FORWARDS:
        left = _forwards_left(head, value)
        return value if left is None else b"%d" % max(left - 1, 0)
    return value if _continues_trace(head) else None


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


def _takes_trailers(value: bytes) -> bool:
    return any(item.strip(b" \t").lower() == b"trailers" for item in value.split(b","))


def _continues_trace(head: RequestHead) -> bool:
    value = head.fields.one(b"traceparent")
    return value is not None and _TRACEPARENT.fullmatch(value) is not None


def _new_trace(request_id: str) -> str:
    """Begin a trace that is named after the request (W3C Trace Context section 3.2).

    Sampled: services that sample as their parent does would otherwise never record anything.
    """
    digits = request_id.replace("-", "")
    return f"00-{digits}-{digits[16:]}-01"
