"""What people do with their own account: register, log in, refresh, log out, look.

The order of effect, record and answer: an effect that only an answer makes useful (a session, a rotation)
comes before its record, and both before the answer, so that a failure in between leaves nothing in anybody's
hands. An effect that takes something away (the end of a session) does not wait for its record either: it
holds even when the record fails and the answer is an error. For new accounts see `registrar.py`.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from gateway.accounts.access_token import AccessTokens
from gateway.accounts.bodies import LoginBody, LogoutBody, RefreshBody, RegisterBody
from gateway.accounts.origin import Origin
from gateway.accounts.outcome import DONE, Account, AccountRefusal, Done, TokenPair
from gateway.accounts.passwords import HashingBusy, Passwords
from gateway.accounts.registrar import Registrar, principal_of
from gateway.accounts.rules import AccountRules
from gateway.accounts.sessions import Dead, Renewal, Reused, Sessions
from gateway.model import Event, EventKind, Principal, Reason, canonical_name
from gateway.ports import Change, ChangeKind, Clock, Events, StoreUnavailable, User, UserStore

ScopesOf = Callable[[frozenset[str]], frozenset[str]]
"""From roles to the scopes that they give, by the policy in force."""

_FLUSH_SECONDS = 1.0


class Accounts:
    """The accounts of the gateway itself.

    `rules` and `scopes_of` come with every call, from the snapshot that the request uses. `applied` is told
    of every revocation before the answer is given, so that this process refuses at once what the change feed
    will announce to the others.
    """

    def __init__(
        self,
        *,
        users: UserStore,
        sessions: Sessions,
        passwords: Passwords,
        registrar: Registrar,
        tokens: AccessTokens,
        events: Events,
        clock: Clock,
        applied: Callable[[Change], None],
    ) -> None:
        self._users = users
        self._sessions = sessions
        self._passwords = passwords
        self._registrar = registrar
        self._tokens = tokens
        self._events = events
        self._clock = clock
        self._applied = applied

    async def register(
        self, body: RegisterBody, *, rules: AccountRules, origin: Origin
    ) -> Account | AccountRefusal:
        """Make an account for somebody who asks for one. Raise `StoreUnavailable`.

        Closed registration is 403: the endpoint exists, and says what it does. Only a policy without
        `accounts` answers 404, and then nobody gets here.
        """
        if not rules.registration_open:
            return AccountRefusal(reason=Reason.DENIED, detail="Registration is closed.")
        user = await self._registrar.add(
            username=body.username,
            email=body.email,
            password=body.password,
            roles=rules.default_roles,
            min_length=rules.password_min_length,
            # Nobody has shown that the address is theirs.
            verified=False,
            kind=EventKind.REGISTERED,
            actor=None,
            origin=origin,
        )
        return user if isinstance(user, AccountRefusal) else Account.of(user)

    async def login(
        self, body: LoginBody, *, rules: AccountRules, scopes_of: ScopesOf, origin: Origin
    ) -> TokenPair | AccountRefusal:
        """Begin a session for a name and its password. Raise `StoreUnavailable`.

        A wrong password, an unknown name and a disabled account are one answer that takes one time.
        """
        user = await self._users.find_by_login(canonical_name(body.username))
        usable = user is not None and user.disabled_at is None
        stored = user.password_hash if user is not None and usable else None
        try:
            matches = await self._passwords.verify(body.password, stored)
        except HashingBusy as busy:
            return AccountRefusal(
                reason=Reason.OVERLOADED, diagnosis="too many logins at once", retry_after=busy.retry_after
            )
        if user is None or stored is None or not matches:
            return await self._login_failed(user, origin)
        if self._passwords.needs_rehash(stored):
            await self._rehash(user.id, body.password, stored)
        begun = await self._sessions.begin(user.id, rules, origin)
        await self._record(EventKind.LOGIN, origin, actor=principal_of(user, session=begun.session))
        return self._pair(user, begun, rules, scopes_of)

    async def refresh(
        self, body: RefreshBody, *, rules: AccountRules, scopes_of: ScopesOf, origin: Origin
    ) -> TokenPair | AccountRefusal:
        """Exchange a refresh token for a new pair. Raise `StoreUnavailable`; asking again is safe."""
        match await self._sessions.renew(body.refresh_token, rules):
            case Dead(diagnosis=diagnosis, user_id=user_id):
                return _no_longer(diagnosis, subject=user_id)
            case Reused() as reused:
                return await self._reuse_detected(reused, origin)
            case Renewal() as renewal:
                user = await self._users.find(renewal.user_id)
                if user is None or user.disabled_at is not None:
                    diagnosis = f"the account of {renewal.session} is gone or disabled"
                    return _no_longer(diagnosis, subject=renewal.user_id)
                await self._record(
                    EventKind.REFRESH,
                    origin,
                    actor=principal_of(user, session=renewal.session),
                    attributes={"generation": renewal.generation, "replayed": renewal.replayed},
                )
                return self._pair(user, renewal, rules, scopes_of)

    async def logout(
        self, principal: Principal, body: LogoutBody, *, origin: Origin
    ) -> Done | AccountRefusal:
        """End the session of the caller, or all sessions of the account. Raise `StoreUnavailable`."""
        if principal.session is None:
            return _not_a_session()
        if body.all:
            ended = await self._sessions.end_all(principal.id)
            for session in ended:
                self._apply(ChangeKind.SESSION_REVOKED, session)
            user = await self._users.find(principal.id)
            if user is not None:
                self._apply(ChangeKind.USER_CHANGED, user.id, epoch=user.epoch)
        else:
            ended = [principal.session] if await self._sessions.end(principal.session) else []
            self._apply(ChangeKind.SESSION_REVOKED, principal.session)
        await self._record(
            EventKind.LOGOUT,
            origin,
            actor=principal,
            attributes={"all": body.all, "sessions": sorted(ended)},
        )
        return DONE

    async def me(self, principal: Principal) -> Account | AccountRefusal:
        """Return the caller's own account. Raise `StoreUnavailable`."""
        if principal.session is None:
            return _not_a_session()
        user = await self._users.find(principal.id)
        if user is None or user.disabled_at is not None:
            return _no_longer(f"the account {principal.id} is gone or disabled")
        return Account.of(user)

    def seen(self, session_id: str, generation: int) -> None:
        """Note that an access token of this generation was accepted; quick, and never raises."""
        self._sessions.seen(session_id, generation)

    async def flush_confirmations(self, *, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Write what was `seen` every second, for ever. A store that is away is tried again: what is late
        only lengthens the tolerance towards repeated refreshes."""
        while True:
            await pause(_FLUSH_SECONDS)
            try:
                await self._sessions.flush()
            except StoreUnavailable:
                continue

    async def _rehash(self, user_id: str, password: str, stored: str) -> None:
        """Store the password at today's cost; when there is no time for that now, at the next login."""
        with contextlib.suppress(HashingBusy):
            renewed = await self._passwords.hash(password)
            await self._users.update_password_hash(user_id, renewed, instead_of=stored)

    async def _login_failed(self, user: User | None, origin: Origin) -> AccountRefusal:
        # A name that belongs to nobody is not written down: now and then it is a password in the wrong field.
        known: dict[str, str | int | bool | list[str]] = {"known": user is not None}
        if user is not None:
            known |= {"user": user.id, "disabled": user.disabled_at is not None}
        await self._record(
            EventKind.LOGIN_FAILED,
            origin,
            reason=Reason.CREDENTIALS_INVALID,
            attributes=known,
            about=user,
        )
        return AccountRefusal(
            reason=Reason.CREDENTIALS_INVALID,
            diagnosis="login failed",
            detail="The name or the password is wrong.",
        )

    async def _reuse_detected(self, reused: Reused, origin: Origin) -> AccountRefusal:
        self._apply(ChangeKind.SESSION_REVOKED, reused.session)
        user = await self._users.find(reused.user_id)
        await self._record(
            EventKind.REUSE_DETECTED,
            origin,
            # Whether the owner or a thief came late with the token, nobody can tell.
            actor=None if user is None else principal_of(user, session=reused.session),
            reason=Reason.CREDENTIALS_INVALID,
            session=reused.session,
            attributes={"generation": reused.presented, "newest": reused.newest},
        )
        diagnosis = f"generation {reused.presented} of {reused.session} was used again"
        return _no_longer(diagnosis, subject=reused.user_id)

    def _pair(self, user: User, renewal: Renewal, rules: AccountRules, scopes_of: ScopesOf) -> TokenPair:
        scope = " ".join(sorted(scopes_of(user.roles)))
        access = self._tokens.mint(user, renewal, scope, rules)
        return TokenPair(
            access_token=access.text,
            expires_in=access.expires_in,
            refresh_token=renewal.refresh_token,
            refresh_expires_in=int(renewal.refresh_ends - self._clock.now()),
            scope=scope,
        )

    def _apply(self, kind: ChangeKind, subject: str, *, epoch: int = 0) -> None:
        # Number 0: it did not come through the feed, whose own numbers go on from where they were.
        self._applied(Change(0, kind, subject, epoch, self._clock.now()))

    async def _record(
        self,
        kind: EventKind,
        origin: Origin,
        *,
        actor: Principal | None = None,
        reason: Reason = Reason.OK,
        session: str | None = None,
        attributes: dict[str, str | int | bool | list[str]] | None = None,
        about: User | None = None,
    ) -> None:
        await self._events.event(
            Event(
                kind=kind,
                actor=actor,
                request_id=origin.request_id,
                source_ip=origin.source_ip,
                user_agent=origin.user_agent,
                reason=reason,
                session=session or (None if actor is None else actor.session),
                attributes=attributes or {},
                subject=None if about is None else about.id,
                personal={} if about is None else {"username": about.username},
            )
        )


def _no_longer(diagnosis: str, *, subject: str | None = None) -> AccountRefusal:
    """Every refresh token that is worth nothing gets the same answer."""
    return AccountRefusal(
        reason=Reason.CREDENTIALS_INVALID, diagnosis=diagnosis, detail="Log in again.", subject=subject
    )


def _not_a_session() -> AccountRefusal:
    return AccountRefusal(
        reason=Reason.DENIED,
        diagnosis="the caller is not a logged-in user",
        detail="This needs the access token of a logged-in user.",
    )
