"""What operators do for the trail's integrity: check it, and end what is old enough."""

from collections.abc import Sequence

from gateway.audit import Copy, Disposal, Verdict, Verifier
from gateway.model import Principal
from gateway.operations.audit import Reading, note_reading
from gateway.ports import AuditQuery, Events


async def verify_trail(
    verifier: Verifier,
    events: Events,
    *,
    copies: Sequence[Copy],
    operator: Principal,
) -> tuple[Verdict, str | None]:
    """Return what checking the trail has shown, recorded as `audit.read`, and why that could not be recorded,
    None when it was.

    `copies` are the checkpoints as they were kept elsewhere. Raise `StoreUnavailable`, `OSError`.
    """
    verdict = await verifier.verify(*copies)
    reading: Reading = {"command": "verify", "records": verdict.records, "findings": verdict.found}
    return verdict, await note_reading(events, reading, AuditQuery(), operator=operator)


async def prune_trail(disposal: Disposal, *, keep: float, operator: Principal) -> int:
    """Remove the days of the trail that ended more than so many seconds ago; return how many there were.

    Raise `RetentionRefused`; `StoreUnavailable`; `AuditUnavailable` when they were removed but only the
    checkpoint could tell of it.
    """
    return await disposal.dispose(keep=keep, operator=operator)
