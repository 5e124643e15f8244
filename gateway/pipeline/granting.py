"""After step 7: which roles does a caller from outside have? The gateway's own bring theirs along."""

from gateway.model import Identified, Principal, PrincipalKind
from gateway.policy import Facts, Grants

_EXTERNAL = PrincipalKind.EXTERNAL


def granted(identified: Identified, grants: Grants) -> Identified:
    """Return the request with the roles that its caller is granted."""
    if identified.principal.kind is not _EXTERNAL:
        return identified
    head = identified.head
    facts = Facts(head, identified.params, identified.principal, head.received)
    return Identified(head, identified.route, identified.params, grants.given(facts))


def granted_now(facts: Facts, grants: Grants) -> Principal:
    """Return the caller of what goes on, with the roles that it would be granted at this moment."""
    return grants.given_now(facts) if facts.principal.kind is _EXTERNAL else facts.principal
