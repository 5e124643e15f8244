"""What a condition and a deny rule are, once compiled. Three values: true, false, and unknown (`None`)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.model import ClientCertificate, Principal, RequestHead

Truth = bool | None
"""Kleene's three values; `None` is unknown: an operator met a missing attribute."""


class Facts(NamedTuple):
    """Everything a condition may look at. `principal` is `ANONYMOUS` before authentication."""

    head: RequestHead
    params: Mapping[str, str]
    principal: Principal
    now: float
    """Seconds since the epoch."""

    @property
    def certificate(self) -> ClientCertificate | None:
        """The certificate of whoever asks. A connection may outlive it: then there is none."""
        found = self.head.certificate
        return None if found is None or self.now >= found.not_after else found


Test = Callable[[Facts], Truth]


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A compiled condition. Unknown at the root refuses: `when` does not hold, a deny rule matches."""

    test: Test = field(repr=False)
    attributes: frozenset[str]
    """Every attribute it looks at: `claims.groups`, `client.ip`, `time`."""
    place: str
    """`policies.yaml:78`."""
    unread: frozenset[str] = frozenset()
    """Those attributes of which it asks only whether they are there."""
    needs_identity: bool = field(init=False)
    """Whether it looks at `claims.*`, `principal.*` or `authn.*`."""
    needs_claims: bool = field(init=False)
    """Whether it looks at `claims.*`."""

    def __post_init__(self) -> None:
        # Found out once: both are asked on every request that a rule is tried on.
        of_identity = {name.partition(".")[0] for name in self.attributes} & {"claims", "principal", "authn"}
        object.__setattr__(self, "needs_identity", bool(of_identity))
        object.__setattr__(self, "needs_claims", "claims" in of_identity)


@dataclass(frozen=True, slots=True, kw_only=True)
class DenyRule:
    """One entry of `deny:`. `routes` is None when it guards everything."""

    id: str
    routes: frozenset[str] | None
    condition: Condition

    @property
    def rule(self) -> str:
        """How the audit record names it."""
        return f"{self.id} {self.condition.place}"

    def truth(self, facts: Facts) -> Truth:
        """Say whether the request is denied. Unknown denies too; a rule on `claims.*` is false for a
        principal that has no claims."""
        if self.condition.needs_claims and facts.principal.claims is None:
            return False
        return self.condition.test(facts)
