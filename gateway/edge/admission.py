"""How many clients may be connected: in all, and from one address."""

import socket
from collections import Counter
from typing import Final

from gateway.edge.client_address import ClientAddresses
from gateway.edge.flaws import TOO_MANY, TOO_MANY_OF_ADDRESS, Flaw
from gateway.settings import Settings

_HALF: Final = 8
"""Bytes of an IPv6 address that name a network: whoever has one address of a /64 has all of them."""


class Admission:
    """Counts connections, and says when there are too many.

    With several workers each has an equal share of both limits, rounded up: the supervisor gives a connection
    to the worker that has the fewest, so that the shares fill up together. Peers are addresses, empty for a
    unix socket.
    """

    def __init__(self, settings: Settings) -> None:
        self._most = _share(settings.max_connections, settings.workers)
        each = settings.max_connections_per_address
        self._most_of_one = None if each is None else _share(each, settings.workers)
        self._addresses = ClientAddresses(settings.trusted_proxies)
        self._by_address: Counter[str | bytes] = Counter()
        self.admitted = 0

    def enter(self, peer: str) -> Flaw | None:
        """Count a connection, to be ended with `leave`; or say why there is no place for it."""
        if self.admitted >= self._most:
            return TOO_MANY
        if self._counts(peer):
            network = _network(peer)
            if self._by_address[network] >= (self._most_of_one or 0):
                return TOO_MANY_OF_ADDRESS
            self._by_address[network] += 1
        self.admitted += 1
        return None

    def leave(self, peer: str) -> None:
        """Note the end of a connection that was counted."""
        self.admitted -= 1
        if self._counts(peer):
            network = _network(peer)
            self._by_address[network] -= 1
            if not self._by_address[network]:
                del self._by_address[network]

    def _counts(self, peer: str) -> bool:
        """Say whether an address has a limit of its own: trusted proxies bring many clients."""
        return self._most_of_one is not None and bool(peer) and not self._addresses.is_trusted(peer)


def _share(limit: int, workers: int) -> int:
    return -(-limit // workers)


def _network(peer: str) -> str | bytes:
    if ":" not in peer:
        return peer
    return socket.inet_pton(socket.AF_INET6, peer.partition("%")[0])[:_HALF]
