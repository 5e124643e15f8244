"""The whole order of a proxied request (steps 2 to 12). It reads top to bottom; the types enforce it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isinf

from gateway.config import Plan, Snapshot, Upstream
from gateway.identity import Authenticator
from gateway.limits import LimitPlan
from gateway.model import (
    ANONYMOUS,
    Decision,
    Identified,
    Reason,
    Refusal,
    RequestHead,
    Route,
    Routed,
    wants_websocket,
)
from gateway.pipeline.also import lacks_also
from gateway.pipeline.authenticate import authenticate, nobody
from gateway.pipeline.authorize import authorize, denied_by
from gateway.pipeline.cors import asked_method, preflight
from gateway.pipeline.granting import granted
from gateway.pipeline.limit import charge_refusal, exhausted, limit
from gateway.pipeline.second_factor import ask_factor, lacks_factor
from gateway.pipeline.websocket import foreign_page
from gateway.policy import Facts
from gateway.ports import AuditUnavailable, Blocked, CounterStore, StoreUnavailable
from gateway.routing import Match, MethodMismatch, Oddities, spelled, without_userinfo

CHARGED = frozenset(
    {
        Reason.AMBIGUOUS_PATH,
        Reason.CREDENTIALS_MISSING,
        Reason.CREDENTIALS_INVALID,
        Reason.MFA_REQUIRED,
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
    """What the stages ask: the authenticators by name, where limits are counted, and who is shut out."""

    authenticators: Mapping[str, Authenticator]
    counters: CounterStore
    blocked: Blocked


async def chain(head: RequestHead, snapshot: Snapshot, stages: Stages) -> Decision:
    """Keep out who is blocked, guard, route, authenticate, authorize, limit.

    A store that cannot answer is a refusal.

    A refusal that counts against an address is charged before it is returned, and becomes a 429 when the
    address has nothing left to spend.
    """
    route: Route | None = None
    try:
        if stages.blocked.any and (blocked := shut_out(head, stages.blocked)) is not None:
            return blocked
        if snapshot.deny_everywhere and (refused := guard(head, snapshot)) is not None:
            return await charge(refused, snapshot.own_limits, stages)
        match = snapshot.routes.match(head.host, head.segments, head.method)
        asked = asked_method(head.fields) if head.method == "OPTIONS" else None
        if asked is not None:
            wanted = snapshot.routes.match(head.host, head.segments, asked)
            if isinstance(wanted, Match) and wanted.value.cors is not None:
                match = wanted
            else:
                asked = None
        if head.oddities and not (isinstance(match, Match) and takes(match.value, head.oddities)):
            # Before anything else is said about the path, for nobody knows which path is meant.
            return await charge(ambiguous(head), snapshot.own_limits, stages)
        if match is None:
            return await charge(Refusal(head=head, reason=Reason.NO_ROUTE), snapshot.own_limits, stages)
        if isinstance(match, MethodMismatch):
            mismatch = Refusal(head=head, reason=Reason.METHOD_NOT_ALLOWED, allow=match.allow)
            return await charge(mismatch, snapshot.own_limits, stages)
        plan = match.value
        route = plan.route
        decision = await _decide(Routed(head, route, match.params), plan, snapshot, stages, asked=asked)
        return await charge(decision, plan.limits, stages) if isinstance(decision, Refusal) else decision
    except StoreUnavailable as fault:
        return unanswered(head, fault, route=route)


async def _decide(
    routed: Routed, plan: Plan, snapshot: Snapshot, stages: Stages, *, asked: str | None
) -> Decision:
    """Take steps 6 to 12; of a preflight, the method that was `asked` for is answered before step 7."""
    head = routed.head
    if plan.deny_early:
        facts = Facts(head, routed.params, ANONYMOUS, head.received)
        if (denial := denied_by(plan.deny_early, facts)) is not None:
            return Refusal(
                head=head,
                route=plan.route,
                reason=Reason.DENIED,
                rule=denial.rule,
                broken=denial.broken,
            )
    # Before any signature is checked: an address that only guesses must not cost more than this.
    if plan.limits.address and stages.counters.is_refusing:
        spent = await exhausted(head, plan.limits, stages.counters, route=plan.route)
        if spent is not None:
            return spent
    if asked is not None and plan.cors is not None:
        return preflight(routed, plan.cors, asked)
    identified: Identified | Refusal
    if plan.is_public:
        identified = nobody(routed)
    else:
        identified = await authenticate(routed, [stages.authenticators[name] for name in plan.authn])
        if isinstance(identified, Refusal):
            return identified
        if plan.also:
            also = [stages.authenticators[name] for name in plan.also]
            if (bare := await lacks_also(identified, also)) is not None:
                return bare
        identified = granted(identified, snapshot.grants)
        max_age = plan.mfa_max_age
        if max_age is not None and lacks_factor(identified.principal, max_age, now=head.received):
            where = stages.authenticators[identified.principal.authn].resource_metadata
            return ask_factor(identified, max_age, resource_metadata=where)
    authorized = authorize(identified, plan, snapshot.roles)
    if isinstance(authorized, Refusal):
        return authorized
    is_handshake = wants_websocket(head.fields, head.version)
    if is_handshake and (foreign := foreign_page(authorized, plan.websocket)) is not None:
        return foreign
    return await limit(authorized, plan, stages.counters, is_handshake=is_handshake)


def shut_out(head: RequestHead, blocked: Blocked) -> Refusal | None:
    """Step 2: whose address is blocked gets nothing, the gateway's own endpoints neither.

    It costs no limit: who comes back after the block finds what was there before.
    """
    left = blocked.holds(head.client)
    if left is None:
        return None
    return Refusal(head=head, reason=Reason.ADDRESS_BLOCKED, retry_after=None if isinf(left) else left)


def guard(head: RequestHead, snapshot: Snapshot) -> Refusal | None:
    """Step 3: the deny rules that guard everything, the gateway's own endpoints too."""
    if not snapshot.deny_everywhere:
        return None
    denial = denied_by(snapshot.deny_everywhere, Facts(head, _NO_PARAMS, ANONYMOUS, head.received))
    if denial is None:
        return None
    return Refusal(head=head, reason=Reason.DENIED, rule=denial.rule, broken=denial.broken)


