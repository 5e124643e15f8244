"""What is found out about a request on a route that encrypts or decrypts, before its decision stands."""

from gateway.config import Plan
from gateway.model import Permit, Reason, Refusal
from gateway.proxy import (
    BodyBroken,
    BodyTooLarge,
    ClientLeft,
    Downstream,
    Envelope,
    EnvelopeRefused,
    UpstreamFault,
    reason_for,
)


async def refused_to_open(
    envelope: Envelope, client: Downstream, permit: Permit, plan: Plan, *, idle: float
) -> Refusal | None:
    """Prepare an envelope: find the keys, and read and open the body of the request, whose next byte may take
    `idle` seconds. Return why the request is refused; None when it can go on."""
    detail: str | None = None
    close = True
    try:
        await envelope.prepare(client, idle=idle)
    except EnvelopeRefused as refused:
        reason, diagnosis, detail, close = refused.reason, refused.diagnosis, refused.detail, False
    except BodyTooLarge:
        reason, diagnosis = Reason.BODY_TOO_LARGE, ""
        detail = f"The body may have at most {plan.max_request} bytes."
    except BodyBroken:
        reason, diagnosis = Reason.MALFORMED_REQUEST, "body framing"
    except ClientLeft:
        reason, diagnosis = Reason.REQUEST_TIMEOUT, "the client left"
    except UpstreamFault as fault:
        reason, diagnosis = reason_for(fault.fault), fault.diagnosis
    else:
        return None
    return _refusal(permit, reason, diagnosis, detail, close=close)


def given_up(permit: Permit) -> Refusal:
    """Return the refusal of a request whose body did not come, and for which nobody waits any more."""
    return _refusal(permit, Reason.REQUEST_TIMEOUT, "the client left, or the gateway stopped, before it came")


def _refusal(
    permit: Permit, reason: Reason, diagnosis: str, detail: str | None = None, *, close: bool = True
) -> Refusal:
    return Refusal(
        head=permit.head,
        reason=reason,
        diagnosis=diagnosis,
        detail=detail,
        route=permit.route,
        principal=permit.principal,
        rule=permit.route.rule,
        tallies=permit.tallies,
        close=close,
    )
