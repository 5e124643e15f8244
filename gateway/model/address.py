"""Addresses of clients, in the one form in which they are compared."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address


@lru_cache(maxsize=8192)
def read_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return an address without zone, an IPv4-mapped one (RFC 4291 section 2.5.5.2) as IPv4; None when the
    text is no address."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
