"""Asking again, while what was permitted goes on, whether it would be permitted at this moment."""

from dataclasses import replace

from gateway.config import Snapshot
from gateway.identity import Rejected
from gateway.model import (
    ANONYMOUS,
    Identified,
    Permit,
    Principal,
    Reason,
    Refusal,
    wants_websocket,
)
from gateway.pipeline.authorize import authorize, denied_by
from gateway.pipeline.chain import Stages, guard, takes
from gateway.pipeline.websocket import foreign_page
from gateway.policy import Facts
from gateway.routing import Match


def refused_now(permit: Permit, principal: Principal, snapshot: Snapshot, *, now: float) -> Reason | None:
    """Return why the request would be refused to this principal by this configuration at this time.

    Limits are not asked: what goes on has been counted. Another route for the same request is a refusal: its
    upstream, and what it promises its callers, may be others.
    """
    # Conditions on the time look at the head's.
    head = replace(permit.head, received=now)
    if (denied := guard(head, snapshot)) is not None:
        return denied.reason
    match = snapshot.routes.match(head.host, head.segments, head.method)
    if not isinstance(match, Match):
        return Reason.NO_ROUTE
    plan = match.value
    if (plan.route.id, plan.route.upstream) != (permit.route.id, permit.route.upstream):
        return Reason.NO_ROUTE
    if head.oddities and not takes(plan, head.oddities):
        return Reason.AMBIGUOUS_PATH
    if denied_by(plan.deny_early, Facts(head, match.params, ANONYMOUS, now)) is not None:
        return Reason.DENIED
    if not plan.is_public:
        if principal.authn not in plan.authn:
            return Reason.CREDENTIALS_MISSING
        if not plan.outlives_credential and principal.expires_at is not None and now >= principal.expires_at:
            return Reason.CREDENTIALS_INVALID
    identified = Identified(head=head, route=plan.route, params=match.params, principal=principal)
    authorized = authorize(identified, plan, snapshot.roles)
    if isinstance(authorized, Refusal):
        return authorized.reason
    if wants_websocket(head.fields, head.version):
        if plan.websocket is None:
            return Reason.UPGRADE_REQUIRED
        if foreign_page(authorized, plan.websocket) is not None:
            return Reason.DENIED
    return None


async def known_now(principal: Principal, stages: Stages) -> Principal | None:
    """Return who a caller is by now; None when its credential was revoked. Raise `StoreUnavailable`."""
    if principal.is_anonymous:
        return principal
    authenticator = stages.authenticators.get(principal.authn)
    answer = None if authenticator is None else await authenticator.reconsider(principal)
    return None if isinstance(answer, Rejected) else answer
