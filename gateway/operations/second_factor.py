"""What operators do about somebody's second factor: take it away from an account whose owner has lost it."""

from gateway.accounts import AccountRefusal, ErrandKind, Mailing
from gateway.model import Event, EventKind, Principal, Reason
from gateway.operations.finding import find_user
from gateway.ports import Events, FactorStore, User, UserStore


async def remove_second_factor(
    users: UserStore,
    factors: FactorStore,
    events: Events,
    mailing: Mailing,
    *,
    name: str,
    operator: Principal,
) -> User | AccountRefusal:
    """Remove the second factor and the recovery codes of an account, given by name, e-mail or id; return the
    account. Its password alone opens it then, until its owner begins with another.

    Recorded as `mfa.removed`, and a mail tells the owner.

    Raise `StoreUnavailable`: `AuditUnavailable` when nothing was done.
    """
    user = await find_user(users, name)
    if isinstance(user, AccountRefusal):
        return user
    event = Event(
        kind=EventKind.MFA_REMOVED,
        actor=operator,
        attributes={"user": user.id},
        subject=user.id,
        personal={"username": user.username},
    )
    if not await factors.remove(user.id, before_commit=lambda: events.event(event)):
        return AccountRefusal(
            reason=Reason.CONFLICT, detail=f"The user {user.username!r} has no second factor."
        )
    await mailing.tell(user, ErrandKind.FACTOR_REMOVED)
    return user
