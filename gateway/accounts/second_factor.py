"""Asking for the second factor of an account: codes of an authenticator app, and recovery codes beside them.

Codes of the app are few, so that few guesses are taken: five in five minutes, reserved before a code is
looked at and given back for a good one. At the login they count by account; in a session by session, so that
nobody who only knows the password keeps the owner from using the sessions there are. Recovery codes are too
many to guess, and are always taken: they are what is left to an owner whom somebody else's guesses keep out.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog

from gateway.accounts.outcome import AccountRefusal
from gateway.accounts.recovery_codes import hash_of_code
from gateway.accounts.totp import is_code, step_of
from gateway.crypto import SealBroken, Sealer
from gateway.model import Algorithm, Charge, Limit, OnStoreError, Reason
from gateway.ports import Clock, CounterStore, FactorStore, StoreUnavailable, Totp, User

WITH_FACTOR: Final = ("mfa", "otp", "pwd")
"""`amr` (RFC 8176) of whoever has shown a password and a code."""

Said = Mapping[str, str | int | bool | list[str]]
"""Attributes of an event."""

_TRIES: Final = Limit(
    id="gateway:otp",
    place="built in",
    algorithm=Algorithm.WINDOW,
    per=("all",),
    quota=5,
    burst=5,
    window_us=300 * 1_000_000,
    # Six digits protect nothing when nobody counts.
    on_store_error=OnStoreError.CLOSED,
)

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("gateway.accounts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Factors:
    """What somebody who logs in has shown, the password among it."""

    amr: tuple[str, ...]
    """Names as in RFC 8176, sorted."""
    mfa_at: float | None
    """When a second factor was proved, in seconds since the epoch; None: the account has none."""
    attributes: Said = field(default_factory=dict)
    """What the record of the login says of it."""


PASSWORD_ONLY: Final = Factors(amr=("pwd",), mfa_at=None)


class SecondFactor:
    """Checks codes, and counts the tries."""

    def __init__(self, factors: FactorStore, *, counters: CounterStore, sealer: Sealer, clock: Clock) -> None:
        self._factors = factors
        self._counters = counters
        self._sealer = sealer
        self._now = clock.now

    async def check(self, user: User, otp: str | None) -> Factors | AccountRefusal:
        """Return what somebody has shown who knows the password of this account, and sent this code with it.

        Refused with `mfa-required` where the account has a second factor and no code was sent, with
        `credentials-invalid` for a bad one, with `rate-exceeded` after too many. A code that an account does
        not ask for is not looked at. Raise `StoreUnavailable`.
        """
        totp = await self._factors.find(user.id)
        if totp is None or totp.confirmed_at is None:
            return PASSWORD_ONLY
        if otp is None:
            return AccountRefusal(
                reason=Reason.MFA_REQUIRED,
                subject=user.id,
                diagnosis="no code was sent",
                detail="Send the code of the authenticator app, or a recovery code, as otp.",
            )
        taken = await self.take(totp, otp, counted_for=user.id)
        if isinstance(taken, AccountRefusal):
            return taken
        return Factors(amr=WITH_FACTOR, mfa_at=self._now(), attributes=taken)

    async def take(self, totp: Totp, otp: str, *, counted_for: str) -> Said | AccountRefusal:
        """Use up a code of a second factor that counts, and return what a record says of it. Raise
        `StoreUnavailable`.

        `counted_for` is whose tries are counted.
        """
        code_hash = hash_of_code(otp)
        if code_hash is not None:
            if not await self._factors.use_code(totp.user_id, code_hash, at=self._now()):
                return wrong(totp.user_id, "a wrong or used recovery code")
            left = await self._factors.codes_left(totp.user_id)
            return {"factor": "recovery_code", "recovery_codes_left": left}
        tries = await self.reserve(counted_for, totp.user_id)
        if isinstance(tries, AccountRefusal):
            return tries
        step = await self.step_of(totp, otp)
        # Of two that send the same code, the store lets one through.
        if step is None or not await self._factors.use_step(totp.user_id, step):
            return wrong(totp.user_id, "a wrong or used code")
        await self.give_back(tries)
        return {"factor": "totp"}

    async def reserve(self, counted_for: str, subject: str) -> tuple[Charge, ...] | AccountRefusal:
        """Count a try before it is made; return what to `give_back` when it was a good one, or the refusal
        of one too many. Raise `StoreUnavailable`."""
        charges = (Charge(_TRIES, (_TRIES.id, counted_for)),)
        verdict = await self._counters.take(charges)
        if verdict.admitted:
            return charges
        return AccountRefusal(
            reason=Reason.RATE_EXCEEDED,
            subject=subject,
            diagnosis="too many wrong passwords or codes",
            detail="There were too many attempts.",
            retry_after=verdict.tallies[0].wait_us / 1_000_000,
        )

    async def give_back(self, tries: tuple[Charge, ...]) -> None:
        """Count a try no longer; where that fails, it counts until its time is over."""
        with contextlib.suppress(StoreUnavailable):
            await self._counters.give_back(tries)

    async def step_of(self, totp: Totp, otp: str) -> int | None:
        """Return the interval whose code this is; None: none, or a used one. Raise `StoreUnavailable`."""
        # Apps show a space in the middle.
        code = otp.replace(" ", "")
        if not is_code(code):
            return None
        await self._sealer.ready_for(totp.sealed)
        try:
            key = self._sealer.open(totp.sealed, context=key_context(totp.user_id))
        except SealBroken as fault:
            # Whose it is has recovery codes, and an operator can remove it.
            _log.error("second_factor.unreadable", detail=str(fault))
            return None
        return step_of(key, code, now=self._now(), after=totp.last_step)


def wrong(user_id: str, diagnosis: str) -> AccountRefusal:
    """Return the refusal of a wrong password or code: which of the two is not said."""
    return AccountRefusal(
        reason=Reason.CREDENTIALS_INVALID,
        subject=user_id,
        diagnosis=diagnosis,
        detail="The password or the code is wrong.",
    )


def key_context(user_id: str) -> str:
    """Return what the key of an account's codes is sealed for."""
    return f"totp:{user_id}"
