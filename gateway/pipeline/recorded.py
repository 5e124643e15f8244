"""What a decision records besides its own fields: the attributes that conditions look at, as they were."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.config import Recorded, Snapshot
from gateway.model import ANONYMOUS, Preflight, Principal, RequestHead, Route
from gateway.model import Decision as AnyDecision
from gateway.policy import Facts

NOTHING: Final[Mapping[str, object]] = MappingProxyType({})
_NO_PARAMS: Final[Mapping[str, str]] = MappingProxyType({})


def recorded_of(decision: AnyDecision, snapshot: Snapshot) -> Mapping[str, object]:
    """Return the attributes to be recorded with a decision, null where the request has none."""
    if not snapshot.records_attributes:
        return NOTHING
    principal = None if isinstance(decision, Preflight) else decision.principal
    return recorded_at(decision.head, decision.route, principal, snapshot)


def recorded_at(
    head: RequestHead | None, route: Route | None, principal: Principal | None, snapshot: Snapshot
) -> Mapping[str, object]:
    """Return the attributes to be recorded of a request to a route; None: to none, or to one of our own."""
    plan = None if route is None else snapshot.plans.get(route.id)
    recorded = snapshot.recorded if plan is None else plan.recorded
    if head is None or not recorded:
        return NOTHING
    return _values(recorded, Facts(head, _NO_PARAMS, principal or ANONYMOUS, head.received))


def _values(recorded: Recorded, facts: Facts) -> Mapping[str, object]:
    values = {each.name: each.read(facts) for each in recorded.request}
    if not facts.principal.is_anonymous:
        values |= {each.name: each.read(facts) for each in recorded.caller}
    return values
