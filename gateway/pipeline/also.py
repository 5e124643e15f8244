"""In step 7: the credentials that a route asks for besides the one that says who is asking."""

from collections.abc import Sequence

from gateway.identity import Authenticator, Rejected
from gateway.model import Identified, Principal, Reason, Refusal


async def lacks_also(identified: Identified, authenticators: Sequence[Authenticator]) -> Refusal | None:
    """Return why not, unless each of these authenticators finds a good credential, whosever it is. Raise
    `StoreUnavailable`."""
    for authenticator in authenticators:
        answer = await authenticator.identify(identified.head)
        if isinstance(answer, Principal):
            continue
        is_bad = isinstance(answer, Rejected)
        diagnosis = answer.diagnosis if isinstance(answer, Rejected) else "absent"
        challenge = authenticator.challenge(rejected=is_bad)
        return Refusal(
            head=identified.head,
            route=identified.route,
            principal=identified.principal,
            reason=Reason.CREDENTIALS_INVALID if is_bad else Reason.CREDENTIALS_MISSING,
            diagnosis=f"{authenticator.name}: {diagnosis}",
            challenges=() if challenge is None else (challenge,),
        )
    return None
