"""Addresses of clients, in the one form in which they are compared."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")


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


def read_network(text: str) -> IPv4Network | IPv6Network:
    """Return a range of addresses as `read_address` gives them, so that it is known which are in it: a range
    of IPv4-mapped ones is a range of IPv4. Raise `ValueError` as `ip_network` does."""
    network = ip_network(text)
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        bits = _MAPPED.prefixlen
        return IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - bits))
    return network


def is_within(address: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Say whether an address is in one of these ranges; text that is no address is in none."""
    found = read_address(address)
    # An address of one version is in no range of the other.
    return found is not None and any(found in network for network in networks)


@lru_cache(maxsize=8192)
def client_key(address: str) -> str:
    """Return what a client's address counts under: an IPv4 address itself, the /64 of an IPv6 one.

    IPv4 that travels inside IPv6 (mapped, NAT64, 6to4) counts as the IPv4 address it is. Text that is no
    address, as of a unix socket, counts as it is.
    """
    found = read_address(address)
    if found is None:
        return address
    if isinstance(found, IPv6Address):
        inside = found.sixtofour or _nat64(found)
        if inside is None:
            return str(IPv6Network((int(found) >> 64 << 64, 64)))
        found = inside
    return str(found)


def _nat64(address: IPv6Address) -> IPv4Address | None:
    return IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None
