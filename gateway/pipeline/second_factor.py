"""The end of step 7: has whoever asks proved a second factor, and not long ago."""

from gateway.model import Identified, Principal, Reason, Refusal
from gateway.pipeline.authenticate import pointed


def lacks_factor(principal: Principal, max_age: float, *, now: float) -> bool:
    """Say whether a caller has proved no second factor, or none in the last `max_age` seconds."""
    return principal.mfa_at is None or now - principal.mfa_at > max_age


def ask_factor(identified: Identified, max_age: float, *, resource_metadata: str) -> Refusal:
    """Return the refusal that asks for a second factor (RFC 9470 section 3).

    Callers that can have none, such as API keys, get the same.
    """
    principal = identified.principal
    diagnosis = "no second factor was proved" if principal.mfa_at is None else "it was proved too long ago"
    # A token that is bound to a key is asked for by its own scheme (RFC 9449 section 7.1).
    scheme = "DPoP" if "cnf" in (principal.claims or {}) else "Bearer"
    challenge = (
        f'{scheme} realm="gateway", error="insufficient_user_authentication", '
        f'error_description="A second factor is required", max_age="{int(max_age)}"'
    )
    return Refusal(
        head=identified.head,
        route=identified.route,
        principal=principal,
        reason=Reason.MFA_REQUIRED,
        rule=identified.route.rule,
        diagnosis=diagnosis,
        detail=f"This needs a second factor that was proved in the last {int(max_age)} seconds.",
        challenges=(pointed(challenge, resource_metadata),),
    )
