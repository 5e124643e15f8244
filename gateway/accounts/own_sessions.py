"""What people do with their own account and sessions: look, end one, log out.

An effect that takes something away does not wait for its record: it holds even when the record fails and the
answer is an error.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from gateway.accounts.bodies import LogoutBody
from gateway.accounts.origin import Origin
from gateway.accounts.outcome import DONE, Account, AccountRefusal, Done, no_longer, not_a_session
from gateway.accounts.recording import Recorder
from gateway.accounts.rules import AccountRules
from gateway.accounts.sessions import Sessions
from gateway.model import EventKind, Principal, Reason
from gateway.ports import ChangeKind, StoreUnavailable, UserStore

_FLUSH_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSession:
    """A session as its owner may see it. Times are seconds since the epoch."""

    id: str
    created_at: float
    last_used_at: float
    expires_at: float
    """When it ends if it is not renewed before: by its idle or its absolute end."""
    source_ip: str | None
    """Where it was begun."""
    user_agent: str | None
    client_id: str | None
    """The OAuth client that began it; None: the gateway's own."""
    mfa: bool
    """Whether a second factor was proved in it."""
    current: bool
    """Whether it is the one that asks."""


class OwnSessions:
    """One's own account and sessions."""

    def __init__(self, *, users: UserStore, sessions: Sessions, recorder: Recorder) -> None:
        self._users = users
        self._sessions = sessions
        self._recorder = recorder

    async def list(
        self, principal: Principal, *, rules: AccountRules
    ) -> Sequence[OwnSession] | AccountRefusal:
        """Return the live sessions of the caller's account, the newest first. Raise `StoreUnavailable`."""
        if principal.session is None:
            return not_a_session()
        return [
            OwnSession(
                id=session.id,
                created_at=session.created_at,
                last_used_at=session.last_used_at,
                expires_at=min(session.last_used_at + rules.refresh_idle, session.expires_at),
                source_ip=session.source_ip,
                user_agent=session.user_agent,
                client_id=session.client_id,
                mfa=session.mfa_at is not None,
                current=session.id == principal.session,
            )
            for session in await self._sessions.live_of(principal.id, rules)
        ]

    async def end(self, principal: Principal, session_id: str, *, origin: Origin) -> Done | AccountRefusal:
        """End one of the caller's sessions, perhaps the one that asks. Raise `StoreUnavailable`.

        Somebody else's, one that has ended and one that never was are the same answer.
        """
        if principal.session is None:
            return not_a_session()
        if not await self._sessions.end_own(session_id, principal.id):
            return AccountRefusal(reason=Reason.NOT_FOUND, detail="There is no such session.")
        self._recorder.apply(ChangeKind.SESSION_REVOKED, session_id)
        await self._record(principal, [session_id], origin, all_of_them=False)
        return DONE

    async def logout(
        self, principal: Principal, body: LogoutBody, *, origin: Origin
    ) -> Done | AccountRefusal:
        """End the session of the caller, or all sessions of the account. Raise `StoreUnavailable`."""
        if principal.session is None:
            return not_a_session()
        if body.all:
            # The account's epoch has risen as well; here, the sessions say the same.
            ended = await self._sessions.end_all(principal.id)
        else:
            ended = [principal.session] if await self._sessions.end(principal.session) else []
        for session in {principal.session, *ended}:
            self._recorder.apply(ChangeKind.SESSION_REVOKED, session)
        await self._record(principal, ended, origin, all_of_them=body.all)
        return DONE

    async def me(self, principal: Principal) -> Account | AccountRefusal:
        """Return the caller's own account. Raise `StoreUnavailable`."""
        if principal.session is None:
            return not_a_session()
        user = await self._users.find(principal.id)
        if user is None or user.disabled_at is not None:
            return no_longer(f"the account {principal.id} is gone or disabled")
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

    async def _record(
        self, principal: Principal, ended: Sequence[str], origin: Origin, *, all_of_them: bool
    ) -> None:
        await self._recorder.record(
            EventKind.LOGOUT,
            origin,
            actor=principal,
            attributes={"all": all_of_them, "sessions": sorted(ended)},
        )
