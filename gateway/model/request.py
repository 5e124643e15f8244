"""The head of one request, as every stage sees it. Never the body: a rule cannot buffer one by accident."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import field
from enum import Enum

from gateway.model.certificate import ClientCertificate
from gateway.model.per_request import per_request

Line = tuple[bytes, bytes]
"""One header line: name and value exactly as they came, without the colon and the padding."""


class Fields:
    """Header lines in order, case and multiplicity, with an index by lower-cased name.

    `X_Forwarded_For` and `x-forwarded-for` are different names here; treating them as one is the
    business of whoever strips fields.
    """

    __slots__ = ("_index", "lines")

    def __init__(self, lines: Sequence[Line]) -> None:
        self.lines = lines
        index: dict[bytes, tuple[bytes, ...]] = {}
        for name, value in lines:
            key = name.lower()
            index[key] = (*index[key], value) if key in index else (value,)
        self._index = index

    def all(self, name: bytes) -> tuple[bytes, ...]:
        """Return every value of a lower-case name, in order; empty when the field is absent."""
        return self._index.get(name, ())

    def one(self, name: bytes) -> bytes | None:
        """Return the value of a field that occurs exactly once, else None: twice is as good as missing."""
        values = self._index.get(name)
        return values[0] if values is not None and len(values) == 1 else None

    def any_of(self, names: AbstractSet[bytes]) -> bool:
        """Say whether any of these lower-case names occurs."""
        return not names.isdisjoint(self._index)

    def __contains__(self, name: bytes) -> bool:
        return name in self._index

    def __repr__(self) -> str:
        return f"Fields({', '.join(sorted(key.decode('latin-1') for key in self._index))})"


def wants_websocket(fields: Fields, version: tuple[int, int]) -> bool:
    """Say whether a client asks to switch to WebSocket (RFC 6455 section 4.1).

    RFC 9110 section 7.8: `Upgrade` counts only where `Connection` names it, and never from HTTP/1.0.
    """
    if b"upgrade" not in fields:
        return False
    return (
        version >= (1, 1)
        and _lists(fields.all(b"upgrade"), b"websocket")
        and _lists(fields.all(b"connection"), b"upgrade")
    )


def _lists(values: Sequence[bytes], token: bytes) -> bool:
    return any(token == one.strip().lower() for value in values for one in value.split(b","))


class Framing(Enum):
    """How the end of a message's body is found (RFC 9112 section 6)."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"


@per_request
class RequestHead:
    """One request without its body. Built at the edge after every syntax check has passed.

    `target` is the origin-form request target, byte for byte what the client sent (ASCII 0x21-0x7E) and what
    the upstream will get; `path` and `query` are its two parts, still raw (`query` is None without a `?`).
    `segments` are the path's segments, percent-decoded once: `/a/b%20c/` gives `("a", "b c", "")`.
    """

    id: str
    """UUID in canonical text, made here, never taken from the client."""
    received: float
    """When the head was complete, in seconds since the epoch."""
    method: str
    target: str
    path: str
    query: str | None
    segments: tuple[str, ...]
    host: str | None
    """Host, lower-cased, without port and trailing dot; None when an HTTP/1.0 client sent none."""
    authority: str | None
    """The Host field as it came."""
    scheme: str
    version: tuple[int, int]
    fields: Fields = field(repr=False)
    framing: Framing
    content_length: int | None
    peer: str
    """Address of the connected socket; empty for a unix socket."""
    client: str
    """Address of the client: the peer, or the right-most hop that is not a trusted proxy."""
    peer_trusted: bool
    """Whether the peer is a trusted proxy, so that its forwarding fields may be continued."""
    oddities: frozenset[str] = frozenset()
    """Spellings in the path that only some upstreams take for ordinary characters: `encoded_slash`,
    `double_slash`, `semicolon`, `backslash`."""
    certificate: ClientCertificate | None = None
    """What the client proved to hold when it connected; None: nothing, or TLS ends elsewhere."""
