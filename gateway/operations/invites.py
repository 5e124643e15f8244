"""What operators do with invitations.

Making one is recorded inside the transaction that stores it: no record, no invitation. Revoking comes before
its record: what was given to the wrong person must not live on while the audit trail is away.
"""

from collections.abc import Sequence

from gateway.accounts import AccountRefusal, IssuedInvite, fault_in_email, invalid, issue_invite
from gateway.model import Event, EventKind, Principal, Reason
from gateway.ports import Clock, Events, Invite, InviteStore

MAX_LIFE = 366 * 86400.0
"""Seconds that an invitation may live."""


async def create_invite(
    invites: InviteStore,
    events: Events,
    clock: Clock,
    *,
    roles: frozenset[str],
    email: str | None,
    life: float,
    operator: Principal,
) -> IssuedInvite | AccountRefusal:
    """Make an invitation that is good for one account, for `life` seconds. Recorded as `invite.created`.

    Raise `StoreUnavailable`; then there is none.
    """
    if not 0 < life <= MAX_LIFE:
        return invalid("expires", "must be more than nothing and at most a year")
    fault = None if email is None else fault_in_email(email)
    if fault is not None:
        return invalid("email", fault)
    issued = issue_invite(roles=roles, email=email, created_by=operator.id, now=clock.now(), life=life)
    event = Event(
        kind=EventKind.INVITE_CREATED,
        actor=operator,
        attributes={
            "invite": issued.invite.id,
            "roles": sorted(roles),
            # Which address, the record does not say: it belongs to nobody who is known here yet.
            "for_one_address": email is not None,
            "seconds": round(life),
        },
    )
    await invites.add(issued.invite, before_commit=lambda: events.event(event))
    return issued


async def list_invites(invites: InviteStore) -> Sequence[Invite]:
    """Return every invitation, newest first, used and ended ones too. Raise `StoreUnavailable`."""
    return await invites.list()


async def revoke_invite(
    invites: InviteStore, events: Events, clock: Clock, *, id: str, operator: Principal
) -> AccountRefusal | None:
    """End an invitation that nobody has used, recorded as `invite.revoked`; None: it has ended.

    Raise `StoreUnavailable`; `AuditUnavailable` when it has ended but that could not be recorded.
    """
    if not await invites.revoke(id, at=clock.now()):
        known = any(invite.id == id for invite in await invites.list())
        if known:
            return AccountRefusal(
                reason=Reason.CONFLICT, detail=f"The invitation {id!r} was used, or has ended already."
            )
        hint = "`gateway invites list` shows them"
        return AccountRefusal(reason=Reason.NOT_FOUND, detail=f"There is no invitation {id!r}; {hint}.")
    await events.event(Event(kind=EventKind.INVITE_REVOKED, actor=operator, attributes={"invite": id}))
    return None
