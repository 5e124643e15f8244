"""The gateway's own cookies: what they are called, so that nobody behind the gateway ever gets them."""

from typing import Final

DEVICE_COOKIE: Final = "gateway-device"
"""Of a browser in which somebody has logged in before."""
HOST_PREFIX: Final = "__Host-"
"""Begins names of cookies that belong to one host and travel over TLS alone (RFC 6265bis section 4.1.3)."""

_TRACE: Final = b"gateway-"
_NAMES: Final = (DEVICE_COOKIE.encode(),)
_PREFIX: Final = f"{HOST_PREFIX}gateway-".encode()


def without_own_cookies(value: bytes) -> bytes | None:
    """Return a `Cookie` field's value without the gateway's own, untouched when it has none; None: nothing is
    left."""
    if _TRACE not in value:
        return value
    pairs = [part.strip(b" \t") for part in value.split(b";")]
    return b"; ".join(pair for pair in pairs if not _is_own(pair)) or None


def _is_own(pair: bytes) -> bool:
    name = pair.partition(b"=")[0].rstrip(b" \t")
    return name in _NAMES or name.startswith(_PREFIX)
