"""The fields that say in plain text who is asking."""

from urllib.parse import quote_from_bytes

from gateway.model import Line, Principal

# Everything printable except `%`, so that no two values are written alike.
_PLAIN = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) != "%")


def visible(value: str) -> bytes:
    """Percent-encode what is not printable ASCII, and `%` itself: two principals must never read alike."""
    return quote_from_bytes(value.encode("utf-8", "surrogatepass"), safe=_PLAIN).encode("ascii")


def joined(words: frozenset[str]) -> bytes:
    """Return words in order, with one space between two."""
    return b" ".join(visible(word) for word in sorted(words))


def identity_fields(principal: Principal, scopes: frozenset[str]) -> tuple[Line, ...]:
    """Return every identity field but the assertion, empty where there is nothing to say."""
    return (
        (b"X-Gateway-Subject", visible(principal.id)),
        (b"X-Gateway-Roles", joined(principal.roles)),
        (b"X-Gateway-Scopes", joined(scopes)),
        (b"X-Gateway-Auth-Kind", visible(principal.authn_kind)),
    )
