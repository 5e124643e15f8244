"""What operators do with accounts.

Deleting is recorded inside the transaction that deletes: no record, no deletion. What the audit trail says of
the person is erased after that; should it fail, the same command with the id does what is left.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.accounts import AccountRefusal, Mailing, Origin, Registrar, is_user_id
from gateway.model import Event, EventKind, Principal
from gateway.operations.finding import find_user, no_user
from gateway.ports import (
    ApiKey,
    ApiKeyStore,
    Clock,
    Erasure,
    Events,
    FactorStore,
    Session,
    SessionStore,
    StoreUnavailable,
    User,
    UserStore,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedUser:
    """What became of an account."""

    id: str
    username: str | None
    """None: it had been deleted before."""
    erased: bool
    """Whether what the audit trail says of the person was erased."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserDetails:
    """An account, and what belongs to it."""

    user: User
    sessions: Sequence[Session]
    """Those that have not ended, the newest first."""
    keys: Sequence[ApiKey]
    """Those that were not revoked, the newest first."""
    has_second_factor: bool


class EraseLater(StoreUnavailable):
    """The account was deleted, and what the audit trail says of the person could not be erased yet."""

    def __init__(self, id: str, why: str) -> None:
        super().__init__(why)
        self.id = id
        """What to erase by."""


async def create_user(
    registrar: Registrar,
    *,
    username: str,
    email: str | None,
    password: str,
    roles: frozenset[str],
    min_length: int,
    operator: Principal,
    rejects_common: bool = False,
) -> User | AccountRefusal:
    """Make a verified account, recorded as `user.created`. Raise `StoreUnavailable`; then there is none."""
    return await registrar.add(
        username=username,
        email=email,
        password=password,
        roles=roles,
        min_length=min_length,
        rejects_common=rejects_common,
        verified=True,
        kind=EventKind.USER_CREATED,
        actor=operator,
        origin=Origin(),
    )


async def list_users(users: UserStore) -> Sequence[User]:
    """Return every account, by name. Raise `StoreUnavailable`."""
    return await users.list()


async def show_user(
    users: UserStore,
    sessions: SessionStore,
    api_keys: ApiKeyStore,
    factors: FactorStore,
    clock: Clock,
    *,
    name: str,
) -> UserDetails | AccountRefusal:
    """Return an account, given by name, e-mail or id, and what belongs to it. Raise `StoreUnavailable`."""
    user = await find_user(users, name)
    if isinstance(user, AccountRefusal):
        return user
    factor = await factors.find(user.id)
    return UserDetails(
        user=user,
        sessions=await sessions.list_of(user.id, now=clock.now()),
        keys=[key for key in await api_keys.list() if key.owner_id == user.id and key.revoked_at is None],
        has_second_factor=factor is not None and factor.confirmed_at is not None,
    )


async def delete_user(
    users: UserStore,
    mailing: Mailing,
    erasure: Erasure,
    events: Events,
    clock: Clock,
    *,
    name: str,
    erase: bool,
    operator: Principal,
) -> DeletedUser | AccountRefusal:
    """Remove an account, given by name, e-mail or id, with its sessions and keys, in every process within a
    second; with `erase`, what the audit trail says of the person too, and mails that wait. Recorded as
    `user.deleted`.

    Of an account that was deleted before, given by id, what is left is erased. Raise `StoreUnavailable`:
    `AuditUnavailable` when nothing was done, `EraseLater` when the account is gone and nothing was erased.
    """
    found = await find_user(users, name)
    user = None if isinstance(found, AccountRefusal) else found
    if user is None and not (erase and is_user_id(name)):
        return _nobody(name, erase=erase)
    id_ = name if user is None else user.id
    event = Event(
        kind=EventKind.USER_DELETED,
        actor=operator,
        attributes={"user": id_, "erased": erase},
        # What is about to be erased is not written down once more.
        subject=None if user is None or erase else user.id,
        personal={} if user is None or erase else {"username": user.username},
    )
    if user is None:
        await events.event(event)
    elif not await users.delete(user.id, at=clock.now(), before_commit=lambda: events.event(event)):
        return _nobody(name, erase=erase)
    if erase:
        try:
            if user is not None and user.email is not None:
                await mailing.forget(user.email)
            await erasure.erase(id_, at=clock.now())
        except StoreUnavailable as unavailable:
            raise EraseLater(id_, str(unavailable)) from None
    return DeletedUser(id=id_, username=None if user is None else user.username, erased=erase)


def _nobody(name: str, *, erase: bool) -> AccountRefusal:
    hint = "; what is left of a user that was deleted is erased by its id" if erase else ""
    return no_user(name, hint=hint)
