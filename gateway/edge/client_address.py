"""Who the client is: the peer, or the right-most hop that is not a trusted proxy."""

from gateway.model import Fields
from gateway.model.address import is_within, read_address
from gateway.settings import TrustedProxies


class ClientAddresses:
    """Answers for one process which address a request comes from."""

    def __init__(self, trusted: TrustedProxies) -> None:
        self._trusted = trusted
        self._known: dict[str, bool] = {}

    def is_trusted(self, peer: str) -> bool:
        """Say whether a peer's forwarding fields are believed; an empty peer is a unix socket."""
        if not peer:
            return self._trusted.unix
        if not self._trusted.networks:
            return False
        known = self._known.get(peer)
        if known is None:
            known = is_within(peer, self._trusted.networks)
            if len(self._known) >= 8192:  # noqa: PLR2004 - a bound, not a meaning
                self._known.clear()
            self._known[peer] = known
        return known

    def client(self, peer: str, fields: Fields) -> str:
        """Return the client's address behind a trusted peer.

        Hops are read from the right, as each proxy appends the address it saw; the first one that is not
        trusted is the client. A hop that is not an address ends the walk: what is left of it was written
        by somebody unknown.
        """
        client = peer
        for hop in reversed(_hops(fields)):
            address = read_address(hop)
            if address is None:
                break
            client = str(address)
            if not self.is_trusted(client):
                break
        return client

    @staticmethod
    def scheme(fields: Fields, default: str) -> str:
        """Return the scheme that a trusted peer says the client used."""
        said = fields.one(b"x-forwarded-proto")
        return said.decode("latin-1") if said in {b"http", b"https"} else default


def _hops(fields: Fields) -> list[str]:
    lines = fields.all(b"x-forwarded-for")
    if lines:
        return [bare_address(hop) for line in lines for hop in line.decode("latin-1").split(",")]
    return [
        bare_address(value)
        for line in fields.all(b"forwarded")
        for element in line.decode("latin-1").split(",")
        for name, _, value in (pair.strip().partition("=") for pair in element.split(";"))
        if name.lower() == "for"
    ]


def bare_address(hop: str) -> str:
    """Return the address of a hop without quotes, brackets and port (RFC 7239 section 6)."""
    hop = hop.strip().strip('"')
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
