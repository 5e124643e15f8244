"""Steps 11 and 12: how much? Only this file makes a `Permit`."""

from dataclasses import replace

from gateway.config import Plan, Snapshot
from gateway.limits import LimitPlan, charges_for, retry_after, times
from gateway.model import (
    ANONYMOUS,
    Authorized,
    Charge,
    Permit,
    Principal,
    Reason,
    Refusal,
    RequestHead,
    Route,
    Tally,
    Verdict,
)
from gateway.pipeline.websocket import unswitchable
from gateway.ports import CounterStore, StoreUnavailable


async def limit(
    authorized: Authorized, plan: Plan, counters: CounterStore, *, is_handshake: bool = False
) -> Permit | Refusal:
    """Charge every limit of the request in one step and return the permit, or charge none and refuse.

    A body that is announced to be too large is refused here, and so is a WebSocket handshake (`is_handshake`)
    that cannot be met, both after the charge: asking costs.
    """
    head = authorized.head
    principal = authorized.principal
    limits = plan.limits.of(principal.roles, anonymous=principal.is_anonymous)
    tallies: tuple[Tally, ...] = ()
    if limits:
        charges = charges_for(
            limits, principal=principal, client=head.client, route=authorized.route.id, head=head
        )
        verdict = await counters.take(charges)
        if not verdict.admitted:
            return refuse_rate(head, verdict, route=authorized.route, principal=principal)
        tallies = verdict.tallies
    if is_handshake and (refused := unswitchable(authorized, plan, tallies)) is not None:
        return refused
    if (
        head.content_length is not None
        and plan.max_request is not None
        and head.content_length > plan.max_request
    ):
        return Refusal(
            head=head,
            route=authorized.route,
            principal=principal,
            reason=Reason.BODY_TOO_LARGE,
            rule=authorized.route.rule,
            detail=f"The body may have at most {plan.max_request} bytes.",
            tallies=tallies,
            close=True,
        )
    return Permit(head, authorized.route, authorized.params, principal, authorized.grant, tallies)


async def charge_own(
    head: RequestHead, plan: LimitPlan, counters: CounterStore, *, principal: Principal, route: str
) -> Refusal | None:
    """Charge a request to the gateway's own endpoints; return the refusal when a limit says no."""
    charges = _charges_of(head, plan, principal=principal, route=route)
    if not charges:
        return None
    verdict = await counters.take(charges)
    return None if verdict.admitted else refuse_rate(head, verdict, principal=principal)


async def charge_values(
    head: RequestHead,
    snapshot: Snapshot,
    counters: CounterStore,
    *,
    principal: Principal,
    route: str,
    count: int,
) -> tuple[Tally, ...] | Refusal:
    """Charge the values that one request brings along, all or none; return what the limits said, or the
    refusal. Raise `StoreUnavailable`.

    How many they are is known when the request has been charged by `charge_own` already. It gets that back
    when it is refused here: what a limit refuses costs nothing.
    """
    charges = times(_charges_of(head, snapshot.crypto_limits, principal=principal, route=route), count)
    if not charges:
        return ()
    before = _charges_of(head, snapshot.own_limits, principal=principal, route=route)
    try:
        verdict = await counters.take(charges)
    except StoreUnavailable:
        await counters.give_back(before)
        raise
    if verdict.admitted:
        return verdict.tallies
    await counters.give_back(before)
    refusal = refuse_rate(head, verdict, principal=principal)
    most = min(limit.burst // (limit.cost // count) for limit, _ in charges)
    if count <= most:
        return refusal
    return replace(refusal, detail=f"A limit admits at most {most} values at once; send fewer.")


async def exhausted(
    head: RequestHead, plan: LimitPlan, counters: CounterStore, *, route: Route | None
) -> Refusal | None:
    """Refuse an address that is known to have spent its limits, before any signature is checked."""
    if not counters.is_refusing or not plan.address:
        return None
    charges = charges_for(plan.address, principal=ANONYMOUS, client=head.client, route="", head=head)
    if counters.known_wait(charges) <= 0:
        return None
    # Refused for certain, so nothing is charged; asked for what the answer says about the limits.
    verdict = await counters.take(charges)
    return None if verdict.admitted else refuse_rate(head, verdict, route=route)


async def charge_refusal(refusal: Refusal, plan: LimitPlan, counters: CounterStore) -> Refusal:
    """Charge a refused request to its address, so that guessing costs; when that is refused, say 429."""
    head = refusal.head
    if head is None or not plan.address:
        return refusal
    charges = charges_for(plan.address, principal=ANONYMOUS, client=head.client, route="", head=head)
    verdict = await counters.take(charges)
    if verdict.admitted:
        return refusal
    return refuse_rate(
        head,
        verdict,
        route=refusal.route,
        principal=refusal.principal,
        subject=refusal.subject,
        close=refusal.close,
    )


def refuse_rate(
    head: RequestHead,
    verdict: Verdict,
    *,
    route: Route | None = None,
    principal: Principal | None = None,
    subject: str | None = None,
    close: bool = False,
) -> Refusal:
    """Return the 429, with the time after which the same request would pass."""
    denying = next(tally.limit for tally in verdict.tallies if tally.wait_us != 0)
    return Refusal(
        head=head,
        route=route,
        principal=principal,
        subject=subject,
        reason=Reason.RATE_EXCEEDED,
        rule=f"{denying.id} {denying.place}",
        retry_after=retry_after(verdict),
        tallies=verdict.tallies,
        close=close,
    )


def _charges_of(
    head: RequestHead, plan: LimitPlan, *, principal: Principal, route: str
) -> tuple[Charge, ...]:
    limits = plan.of(principal.roles, anonymous=principal.is_anonymous)
    return charges_for(limits, principal=principal, client=head.client, route=route, head=head)
