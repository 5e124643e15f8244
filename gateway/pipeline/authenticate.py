"""Step 7: who is asking? Every listed authenticator is asked; a bad credential ends the request."""

from collections.abc import Sequence
from functools import lru_cache

from gateway.identity import FOREIGN, Authenticator, Rejected
from gateway.model import ANONYMOUS, Identified, Principal, Reason, Refusal, Routed

_STRAY = Rejected("the issuer of the token is none that this route asks")


def nobody(routed: Routed) -> Identified:
    """Return the request on a public route: nobody is asked who they are."""
    return Identified(routed.head, routed.route, routed.params, ANONYMOUS)


async def authenticate(routed: Routed, authenticators: Sequence[Authenticator]) -> Identified | Refusal:
    """Return the request with its principal. Raise `StoreUnavailable` when it cannot be found out.

    All listed authenticators are asked even after one has answered: two credentials of different
    principals contradict each other, and a bad one beside a good one is an attack or a mistake. A token is
    its issuer's: that of an issuer whom none of them stands for is bad.
    """
    found: Principal | None = None
    stray: Authenticator | None = None
    is_claimed = False
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
            is_claimed = is_claimed or authenticator.takes_tokens
        elif isinstance(answer, Rejected):
            return refuse_credential(routed, authenticators, authenticator, answer)
        elif answer is FOREIGN:
            stray = stray or authenticator
    if stray is not None and not is_claimed:
        return refuse_credential(routed, authenticators, stray, _STRAY)
    if found is None:
        return Refusal(
            head=routed.head,
            route=routed.route,
            reason=Reason.CREDENTIALS_MISSING,
            challenges=_challenges(tuple(authenticators), rejected_by=None),
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
        challenges=_challenges(tuple(authenticators), rejected_by=by, instead=answer.challenge),
    )


@lru_cache(maxsize=256)
def _challenges(
    authenticators: tuple[Authenticator, ...],
    *,
    rejected_by: Authenticator | None,
    instead: str | None = None,
) -> tuple[str, ...]:
    # RFC 6750 section 3: without any credential the challenge carries no error code. A token that is bad to
    # its own authenticator is bad to the others, too.
    is_token = rejected_by is not None and rejected_by.takes_tokens
    challenges = (
        (
            (instead if one is rejected_by else None)
            or one.challenge(rejected=one is rejected_by or (is_token and one.takes_tokens)),
            one.resource_metadata,
        )
        for one in authenticators
    )
    return tuple(dict.fromkeys(pointed(text, where) for text, where in challenges if text is not None))


def pointed(challenge: str, resource_metadata: str) -> str:
    """Return a challenge that says where it is written whose tokens are taken (RFC 9728 section 5.1)."""
    return f'{challenge}, resource_metadata="{resource_metadata}"' if resource_metadata else challenge
