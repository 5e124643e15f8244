"""From an errand to the letter that somebody gets, or to none."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from gateway.accounts.errand import Errand, ErrandKind
from gateway.accounts.letters import Letters
from gateway.accounts.links import Links
from gateway.model import Algorithm, Charge, Limit, canonical_name
from gateway.ports import CounterStore, LinkPurpose, Mail, User, UserStore

PER_ADDRESS: Final = Limit(
    id="gateway:mails",
    place="built in",
    algorithm=Algorithm.WINDOW,
    per=("username",),
    quota=5,
    window_us=15 * 60 * 1_000_000,
    burst=5,
)
"""How many letters that strangers can have sent one address gets: nobody's mailbox is filled by way of us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Correspondence:
    """Writes letters."""

    users: UserStore
    links: Links
    letters: Letters
    counters: CounterStore

    async def write(self, errand: Errand, *, first: bool) -> Mail | None:
        """Return the letter; None when nobody is to be written to. `first`: it was not tried before.

        Each time with a new link: the last may have got lost, or is nobody's to know. Raise
        `StoreUnavailable`.
        """
        match errand.kind:
            case ErrandKind.PASSWORD_CHANGED:
                return self.letters.password_changed(errand.email, errand.username)
            case ErrandKind.FACTOR_BEGUN:
                return self.letters.factor_begun(errand.email, errand.username)
            case ErrandKind.FACTOR_REMOVED:
                return self.letters.factor_removed(errand.email, errand.username)
            case _:
                pass
        if first and not await self._may_be_written_to(errand.email):
            return None
        owner = await self.users.find_by_login(canonical_name(errand.email))
        if owner is None or owner.email is None:
            # Of an account that was deleted since it was made, nobody is told.
            taken = errand.kind is ErrandKind.TAKEN
            return self.letters.name_taken(errand.email, errand.username) if taken else None
        return await self._to_owner(errand.kind, owner, owner.email)

    async def _to_owner(self, kind: ErrandKind, owner: User, email: str) -> Mail | None:
        if kind is ErrandKind.TAKEN and owner.verified_at is not None:
            return self.letters.known(email, owner.username)
        if owner.disabled_at is not None:
            return None
        if kind in {ErrandKind.CONFIRM, ErrandKind.RESEND}:
            if owner.verified_at is not None:
                return None
            link = await self.links.make(owner, email, LinkPurpose.VERIFY_EMAIL)
            return None if link is None else self.letters.confirm(email, owner.username, link)
        link = await self.links.make(owner, email, LinkPurpose.RESET_PASSWORD)
        if link is None:
            return None
        if kind is ErrandKind.TAKEN:
            # Whoever made the account may not be who reads this: only a new password makes sure of that.
            return self.letters.waiting(email, owner.username, link)
        return self.letters.reset(email, owner.username, link)

    async def _may_be_written_to(self, email: str) -> bool:
        key = sha256(canonical_name(email).encode("utf-8", "surrogatepass")).hexdigest()
        return (await self.counters.take([Charge(PER_ADDRESS, (PER_ADDRESS.id, key))])).admitted
