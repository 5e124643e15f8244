"""What one request is charged: for each limit, the key it counts under."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache
from hashlib import blake2b

from gateway.model import Charge, Limit, Principal, PrincipalKind, RequestHead
from gateway.model.address import client_key
from gateway.model.claims import read_claim

_new = tuple.__new__
"""Makes a named tuple of a tuple at a third of what its class would take."""
_ANONYMOUS = PrincipalKind.ANONYMOUS
_LONGEST_PART = 64
"""Longer values are counted under their digest, so that nobody fills the memory with keys."""

Dimension = Callable[[Principal, str, str, RequestHead], str | None]
"""Reads what a limit counts apart from principal, client, route and head; None: it does not apply."""


def charges_for(
    limits: Iterable[Limit], *, principal: Principal, client: str, route: str, head: RequestHead
) -> tuple[Charge, ...]:
    """Return the charges of one request, in the order of the limits.

    A value that is missing counts by the client's address: `principal` on a public route, a claim that the
    principal does not have, a header that is absent or repeated. Leaving something out gains nothing. A
    limit per `api_key` applies only to principals that are API keys.
    """
    charges: list[Charge] = []
    for limit in limits:
        part = _maker(limit.per)(principal, client, route, head)
        if part is not None:
            charges.append(_new(Charge, (limit, (limit.id, part))))
    return tuple(charges)


def times(charges: Iterable[Charge], count: int) -> tuple[Charge, ...]:
    """Return the charges of a request that costs as much as so many."""
    return tuple(Charge(_at_cost(limit, limit.cost * count), key) for limit, key in charges)


@lru_cache(maxsize=256)
def _at_cost(limit: Limit, cost: int) -> Limit:
    # Kept, because stores of counters tell limits apart by their identity.
    return limit if cost == limit.cost else replace(limit, cost=cost)


@lru_cache(maxsize=1024)
def _maker(per: tuple[str, ...]) -> Dimension:
    """Return what makes the part of a key that limits with these dimensions count apart."""
    dimensions = tuple(_dimension(name) for name in per if name != "all")
    if len(dimensions) == 1:
        return dimensions[0]

    def make(principal: Principal, client: str, route: str, head: RequestHead) -> str | None:
        parts = []
        for dimension in dimensions:
            part = dimension(principal, client, route, head)
            if part is None:
                return None
            # With its length, so that no part can pretend to be two.
            parts.append(f"{len(part)}:{part}")
        return "".join(parts)

    return make


def _dimension(name: str) -> Dimension:
    if name.startswith("claims."):
        return _per_claim(name.removeprefix("claims."))
    if name.startswith("header."):
        return _per_header(name.removeprefix("header.").lower().encode("ascii"))
    return _DIMENSIONS[name]


def _address(client: str) -> str:
    # The space keeps it apart from every id, claim and field value that is counted in the same place.
    return f"address {client_key(client)}"


def _per_principal(principal: Principal, client: str, _route: str, _head: RequestHead) -> str:
    return principal.id if principal.kind is not _ANONYMOUS else _address(client)


def _per_client(_principal: Principal, client: str, _route: str, _head: RequestHead) -> str:
    return client_key(client)


def _per_api_key(principal: Principal, _client: str, _route: str, _head: RequestHead) -> str | None:
    return principal.id if principal.kind is PrincipalKind.API_KEY else None


def _per_route(_principal: Principal, _client: str, route: str, _head: RequestHead) -> str:
    return route


def _per_claim(name: str) -> Dimension:
    def per_claim(principal: Principal, client: str, _route: str, _head: RequestHead) -> str:
        value = read_claim(principal.claims, name)
        if value is None:
            return _address(client)
        # As JSON, so that 1 and "1" are counted apart and no value looks like an address.
        return _short(json.dumps(value, sort_keys=True, separators=(",", ":")))

    return per_claim


def _per_header(name: bytes) -> Dimension:
    def per_header(_principal: Principal, client: str, _route: str, head: RequestHead) -> str:
        value = head.fields.one(name)
        return _address(client) if value is None else _short("=" + value.decode("latin-1"))

    return per_header


def _short(part: str) -> str:
    if len(part) <= _LONGEST_PART:
        return part
    return blake2b(part.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


_DIMENSIONS: dict[str, Dimension] = {
    "principal": _per_principal,
    "client_ip": _per_client,
    "api_key": _per_api_key,
    "route": _per_route,
}
DIMENSIONS = frozenset({*_DIMENSIONS, "all"})
"""Every plain word that `per:` may hold here; besides, `claims.X` and `header.X`."""
