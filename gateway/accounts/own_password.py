"""Showing one's password again in a session, before what a stolen token must not change is changed."""

from gateway.accounts.guard import Guard
from gateway.accounts.origin import Origin
from gateway.accounts.outcome import AccountRefusal, no_longer, no_room, not_a_session
from gateway.accounts.passwords import HashingBusy, Passwords
from gateway.accounts.rules import AccountRules
from gateway.accounts.second_factor import SecondFactor, wrong
from gateway.model import Principal
from gateway.ports import User, UserStore


class OwnPassword:
    """Asks for the password of whoever has logged in. Tries are counted by session, together with those of
    codes: whoever has stolen a token guesses no password, and locks nobody out of another session. For their
    address they are failed logins."""

    def __init__(
        self, *, users: UserStore, passwords: Passwords, second_factor: SecondFactor, guard: Guard
    ) -> None:
        self._users = users
        self._passwords = passwords
        self._second_factor = second_factor
        self._guard = guard

    async def prove(
        self, principal: Principal, password: str, *, rules: AccountRules, origin: Origin
    ) -> User | AccountRefusal:
        """Return the account of a caller who has shown its password. Raise `StoreUnavailable`,
        `AuditUnavailable`."""
        if principal.session is None:
            return not_a_session()
        user = await self._users.find(principal.id)
        if user is None or user.disabled_at is not None:
            return no_longer(f"the account {principal.id} is gone or disabled", subject=principal.id)
        tries = await self._second_factor.reserve(
            f"{principal.id} {principal.session} password", principal.id
        )
        if isinstance(tries, AccountRefusal):
            return await self._guard.missed(principal, tries, rules=rules, origin=origin)
        try:
            matches = await self._passwords.verify(password, user.password_hash)
        except HashingBusy as busy:
            await self._second_factor.give_back(tries)
            return no_room(busy.retry_after)
        if not matches:
            return await self._guard.missed(
                principal, wrong(user.id, "a wrong password"), rules=rules, origin=origin
            )
        await self._second_factor.give_back(tries)
        return user
