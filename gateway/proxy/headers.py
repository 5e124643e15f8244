"""Names of header fields: how spellings are compared, and which fields belong to a connection or to us."""

from collections.abc import Iterable

_FOLD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ_.", b"abcdefghijklmnopqrstuvwxyz--")

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Fields of one connection, removed even when `Connection` does not name them (RFC 9110 section 7.6.1)."""

CONNECTION_OPTIONS = frozenset({b"", b"close", b"keep-alive"})
"""What a `Connection` field may hold besides names of fields."""

FRAMING = frozenset({b"content-length", b"host"})
"""Fields that a peer may not have removed by naming them in `Connection`: without them the message would be
another one."""

_CLAIMED = frozenset(
    {
        b"cf-connecting-ip",
        b"forwarded",
        b"true-client-ip",
        b"x-client-ip",
        b"x-cluster-client-ip",
        b"x-http-method",
        b"x-http-method-override",
        b"x-method-override",
        b"x-original-method",
        b"x-original-url",
        b"x-real-ip",
        b"x-remote-user",
        b"x-request-id",
        b"x-rewrite-url",
        b"x-user",
    }
)
_CLAIMED_PREFIXES = (b"x-envoy-", b"x-forwarded-", b"x-gateway-", b"x-user-")

_KNOWN_AT_MOST = 1024
_KNOWN_LENGTH = 64


def spelling(name: bytes) -> bytes:
    """Return the one form of every spelling of a name: lower case, and `-` for `_` and `.`.

    CGI-like upstreams turn all three into `_`, so that `X_User` arrives there as `X-User`.
    """
    return name.translate(_FOLD)


def is_claimed(name: bytes) -> bool:
    """Say whether upstreams may take this field (given by `spelling`) for the gateway's or a proxy's word."""
    return name in _CLAIMED or name.startswith(_CLAIMED_PREFIXES)


class Patterns:
    """Names of fields, some ending in `*`. They match every spelling."""

    __slots__ = ("_names", "_prefixes")

    def __init__(self, patterns: Iterable[str]) -> None:
        folded = [spelling(pattern.encode("latin-1")) for pattern in patterns]
        self._names = frozenset(name for name in folded if not name.endswith(b"*"))
        self._prefixes = tuple(name[:-1] for name in folded if name.endswith(b"*"))

    def match(self, name: bytes) -> bool:
        """Say whether a name (given by `spelling`) is meant."""
        return name in self._names or name.startswith(self._prefixes)


class Known(dict[bytes, int]):
    """Verdicts by name as it was spelled. Bounded in number and length: peers choose the names."""

    __slots__ = ()

    def learn(self, name: bytes, verdict: int) -> int:
        """Keep a verdict and return it."""
        if len(name) <= _KNOWN_LENGTH:
            if len(self) >= _KNOWN_AT_MOST:
                self.clear()
            self[name] = verdict
        return verdict


def nominated(values: Iterable[bytes]) -> frozenset[bytes]:
    """Return the lower-case names of the fields that `Connection` lines declare to be for one hop."""
    options = {option.strip(b" \t") for value in values for option in value.lower().split(b",")}
    return frozenset(options - CONNECTION_OPTIONS - FRAMING)


def settable(lines: Iterable[tuple[str, str]]) -> tuple[tuple[bytes, bytes], ...]:
    """Return configured lines as bytes. Raises `ValueError` for a field that frames the message."""
    result = []
    for name, value in lines:
        raw = name.encode("latin-1")
        if spelling(raw) in HOP_BY_HOP or spelling(raw) == b"content-length":
            raise ValueError(f"the header field {name!r} cannot be set: it belongs to the connection")
        result.append((raw, value.encode("utf-8")))
    return tuple(result)
