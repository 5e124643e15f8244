"""What people do with their own second factor: begin with one, use it, get other recovery codes, remove it.

Whatever changes what protects an account wants the password, or a code, or both: a stolen access token alone
neither begins nor ends a second factor (OWASP ASVS 7.5.1).
"""

import contextlib
from dataclasses import dataclass, field

from gateway.accounts.errand import ErrandKind
from gateway.accounts.guard import Guard
from gateway.accounts.mailing import Mailing
from gateway.accounts.origin import Origin
from gateway.accounts.outcome import DONE, AccountRefusal, Done, no_longer, not_a_session
from gateway.accounts.own_password import OwnPassword
from gateway.accounts.recording import Recorder
from gateway.accounts.recovery_codes import hashes_of, new_codes
from gateway.accounts.rules import AccountRules
from gateway.accounts.second_factor import WITH_FACTOR, SecondFactor, key_context, wrong
from gateway.accounts.totp import key_text, new_key, otpauth_uri
from gateway.crypto import Sealer
from gateway.model import EventKind, Principal, Reason
from gateway.ports import Clock, FactorStore, SessionStore, StoreUnavailable, Totp, UserStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """What an authenticator app is told, once."""

    secret: str = field(repr=False)
    """In base32, to be typed."""
    otpauth_uri: str = field(repr=False)
    """The same, to be shown as a picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryCodes:
    """The recovery codes of an account, shown once."""

    codes: tuple[str, ...] = field(repr=False)


class OwnFactor:
    """One's own second factor. `issuer` is the name that authenticator apps show."""

    def __init__(
        self,
        *,
        factors: FactorStore,
        second_factor: SecondFactor,
        users: UserStore,
        sessions: SessionStore,
        own_password: OwnPassword,
        guard: Guard,
        mailing: Mailing,
        sealer: Sealer,
        recorder: Recorder,
        clock: Clock,
        issuer: str,
    ) -> None:
        self._factors = factors
        self._second_factor = second_factor
        self._users = users
        self._sessions = sessions
        self._own_password = own_password
        self._guard = guard
        self._mailing = mailing
        self._sealer = sealer
        self._recorder = recorder
        self._now = clock.now
        self._issuer = issuer

    async def enrol(
        self, principal: Principal, *, password: str, rules: AccountRules, origin: Origin
    ) -> Enrolment | AccountRefusal:
        """Return the key of a new second factor, which counts once a code of it was shown. Raise
        `StoreUnavailable`.

        Asked again before that, another key takes its place; afterwards it is a `conflict`.
        """
        user = await self._own_password.prove(principal, password, rules=rules, origin=origin)
        if isinstance(user, AccountRefusal):
            return user
        key = new_key()
        totp = Totp(
            user_id=user.id,
            sealed=self._sealer.seal(key, context=key_context(user.id)),
            created_at=self._now(),
            confirmed_at=None,
            last_step=0,
        )
        if not await self._factors.begin(totp):
            return AccountRefusal(
                reason=Reason.CONFLICT, detail="There is a second factor already; remove it first."
            )
        return Enrolment(
            secret=key_text(key),
            otpauth_uri=otpauth_uri(key, issuer=self._issuer, account=user.username),
        )

    async def confirm(
        self, principal: Principal, *, otp: str, rules: AccountRules, origin: Origin
    ) -> RecoveryCodes | AccountRefusal:
        """Make a new second factor count, for which a code of it is shown, and return the recovery codes. It
        counts as proved in this session. Raise `StoreUnavailable`; then nothing has changed."""
        if principal.session is None:
            return not_a_session()
        totp = await self._factors.find(principal.id)
        if totp is None or totp.confirmed_at is not None:
            return _nothing("There is no new second factor to be confirmed; begin with one.")
        tries = await self._second_factor.reserve(f"{principal.id} {principal.session}", principal.id)
        if isinstance(tries, AccountRefusal):
            return await self._guard.missed(principal, tries, rules=rules, origin=origin)
        step = await self._second_factor.step_of(totp, otp)
        if step is None:
            return await self._guard.missed(
                principal, wrong(principal.id, "a wrong code"), rules=rules, origin=origin
            )
        codes = new_codes()
        if not await self._factors.confirm(
            totp,
            step=step,
            code_hashes=hashes_of(codes),
            at=self._now(),
            before_commit=lambda: self._recorder.record(
                EventKind.MFA_ENROLLED, origin, actor=principal, attributes={"factor": "totp"}
            ),
        ):
            return AccountRefusal(
                reason=Reason.CONFLICT, detail="The second factor was changed meanwhile; begin again."
            )
        await self._second_factor.give_back(tries)
        # It counts by then, and the codes are shown now or never.
        with contextlib.suppress(StoreUnavailable):
            await self._sessions.note_factor(principal.session, amr=WITH_FACTOR, mfa_at=self._now())
        with contextlib.suppress(StoreUnavailable):
            user = await self._users.find(principal.id)
            if user is not None:
                await self._mailing.tell(user, ErrandKind.FACTOR_BEGUN)
        return RecoveryCodes(codes=tuple(codes))

    async def verify(
        self, principal: Principal, *, otp: str, rules: AccountRules, origin: Origin
    ) -> Done | AccountRefusal:
        """Note that the second factor was proved in this session: its next access token says so. Raise
        `StoreUnavailable`."""
        proved = await self._proved(principal, otp, rules, origin)
        if isinstance(proved, AccountRefusal):
            return proved
        if not await self._sessions.note_factor(proved, amr=WITH_FACTOR, mfa_at=self._now()):
            return no_longer(f"{proved} has ended", subject=principal.id)
        return DONE

    async def renew_codes(
        self, principal: Principal, *, otp: str, rules: AccountRules, origin: Origin
    ) -> RecoveryCodes | AccountRefusal:
        """Return new recovery codes; the old ones are worth nothing then. Raise `StoreUnavailable`; then they
        are what they were."""
        proved = await self._proved(principal, otp, rules, origin)
        if isinstance(proved, AccountRefusal):
            return proved
        codes = new_codes()
        if not await self._factors.replace_codes(
            principal.id,
            hashes_of(codes),
            before_commit=lambda: self._recorder.record(
                EventKind.MFA_ENROLLED, origin, actor=principal, attributes={"factor": "recovery_codes"}
            ),
        ):
            return _nothing("There is no second factor.")
        return RecoveryCodes(codes=tuple(codes))

    async def remove(
        self, principal: Principal, *, password: str, otp: str, rules: AccountRules, origin: Origin
    ) -> Done | AccountRefusal:
        """Remove the caller's second factor, for the password and a code. Raise `StoreUnavailable`; then it
        is still there."""
        user = await self._own_password.prove(principal, password, rules=rules, origin=origin)
        if isinstance(user, AccountRefusal):
            return user
        proved = await self._proved(principal, otp, rules, origin)
        if isinstance(proved, AccountRefusal):
            return proved
        removed = await self._factors.remove(
            user.id,
            before_commit=lambda: self._recorder.record(
                EventKind.MFA_REMOVED, origin, actor=principal, attributes={"user": user.id}
            ),
        )
        if not removed:
            return _nothing("There is no second factor.")
        await self._mailing.tell(user, ErrandKind.FACTOR_REMOVED)
        return DONE

    async def _proved(
        self, principal: Principal, otp: str, rules: AccountRules, origin: Origin
    ) -> str | AccountRefusal:
        """Return the session in which a code was shown."""
        if principal.session is None:
            return not_a_session()
        totp = await self._factors.find(principal.id)
        if totp is None or totp.confirmed_at is None:
            return _nothing("There is no second factor.")
        taken = await self._second_factor.take(totp, otp, counted_for=f"{principal.id} {principal.session}")
        if isinstance(taken, AccountRefusal):
            return await self._guard.missed(principal, taken, rules=rules, origin=origin)
        return principal.session


def _nothing(detail: str) -> AccountRefusal:
    return AccountRefusal(reason=Reason.CONFLICT, detail=detail)
