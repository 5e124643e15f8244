"""The Host field: one host with an optional port, or nothing at all."""

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address

_HOST = re.compile(
    rb"(?:(?P<name>[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?|\[(?P<ipv6>[0-9a-f:.]+)\])(?::(?P<port>[0-9]{1,5}))?"
)
_LONGEST_NAME = 253
"""Characters of a domain name (RFC 1035 section 2.3.4)."""
_LONGEST_VALUE = _LONGEST_NAME + len(".:65535")
_LAST_PORT = 65535


def read_host(value: bytes) -> str | None:
    """Return the host of a Host field's value, or None when the value is not `uri-host[:port]`.

    Lower-case, without port and trailing dot; an IPv6 address in brackets and in its shortest form.
    Stricter than RFC 9110 section 7.2 allows: names are letters, digits, `-`, `_` and dots, so that a list,
    userinfo or an encoded character is nobody's host.
    """
    # What is too long is not worth remembering, either.
    return _read(value) if len(value) <= _LONGEST_VALUE else None


@lru_cache(maxsize=1024)
def _read(value: bytes) -> str | None:
    found = _HOST.fullmatch(value.lower())
    if found is None:
        return None
    name, ipv6, port = found.groups()
    if port is not None and not 0 < int(port) <= _LAST_PORT:
        return None
    if ipv6 is not None:
        try:
            return f"[{IPv6Address(ipv6.decode('ascii'))}]"
        except AddressValueError:
            return None
    return name.decode("ascii") if len(name) <= _LONGEST_NAME else None
