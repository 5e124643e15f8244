"""`in_network`, `not_in_network`: whether the client's address is in a named network."""

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network

from gateway.model.address import read_address
from gateway.policy.attributes import Attribute
from gateway.policy.base import Facts, Test, Truth
from gateway.policy.finding import Flaw, Names
from gateway.policy.logic import negated
from gateway.policy.nearest import nearest


def compile_in_network(_attribute: Attribute, operand: object, names: Names) -> Test:
    """`in_network: NAME` or a list of names. Unknown when the client has no address (a unix socket)."""
    networks = _networks(operand, names)

    @lru_cache(maxsize=4096)
    def contains(client: str) -> Truth:
        address = read_address(client)
        if address is None:
            return None
        return any(address in network for network in networks)

    def within(facts: Facts) -> Truth:
        return contains(facts.head.client)

    return within


def compile_not_in_network(attribute: Attribute, operand: object, names: Names) -> Test:
    """`not_in_network: NAME`, or a list of names: in none of them."""
    return negated(compile_in_network(attribute, operand, names))


def _networks(operand: object, names: Names) -> tuple[IPv4Network | IPv6Network, ...]:
    wanted = operand if isinstance(operand, list) else [operand]
    if not wanted:
        raise Flaw("E122", "name at least one network")
    found: list[IPv4Network | IPv6Network] = []
    for position, name in enumerate(wanted):
        within = (position,) if isinstance(operand, list) else ()
        if not isinstance(name, str):
            raise Flaw("E122", "write the name of a network", within=within)
        if name not in names.networks:
            message = f'unknown network "{name}"'
            if "/" in name or read_address(name) is not None:
                message += ": give it a name under `networks` and write that"
            raise Flaw("E106", message, nearest(name, names.networks), within=within)
        found.extend(names.networks[name])
    return tuple(found)
