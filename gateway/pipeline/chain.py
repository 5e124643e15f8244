"""The whole order of a proxied request (steps 3 to 12). It reads top to bottom; the types enforce it."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.config import Plan, Snapshot
from gateway.identity import Authenticator
from gateway.limits import LimitPlan
from gateway.model import ANONYMOUS, Decision, Reason, Refusal, RequestHead, Route, Routed
from gateway.pipeline.authenticate import authenticate
from gateway.pipeline.authorize import authorize, denied_by
from gateway.pipeline.limit import charge_refusal, exhausted, limit
from gateway.policy import Facts
from gateway.ports import AuditUnavailable, CounterStore, StoreUnavailable
from gateway.routing import MethodMismatch

CHARGED = frozenset(
    {
        Reason.AMBIGUOUS_PATH,
        Reason.CREDENTIALS_MISSING,
        Reason.CREDENTIALS_INVALID,
        Reason.INSUFFICIENT_SCOPE,
        Reason.DENIED,
        Reason.CONDITION_NOT_MET,
        Reason.NO_ROUTE,
        Reason.METHOD_NOT_ALLOWED,
    }
)
"""Refusals that cost their address: whoever probes or guesses pays for it."""

_NO_PARAMS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """What the stages ask: the authenticators by name, and where limits are counted."""

    authenticators: Mapping[str, Authenticator]
    counters: CounterStore


async def chain(head: RequestHead, snapshot: Snapshot, stages: Stages) -> Decision:
    """Guard, route, authenticate, authorize, limit.

    A store that cannot answer about the route's caller is a refusal; before there is a route, it raises
    `StoreUnavailable`.

    A refusal that counts against an address is charged before it is returned, and becomes a 429 when the
    address has nothing left to spend.
    """
    refused = guard(head, snapshot)
    if refused is not None:
        return await charge(refused, snapshot.own_limits, stages)
    match = snapshot.routes.match(head.host, head.segments, head.method)
    if match is None:
        return await charge(Refusal(head=head, reason=Reason.NO_ROUTE), snapshot.own_limits, stages)
    if isinstance(match, MethodMismatch):
        mismatch = Refusal(head=head, reason=Reason.METHOD_NOT_ALLOWED, allow=match.allow)
        return await charge(mismatch, snapshot.own_limits, stages)
    plan = match.value
    routed = Routed(head=head, route=plan.route, params=match.params)
    try:
        decision = await _decide(routed, plan, snapshot, stages)
        return await charge(decision, plan.limits, stages) if isinstance(decision, Refusal) else decision
    except StoreUnavailable as fault:
        return unanswered(head, fault, route=plan.route)


async def _decide(routed: Routed, plan: Plan, snapshot: Snapshot, stages: Stages) -> Decision:
    head = routed.head
    if plan.deny_early:
        facts = Facts(head, routed.params, ANONYMOUS, head.received)
        if (rule := denied_by(plan.deny_early, facts)) is not None:
            return Refusal(head=head, route=plan.route, reason=Reason.DENIED, rule=rule.rule)
    # Before any signature is checked: an address that only guesses must not cost more than this.
    if (spent := await exhausted(head, plan.limits, stages.counters, route=plan.route)) is not None:
        return spent
    asked = [stages.authenticators[name] for name in plan.authn]
    identified = await authenticate(routed, asked, public=plan.is_public)
    if isinstance(identified, Refusal):
        return identified
    authorized = authorize(identified, plan, snapshot.roles)
    if isinstance(authorized, Refusal):
        return authorized
    return await limit(authorized, plan, stages.counters)


def guard(head: RequestHead, snapshot: Snapshot) -> Refusal | None:
    """Step 3: the deny rules that guard everything, the gateway's own endpoints too."""
    if not snapshot.deny_everywhere:
        return None
    rule = denied_by(snapshot.deny_everywhere, Facts(head, _NO_PARAMS, ANONYMOUS, head.received))
    return None if rule is None else Refusal(head=head, reason=Reason.DENIED, rule=rule.rule)


async def charge(refusal: Refusal, plan: LimitPlan, stages: Stages) -> Refusal:
    """Charge a refusal that counts against its address; return it, or the 429 it becomes."""
    return await charge_refusal(refusal, plan, stages.counters) if refusal.reason in CHARGED else refusal


def unanswered(head: RequestHead | None, fault: StoreUnavailable, *, route: Route | None = None) -> Refusal:
    """Return the refusal of a request about which a store could not answer."""
    is_audit = isinstance(fault, AuditUnavailable)
    reason = Reason.AUDIT_UNAVAILABLE if is_audit else Reason.DEPENDENCY_UNAVAILABLE
    return Refusal(head=head, route=route, reason=reason, diagnosis=str(fault), retry_after=1)
