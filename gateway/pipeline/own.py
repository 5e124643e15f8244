"""One of the gateway's own endpoints, as far as enforcement is concerned."""

from dataclasses import dataclass

from gateway.model import Principal, Reason, Refusal, RequestHead, Route
from gateway.policy import Roles


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRoute:
    """Which endpoint, and whether it is for identified callers only."""

    route: Route
    needs_principal: bool
    scope: str | None = None
    """What callers must hold; None: nothing."""


def lacks_scope(head: RequestHead, principal: Principal, scope: str, roles: Roles) -> Refusal | None:
    """Return the refusal of a caller that does not hold a scope of the gateway's own, None when it does."""
    scopes = roles.scopes_of(principal.roles)
    limit = principal.scope_limit
    if scope in scopes and (limit is None or scope in limit):
        return None
    return Refusal(
        head=head,
        principal=principal,
        reason=Reason.INSUFFICIENT_SCOPE,
        diagnosis=f"lacks {scope}",
        detail=f"This needs the scope {scope}.",
        # RFC 6750 section 3.1: the challenge names the scope that would be enough.
        challenges=(f'Bearer realm="gateway", error="insufficient_scope", scope="{scope}"',),
    )
