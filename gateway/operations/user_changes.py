"""What operators change about accounts.

What gives something, roles, a password, a way back in, is recorded inside the transaction that stores it: no
record, no change. Disabling comes before its record, because an account that was taken over must not live on
while the audit trail is away.
"""

from gateway.accounts import (
    AccountRefusal,
    ErrandKind,
    HashingBusy,
    Mailing,
    Passwords,
    fault_in_password,
    invalid,
    no_room,
)
from gateway.model import Event, EventKind, Principal, Reason
from gateway.operations.finding import find_user, no_user
from gateway.ports import Clock, Events, User, UserStore


async def set_roles(
    users: UserStore, events: Events, clock: Clock, *, name: str, roles: frozenset[str], operator: Principal
) -> User | AccountRefusal:
    """Replace the roles of an account, given by name, e-mail or id; older access tokens are dead within a
    second, and refreshed ones have the new roles. Recorded as `role.changed`.

    Raise `StoreUnavailable`; then nothing has changed.
    """
    user = await find_user(users, name)
    if isinstance(user, AccountRefusal):
        return user
    event = _event(
        EventKind.ROLE_CHANGED, user, operator, roles=sorted(roles), roles_before=sorted(user.roles)
    )
    changed = await users.set_roles(user.id, roles, at=clock.now(), before_commit=lambda: events.event(event))
    return changed or no_user(name)


async def set_password(
    users: UserStore,
    passwords: Passwords,
    mailing: Mailing,
    events: Events,
    clock: Clock,
    *,
    name: str,
    password: str,
    min_length: int,
    rejects_common: bool,
    operator: Principal,
) -> User | AccountRefusal:
    """Replace the password of an account, given by name, e-mail or id; all its sessions end within a second,
    and a mail tells its owner. Recorded as `auth.password_changed`.

    Raise `StoreUnavailable`; then nothing has changed.
    """
    user = await find_user(users, name)
    if isinstance(user, AccountRefusal):
        return user
    fault = fault_in_password(
        password, user.username, user.email or "", min_length=min_length, rejects_common=rejects_common
    )
    if fault is not None:
        return invalid("password", fault)
    try:
        hashed = await passwords.hash(password)
    except HashingBusy as busy:
        return no_room(busy.retry_after)
    event = _event(EventKind.PASSWORD_CHANGED, user, operator)
    changed = await users.set_password(
        user.id,
        hashed,
        at=clock.now(),
        before_commit=lambda: events.event(event),
    )
    if changed is None:
        return no_user(name)
    await mailing.tell(changed, ErrandKind.PASSWORD_CHANGED)
    return changed


async def disable_user(
    users: UserStore, events: Events, clock: Clock, *, name: str, operator: Principal
) -> User | AccountRefusal:
    """Shut an account out, given by name, e-mail or id: its sessions, tokens and keys are of no use within a
    second. Recorded as `user.disabled`.

    Raise `StoreUnavailable`; `AuditUnavailable` when it is disabled but that could not be recorded.
    """
    user = await find_user(users, name)
    if isinstance(user, AccountRefusal):
        return user
    if user.disabled_at is not None:
        return _already(user, "disabled")
    changed = await users.set_disabled(user.id, disabled=True, at=clock.now())
    if changed is None:
        return no_user(name)
    await events.event(_event(EventKind.USER_DISABLED, user, operator))
    return changed


async def enable_user(
    users: UserStore, events: Events, clock: Clock, *, name: str, operator: Principal
) -> User | AccountRefusal:
    """Let a disabled account in again, given by name, e-mail or id; sessions that had ended stay ended.
    Recorded as `user.enabled`. Raise `StoreUnavailable`; then nothing has changed."""
    user = await find_user(users, name)
    if isinstance(user, AccountRefusal):
        return user
    if user.disabled_at is None:
        return _already(user, "enabled")
    event = _event(EventKind.USER_ENABLED, user, operator)
    changed = await users.set_disabled(
        user.id, disabled=False, at=clock.now(), before_commit=lambda: events.event(event)
    )
    return changed or no_user(name)


def _event(kind: EventKind, user: User, operator: Principal, **attributes: str | list[str]) -> Event:
    return Event(
        kind=kind,
        actor=operator,
        attributes={"user": user.id, **attributes},
        subject=user.id,
        personal={"username": user.username},
    )


def _already(user: User, state: str) -> AccountRefusal:
    return AccountRefusal(reason=Reason.CONFLICT, detail=f"The user {user.username!r} is {state} already.")
