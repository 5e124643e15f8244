"""Steps 8 to 10: may they? Deny rules on the caller, then scopes, then the route's condition."""

from collections.abc import Iterable
from typing import NamedTuple

from gateway.config import Plan
from gateway.model import Authorized, Grant, Identified, Reason, Refusal
from gateway.policy import DenyRule, Facts, Roles

_NOTHING: frozenset[str] = frozenset()
_PUBLIC = Grant(scopes=_NOTHING, required=_NOTHING)


class Denial(NamedTuple):
    """Which deny rule refused."""

    rule: str
    """As the audit record names it."""
    broken: bool
    """Whether it did because an attribute is missing."""


def denied_by(rules: Iterable[DenyRule], facts: Facts) -> Denial | None:
    """Return the first deny rule that matches."""
    for rule in rules:
        truth = rule.truth(facts)
        if truth is not False:
            return Denial(rule.rule, truth is None)
    return None


def authorize(identified: Identified, plan: Plan, roles: Roles) -> Authorized | Refusal:
    """Return the request with its grant, or why not. On a public route nothing is asked."""
    if plan.is_public:
        return _granted(identified, _PUBLIC)
    principal = identified.principal
    if plan.deny_identity and (denial := denied_by(plan.deny_identity, _facts(identified))) is not None:
        return _refused(identified, Reason.DENIED, rule=denial.rule, broken=denial.broken)
    method = identified.head.method
    required = plan.require["GET" if method == "HEAD" and "HEAD" not in plan.require else method]
    scopes = roles.scopes_of(principal.roles)
    limit = principal.scope_limit
    # A set of its own is hashed anew for each request, and most credentials are confined to nothing less.
    if limit is not None and not scopes <= limit:
        scopes &= limit
    if not required <= scopes:
        wanted = " ".join(sorted(required))
        return _refused(
            identified,
            Reason.INSUFFICIENT_SCOPE,
            rule=identified.route.rule,
            diagnosis=f"lacks {' '.join(sorted(required - scopes))}",
            # RFC 6750 section 3.1: the challenge names the scope that would be enough.
            challenges=(f'Bearer realm="gateway", error="insufficient_scope", scope="{wanted}"',),
        )
    if plan.when is not None and (truth := plan.when.test(_facts(identified))) is not True:
        return _refused(
            identified,
            Reason.CONDITION_NOT_MET,
            rule=f"{identified.route.id} {plan.when.place}",
            diagnosis="an attribute is missing" if truth is None else "",
            broken=truth is None,
        )
    return _granted(identified, Grant(scopes=scopes, required=required))


def _facts(identified: Identified) -> Facts:
    return Facts(identified.head, identified.params, identified.principal, identified.head.received)


def _granted(identified: Identified, grant: Grant) -> Authorized:
    return Authorized(identified.head, identified.route, identified.params, identified.principal, grant)


def _refused(
    identified: Identified,
    reason: Reason,
    *,
    rule: str,
    broken: bool = False,
    diagnosis: str = "",
    challenges: tuple[str, ...] = (),
) -> Refusal:
    return Refusal(
        head=identified.head,
        route=identified.route,
        principal=identified.principal,
        reason=reason,
        rule=rule,
        broken=broken,
        diagnosis=diagnosis,
        challenges=challenges,
    )
