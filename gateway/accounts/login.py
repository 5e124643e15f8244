"""Beginning a session for a name and its password.

Everybody pays the same: who is unknown, wrong, disabled or locked is told so after one hash, in one answer.
What an address is refused, it is refused before that, and before anybody looks for such an account.

A session is only useful with an answer, so that it comes before its record, and both before the answer: a
failure in between leaves nothing in anybody's hands.
"""

import contextlib
from dataclasses import dataclass, field

from gateway.accounts.bodies import LoginBody
from gateway.accounts.device import Devices
from gateway.accounts.guard import Attempt, Guard
from gateway.accounts.issuing import Issuing, ScopesOf
from gateway.accounts.networks import outside_networks
from gateway.accounts.origin import Origin
from gateway.accounts.outcome import AccountRefusal, TokenPair
from gateway.accounts.passwords import HashingBusy, Passwords
from gateway.accounts.recording import Recorder, principal_of
from gateway.accounts.rules import AccountRules
from gateway.accounts.second_factor import SecondFactor
from gateway.accounts.sessions import Sessions
from gateway.model import EventKind, Reason, canonical_name
from gateway.ports import User, UserStore


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedIn:
    """A session has begun."""

    pair: TokenPair
    device: str = field(repr=False)
    """What the device on which it began is to show at the next login."""


class Login:
    """Logging in."""

    def __init__(
        self,
        *,
        users: UserStore,
        sessions: Sessions,
        passwords: Passwords,
        second_factor: SecondFactor,
        guard: Guard,
        devices: Devices,
        issuing: Issuing,
        recorder: Recorder,
    ) -> None:
        self._users = users
        self._sessions = sessions
        self._passwords = passwords
        self._second_factor = second_factor
        self._guard = guard
        self._devices = devices
        self._issuing = issuing
        self._recorder = recorder

    async def login(
        self,
        body: LoginBody,
        *,
        rules: AccountRules,
        scopes_of: ScopesOf,
        origin: Origin,
        device: str | None = None,
        client_id: str | None = None,
        jkt: str | None = None,
    ) -> LoggedIn | AccountRefusal:
        """Begin a session for a name and its password. Raise `StoreUnavailable`.

        A wrong password, an unknown name, a locked and a disabled account are one answer that takes one time.
        `device` is what an earlier login on this device was given; `client_id` the client with a secret that
        the session is to belong to, `jkt` the thumbprint of the key that its tokens are to be bound to.
        """
        refusal = outside_networks(rules, origin)
        if refusal is not None:
            return refusal
        name = canonical_name(body.username)
        known = None if device is None else self._devices.recognise(device)
        # Only for who has a cookie of ours: whoever tries names costs no look-up before it is counted.
        owner = None if known is None else await self._users.find_by_login(name)
        is_owners = known is not None and owner is not None and owner.id == known.user_id
        attempt = await self._guard.admit(
            name, rules=rules, origin=origin, device=known if is_owners else None
        )
        if isinstance(attempt, AccountRefusal):
            return attempt
        try:
            self._passwords.check_room()
            user = owner if known is not None else await self._users.find_by_login(name)
            usable = user is not None and user.disabled_at is None and attempt.locked_by is None
            stored = user.password_hash if user is not None and usable else None
            matches = await self._passwords.verify(body.password, stored)
        except HashingBusy as busy:
            await self._guard.excuse(attempt)
            return AccountRefusal(
                reason=Reason.OVERLOADED, diagnosis="too many logins at once", retry_after=busy.retry_after
            )
        if user is None or stored is None or not matches:
            return await self._failed(user, rules, origin, locked_by=attempt.locked_by)
        if self._passwords.needs_rehash(stored):
            await self._rehash(user.id, body.password, stored)
        return await self._begin(
            user, body, attempt, rules=rules, scopes_of=scopes_of, origin=origin, client_id=client_id, jkt=jkt
        )

    async def _begin(
        self,
        user: User,
        body: LoginBody,
        attempt: Attempt,
        *,
        rules: AccountRules,
        scopes_of: ScopesOf,
        origin: Origin,
        client_id: str | None,
        jkt: str | None,
    ) -> LoggedIn | AccountRefusal:
        """Begin a session for somebody who knows the password."""
        if rules.verifies_email and user.verified_at is None:
            await self._guard.excuse(attempt)
            return await self._not_yet(
                user,
                origin,
                AccountRefusal(
                    reason=Reason.EMAIL_UNVERIFIED,
                    subject=user.id,
                    diagnosis="the address was not confirmed",
                    detail="Confirm the e-mail address first, with the link that was sent there.",
                ),
            )
        factors = await self._second_factor.check(user, body.otp)
        if isinstance(factors, AccountRefusal):
            if factors.reason is Reason.CREDENTIALS_INVALID:
                return await self._failed(user, rules, origin, diagnosis=factors.diagnosis)
            if factors.reason is Reason.MFA_REQUIRED:
                # Asking which code is wanted is how people with a second factor log in.
                await self._guard.excuse(attempt)
            else:
                await self._guard.failed(rules=rules, origin=origin)
            return await self._not_yet(user, origin, factors)
        begun = await self._sessions.begin(
            user, rules, origin, client_id=client_id, amr=factors.amr, mfa_at=factors.mfa_at, jkt=jkt
        )
        if begun is None:
            return await self._failed(user, rules, origin)
        await self._recorder.record(
            EventKind.LOGIN,
            origin,
            actor=principal_of(user, session=begun.session),
            attributes=factors.attributes,
        )
        await self._guard.excuse(attempt)
        return LoggedIn(
            pair=self._issuing.pair(user, begun, rules, scopes_of), device=self._devices.remember(user.id)
        )

    async def _rehash(self, user_id: str, password: str, stored: str) -> None:
        """Store the password at today's cost; when there is no time for that now, at the next login."""
        with contextlib.suppress(HashingBusy):
            renewed = await self._passwords.hash(password)
            await self._users.update_password_hash(user_id, renewed, instead_of=stored)

    async def _failed(
        self,
        user: User | None,
        rules: AccountRules,
        origin: Origin,
        *,
        diagnosis: str = "login failed",
        locked_by: str | None = None,
    ) -> AccountRefusal:
        # A name that belongs to nobody is not written down: now and then it is a password in the wrong field.
        known: dict[str, str | int | bool | list[str]] = {
            "known": user is not None,
            "locked": locked_by is not None,
        }
        if user is not None:
            known |= {"user": user.id, "disabled": user.disabled_at is not None}
        await self._recorder.record(
            EventKind.LOGIN_FAILED,
            origin,
            reason=Reason.CREDENTIALS_INVALID,
            attributes=known,
            about=user,
        )
        await self._guard.failed(rules=rules, origin=origin)
        return AccountRefusal(
            reason=Reason.CREDENTIALS_INVALID,
            diagnosis=diagnosis if locked_by is None else "too many attempts with this name",
            rule=locked_by,
            detail="The name, the password or the code is wrong, or it was tried too often: then wait.",
        )

    async def _not_yet(self, user: User, origin: Origin, refusal: AccountRefusal) -> AccountRefusal:
        """Refuse somebody who knows the password, and lacks something else."""
        await self._recorder.record(
            EventKind.LOGIN_FAILED,
            origin,
            reason=refusal.reason,
            attributes={"known": True, "user": user.id},
            about=user,
        )
        return refusal
