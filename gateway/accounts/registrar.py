"""Making accounts: the one way in, for people who register and for operators who create them.

The event is written down inside the transaction that stores the account, just before its commit. If it
cannot be recorded, there is no account; no account is ever without its record. Only a crash between the two
leaves a record of an account that never was, which is the harmless side to err on.
"""

from collections.abc import Mapping

from gateway.accounts.ids import new_id
from gateway.accounts.names import fault_in_email, fault_in_username
from gateway.accounts.origin import Origin
from gateway.accounts.outcome import AccountRefusal, invalid, no_room
from gateway.accounts.password_rules import fault_in_password
from gateway.accounts.passwords import HashingBusy, Passwords
from gateway.accounts.recording import principal_of
from gateway.model import Event, EventKind, Principal, Reason, canonical_name
from gateway.ports import Clock, Events, Invite, Taken, User, UserStore


class Registrar:
    """Adds accounts."""

    def __init__(self, *, users: UserStore, passwords: Passwords, events: Events, clock: Clock) -> None:
        self._users = users
        self._passwords = passwords
        self._events = events
        self._clock = clock

    async def add(
        self,
        *,
        username: str,
        email: str | None,
        password: str,
        roles: frozenset[str],
        min_length: int,
        verified: bool,
        kind: EventKind,
        actor: Principal | None,
        origin: Origin,
        rejects_common: bool = False,
        invite: Invite | None = None,
        says_taken: bool = True,
    ) -> User | AccountRefusal:
        """Store a new account, recorded as `kind`; `actor` None: the new account itself. An invitation is
        used up with it.

        Unless it `says_taken`, a taken name takes the time of a free one. Raise `StoreUnavailable`; then
        nothing has been stored.
        """
        errors = _errors_in(username, email, password, min_length, rejects_common=rejects_common)
        if errors:
            return AccountRefusal(reason=Reason.INVALID_REQUEST, errors=errors)
        if says_taken:
            # Before hashing: a taken name costs no quarter of a second. The unique index decides races.
            for field, name in (("username", username), ("email", email)):
                if name is not None and await self._users.find_by_login(canonical_name(name)) is not None:
                    return _taken(field)
        try:
            password_hash = await self._passwords.hash(password)
        except HashingBusy as busy:
            return no_room(busy.retry_after)
        now = self._clock.now()
        user = User(
            id=new_id("usr_"),
            username=username,
            email=email,
            password_hash=password_hash,
            roles=roles,
            epoch=0,
            created_at=now,
            verified_at=now if verified else None,
        )
        event = Event(
            kind=kind,
            actor=actor or principal_of(user),
            request_id=origin.request_id,
            source_ip=origin.source_ip,
            user_agent=origin.user_agent,
            attributes={"user": user.id, "roles": sorted(roles)},
            subject=user.id,
            personal={"username": username},
        )
        try:
            await self._users.add(
                user,
                invite=None if invite is None else invite.id,
                before_commit=lambda: self._events.event(event),
            )
        except Taken as taken:
            return _taken(taken.field)
        return user


def _errors_in(
    username: str, email: str | None, password: str, min_length: int, *, rejects_common: bool
) -> tuple[Mapping[str, str], ...]:
    fault = fault_in_password(
        password, username, email or "", min_length=min_length, rejects_common=rejects_common
    )
    faults = (
        ("username", fault_in_username(username)),
        ("email", None if email is None else fault_in_email(email)),
        ("password", fault),
    )
    return tuple({"field": field, "message": fault} for field, fault in faults if fault is not None)


def _taken(field: str) -> AccountRefusal:
    if field == "invite":
        return invalid("invite", "was used meanwhile")
    name = {"username": "user name", "email": "e-mail address"}[field]
    return AccountRefusal(
        reason=Reason.CONFLICT,
        detail=f"This {name} is taken.",
        errors=({"field": field, "message": "is taken"},),
    )
