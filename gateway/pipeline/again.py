"""Asking again, while what was permitted goes on, whether it would be permitted at this moment."""

from dataclasses import replace

from gateway.config import Plan, Snapshot
from gateway.identity import Rejected
from gateway.model import (
    ANONYMOUS,
    Identified,
    Permit,
    Principal,
    Reason,
    Refusal,
    RequestHead,
    wants_websocket,
)
from gateway.pipeline.authorize import authorize, denied_by
from gateway.pipeline.chain import Stages, guard, takes
from gateway.pipeline.granting import granted_now
from gateway.pipeline.second_factor import lacks_factor
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
        if plan.also and (reason := _lacks_certificate(head, plan, now)) is not None:
            return reason
        max_age = None if plan.outlives_credential else plan.mfa_max_age
        if max_age is not None and lacks_factor(principal, max_age, now=now):
            return Reason.MFA_REQUIRED
        principal = granted_now(Facts(head, match.params, principal, now), snapshot.grants)
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


def _lacks_certificate(head: RequestHead, plan: Plan, now: float) -> Reason | None:
    """Say why the certificate that is asked for in addition is not good any more."""
    if head.certificate is None:
        return Reason.CREDENTIALS_MISSING
    is_over = now >= head.certificate.not_after and not plan.outlives_credential
    return Reason.CREDENTIALS_INVALID if is_over else None


async def known_now(principal: Principal, stages: Stages) -> Principal | None:
    """Return who a caller is by now; None when its credential was revoked. Raise `StoreUnavailable`."""
    if principal.is_anonymous:
        return principal
    authenticator = stages.authenticators.get(principal.authn)
    answer = None if authenticator is None else await authenticator.reconsider(principal)
    return None if isinstance(answer, Rejected) else answer
