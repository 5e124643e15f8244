"""Step 7: who is asking? Every listed authenticator is asked; a bad credential ends the request."""

from collections.abc import Sequence

from gateway.identity import Authenticator, Rejected
from gateway.model import ANONYMOUS, Identified, Principal, Reason, Refusal, Routed


def nobody(routed: Routed) -> Identified:
    """Return the request on a public route: nobody is asked who they are."""
    return Identified(routed.head, routed.route, routed.params, ANONYMOUS)


async def authenticate(routed: Routed, authenticators: Sequence[Authenticator]) -> Identified | Refusal:
    """Return the request with its principal. Raise `StoreUnavailable` when it cannot be found out.

    All listed authenticators are asked even after one has answered: two credentials of different
    principals contradict each other, and a bad one beside a good one is an attack or a mistake.
    """
    found: Principal | None = None
    for authenticator in authenticators:
        answer = await authenticator.identify(routed.head)
        if isinstance(answer, Principal):
            if found is not None and found.id != answer.id:
                return Refusal(
                    head=routed.head,
                    route=routed.route,
                    reason=Reason.CREDENTIALS_CONFLICTING,
                    subject=found.subject or answer.subject,
                    diagnosis=f"{found.authn} says {found.id}, {answer.authn} says {answer.id}",
                    detail="Send one credential only.",
                )
            found = found or answer
        elif isinstance(answer, Rejected):
            return refuse_credential(routed, authenticators, authenticator, answer)
    if found is None:
        return Refusal(
            head=routed.head,
            route=routed.route,
            reason=Reason.CREDENTIALS_MISSING,
            challenges=_challenges(authenticators, rejected_by=None),
        )
    return Identified(routed.head, routed.route, routed.params, found)


def refuse_credential(
    routed: Routed, authenticators: Sequence[Authenticator], by: Authenticator, answer: Rejected
) -> Refusal:
    """Return the refusal of a credential that was found and is bad."""
    if answer.malformed:
        return Refusal(
            head=routed.head,
            route=routed.route,
            reason=Reason.MALFORMED_REQUEST,
            diagnosis=f"{by.name}: {answer.diagnosis}",
            detail="A credential field occurs more than once.",
        )
    return Refusal(
        head=routed.head,
        route=routed.route,
        reason=Reason.CREDENTIALS_INVALID,
        subject=answer.subject,
        diagnosis=f"{by.name}: {answer.diagnosis}",
        challenges=_challenges(authenticators, rejected_by=by),
    )


def _challenges(
    authenticators: Sequence[Authenticator], *, rejected_by: Authenticator | None
) -> tuple[str, ...]:
    # RFC 6750 section 3: without any credential the challenge carries no error code.
    challenges = (one.challenge(rejected=one is rejected_by) for one in authenticators)
    return tuple(dict.fromkeys(text for text in challenges if text is not None))
