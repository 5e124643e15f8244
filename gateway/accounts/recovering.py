"""Getting another password: with the present one, or with the link in a mail when it is forgotten.

A new password is recorded inside the transaction that stores it: no record, no new password. It ends every
session that its owner may not know of, and is told to the address of the account.
"""

import contextlib

from gateway.accounts.bodies import EmailBody, PasswordBody, ResetBody
from gateway.accounts.ending import Ending
from gateway.accounts.errand import Errand, ErrandKind
from gateway.accounts.links import Links, by_link, worthless_link
from gateway.accounts.mailing import Mailing
from gateway.accounts.origin import Origin
from gateway.accounts.outcome import DONE, AccountRefusal, Done, invalid, no_longer, no_room
from gateway.accounts.own_password import OwnPassword
from gateway.accounts.password_rules import fault_in_password
from gateway.accounts.passwords import HashingBusy, Passwords
from gateway.accounts.recording import Recorder
from gateway.accounts.rules import AccountRules
from gateway.model import EventKind, Principal
from gateway.ports import Link, LinkPurpose, StoreUnavailable, User, UserStore


class Recovering:
    """New passwords for accounts that are there."""

    def __init__(
        self,
        *,
        users: UserStore,
        passwords: Passwords,
        own_password: OwnPassword,
        links: Links,
        mailing: Mailing,
        ending: Ending,
        recorder: Recorder,
    ) -> None:
        self._users = users
        self._passwords = passwords
        self._own_password = own_password
        self._links = links
        self._mailing = mailing
        self._ending = ending
        self._recorder = recorder

    async def change(
        self, principal: Principal, body: PasswordBody, *, rules: AccountRules, origin: Origin
    ) -> Done | AccountRefusal:
        """Replace the caller's own password; all other sessions end. Raise `StoreUnavailable`."""
        user = await self._own_password.prove(principal, body.current_password, rules=rules, origin=origin)
        if isinstance(user, AccountRefusal):
            return user
        if body.new_password == body.current_password:
            return invalid("new_password", "must be another than the present one")
        hashed = await self._hashed(body.new_password, user, rules)
        if isinstance(hashed, AccountRefusal):
            return hashed
        live = await self._ending.sessions_of(user, but=principal.session)
        changed = await self._users.set_password(
            user.id,
            hashed,
            at=self._recorder.clock.now(),
            keep_session=principal.session,
            # Whoever was quicker may be the owner, who has just locked out a thief.
            as_found=user,
            before_commit=lambda: self._recorder.record(EventKind.PASSWORD_CHANGED, origin, actor=principal),
        )
        if changed is None:
            return no_longer(f"the account {principal.id} was changed meanwhile", subject=principal.id)
        self._ending.apply(live)
        await self._mailing.tell(changed, ErrandKind.PASSWORD_CHANGED)
        return DONE

    async def forgot(self, body: EmailBody) -> Done:
        """Have a link sent to whoever has an account with this address; the answer does not tell whether
        anybody has. Raise `StoreUnavailable`."""
        await self._mailing.ask(Errand(kind=ErrandKind.RESET, email=body.email))
        return DONE

    async def reset(self, body: ResetBody, *, rules: AccountRules, origin: Origin) -> Done | AccountRefusal:
        """Replace a password with the link that was sent for it; all sessions end, and nobody is logged in:
        that takes the new password, and the second factor where there is one. Raise `StoreUnavailable`."""
        link = await self._links.find(body.token, LinkPurpose.RESET_PASSWORD)
        user = None if link is None else await self._users.find(link.user_id)
        if link is None or user is None or not _fits(link, user):
            return worthless_link()
        hashed = await self._hashed(body.new_password, user, rules)
        if isinstance(hashed, AccountRefusal):
            return hashed
        live = await self._ending.sessions_of(user)
        actor, now = by_link(user), self._recorder.clock.now()
        # The links of an account end with its password, in one step: what goes wrong before does not cost the
        # link, and of two who use it at once one is late.
        changed = await self._users.set_password(
            user.id,
            hashed,
            at=now,
            as_found=user,
            before_commit=lambda: self._recorder.record(EventKind.PASSWORD_RESET, origin, actor=actor),
        )
        if changed is None:
            return worthless_link()
        self._ending.apply(live, changed)
        # Whoever has read the mail has shown that the address is theirs. The password is another one by then,
        # whether this can be noted or not.
        with contextlib.suppress(StoreUnavailable):
            await self._users.verify_email(
                user.id,
                email=link.email,
                at=now,
                before_commit=lambda: self._recorder.record(EventKind.EMAIL_VERIFIED, origin, actor=actor),
            )
        await self._mailing.tell(changed, ErrandKind.PASSWORD_CHANGED)
        return DONE

    async def _hashed(self, password: str, user: User, rules: AccountRules) -> str | AccountRefusal:
        """Return a new password as it is stored, or what is wrong with it."""
        fault = fault_in_password(
            password,
            user.username,
            user.email or "",
            min_length=rules.password_min_length,
            rejects_common=rules.rejects_common,
        )
        if fault is not None:
            return invalid("new_password", fault)
        try:
            return await self._passwords.hash(password)
        except HashingBusy as busy:
            return no_room(busy.retry_after)


def _fits(link: Link, user: User) -> bool:
    """Whether the account is still as it was when the link was made."""
    return (
        user.disabled_at is None
        and user.email == link.email
        and user.password_version == link.password_version
    )
