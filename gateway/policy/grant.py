"""Roles that callers from outside are given, by what their issuer or their certificate says of them."""

from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from gateway.model import ClientCertificate, Principal
from gateway.policy.base import Condition, Facts

CACHED: Final = 10_000
_OF_CALLER: Final = ("claims.", "principal.", "authn.", "client.cert.")
"""Attributes that are the same in all requests of one credential over one connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRule:
    """One entry of `grants:`."""

    role: str
    authenticators: frozenset[str]
    """Whose callers are meant."""
    condition: Condition


class Grants:
    """The grants of one policy. They only ever add: who is granted nothing has no role.

    What is granted because of the caller alone is remembered by the caller, one object for as long as
    its authenticator keeps the token; what depends on the request is asked each time.
    """

    def __init__(self, rules: Sequence[GrantRule] = ()) -> None:
        self.unknown: Counter[str] = Counter()
        """How often a condition met something missing, by role. That grants nothing."""
        self._of_caller = tuple(rule for rule in rules if _is_of_caller(rule.condition))
        self._of_request = tuple(rule for rule in rules if not _is_of_caller(rule.condition))
        # Keeping the two objects keeps their identities from being used again.
        self._known: OrderedDict[tuple[int, int], tuple[Principal, ClientCertificate | None, Principal]] = (
            OrderedDict()
        )

    def __repr__(self) -> str:
        return f"Grants({len(self._of_caller) + len(self._of_request)})"

    def given(self, facts: Facts) -> Principal:
        """Return the caller with the roles that it is granted, and no others."""
        principal, certificate = facts.principal, facts.certificate
        key = id(principal), id(certificate)
        known = self._known.get(key)
        if known is None:
            with_roles = replace(principal, roles=self._roles(self._of_caller, facts))
            known = self._known[key] = principal, certificate, with_roles
            if len(self._known) > CACHED:
                self._known.popitem(last=False)
        if not self._of_request:
            return known[2]
        roles = known[2].roles | self._roles(self._of_request, facts)
        return known[2] if roles == known[2].roles else replace(known[2], roles=roles)

    def given_now(self, facts: Facts) -> Principal:
        """Return the same, of a caller about whom nothing is to be remembered."""
        return replace(
            facts.principal,
            roles=self._roles(self._of_caller, facts) | self._roles(self._of_request, facts),
        )

    def _roles(self, rules: Sequence[GrantRule], facts: Facts) -> frozenset[str]:
        granted = set()
        for rule in rules:
            if facts.principal.authn in rule.authenticators and rule.role not in granted:
                truth = rule.condition.test(facts)
                if truth:
                    granted.add(rule.role)
                elif truth is None:
                    self.unknown[rule.role] += 1
        return frozenset(granted)


def _is_of_caller(condition: Condition) -> bool:
    return all(name.startswith(_OF_CALLER) for name in condition.attributes)