def takes(plan: Plan, oddities: Oddities) -> bool:
    """Say whether what a route leads to takes these spellings of a path for ordinary characters."""
    return isinstance(plan.destination, Upstream) and oddities <= plan.destination.paths


def ambiguous(head: RequestHead) -> Refusal:
    """Return the refusal of a path that is spelled in a way which nobody here takes for ordinary."""
    diagnosis = f"the path contains {spelled(head.oddities)}"
    return Refusal(
        # A password in what some take for an authority is not for the record.
        head=replace(head, target=without_userinfo(head.target), path=without_userinfo(head.path)),
        reason=Reason.AMBIGUOUS_PATH,
        diagnosis=diagnosis,
        detail=f"Refused because {diagnosis}.",
    )


async def charge(refusal: Refusal, plan: LimitPlan, stages: Stages) -> Refusal:
    """Charge a refusal that counts against its address; return it, or the 429 it becomes."""
    return await charge_refusal(refusal, plan, stages.counters) if refusal.reason in CHARGED else refusal


def unanswered(
    head: RequestHead | None, fault: StoreUnavailable, *, route: Route | None = None, close: bool = False
) -> Refusal:
    """Return the refusal of a request about which a store could not answer. `close` is what the refusal says
    in whose place it comes."""
    is_audit = isinstance(fault, AuditUnavailable)
    reason = Reason.AUDIT_UNAVAILABLE if is_audit else Reason.DEPENDENCY_UNAVAILABLE
    return Refusal(head=head, route=route, reason=reason, diagnosis=str(fault), retry_after=1, close=close)
