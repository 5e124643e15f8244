"""Making accounts: the one way in, for people who register and for operators who create them.

The event is written down inside the transaction that stores the account, just before its commit. If it
cannot be recorded, there is no account; no account is ever without its record. Only a crash between the two
leaves a record of an account that never was, which is the harmless side to err on.
"""

from collections.abc import Mapping

from gateway.accounts.ids import new_id
from gateway.accounts.names import fault_in_email, fault_in_username
from gateway.accounts.origin import Origin
from gateway.accounts.outcome import AccountRefusal
from gateway.accounts.passwords import MAX_CHARACTERS, HashingBusy, Passwords, length_of
from gateway.model import Event, EventKind, Principal, PrincipalKind, Reason, canonical_name
from gateway.ports import Clock, Events, Taken, User, UserStore


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
    ) -> User | AccountRefusal:
        """Store a new account, recorded as `kind`; `actor` None: the new account itself.

        Raise `StoreUnavailable`; then nothing has been stored.
        """
        errors = _errors_in(username, email, password, min_length)
        if errors:
            return AccountRefusal(reason=Reason.INVALID_REQUEST, errors=errors)
        # Asked before hashing: a taken name costs no quarter of a second. The unique index decides races.
        for field, name in (("username", username), ("email", email)):
            if name is not None and await self._users.find_by_login(canonical_name(name)) is not None:
                return _taken(field)
        try:
            password_hash = await self._passwords.hash(password)
        except HashingBusy as busy:
            return AccountRefusal(reason=Reason.OVERLOADED, retry_after=busy.retry_after)
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
            await self._users.add(user, before_commit=lambda: self._events.event(event))
        except Taken as taken:
            return _taken(taken.field)
        return user


def principal_of(user: User, *, session: str | None = None) -> Principal:
    """Return an account as the one who acts, vouched for by its password or its refresh token."""
    return Principal(
        id=user.id,
        kind=PrincipalKind.USER,
        name=user.username,
        authn="accounts",
        authn_kind="password",
        roles=user.roles,
        session=session,
        subject=user.id,
    )


def _errors_in(
    username: str, email: str | None, password: str, min_length: int
) -> tuple[Mapping[str, str], ...]:
    faults = (
        ("username", fault_in_username(username)),
        ("email", None if email is None else fault_in_email(email)),
        ("password", _fault_in_password(password, min_length)),
    )
    return tuple({"field": field, "message": fault} for field, fault in faults if fault is not None)


def _fault_in_password(password: str, min_length: int) -> str | None:
    if length_of(password) < max(min_length, 1):
        return f"must have at least {max(min_length, 1)} characters"
    if len(password) > MAX_CHARACTERS:
        return f"may have at most {MAX_CHARACTERS} characters"
    return None


def _taken(field: str) -> AccountRefusal:
    name = {"username": "user name", "email": "e-mail address"}[field]
    return AccountRefusal(
        reason=Reason.CONFLICT,
        detail=f"This {name} is taken.",
        errors=({"field": field, "message": "is taken"},),
    )
