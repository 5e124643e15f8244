"""Links in mails: what proves that somebody reads the mails of an address.

The token stands behind a `#`, which browsers keep to themselves: it is in no log and no `Referer` field. The
page that the link opens sends it back in a body; programs that check links in mails open the page and use up
nothing.
"""

from dataclasses import dataclass, replace
from typing import Final

from gateway.accounts.one_time import hash_of, new_secret
from gateway.accounts.outcome import AccountRefusal, invalid
from gateway.accounts.recording import principal_of
from gateway.model import Principal
from gateway.ports import Clock, Link, LinkPurpose, LinkStore, User

PATHS: Final = {
    LinkPurpose.VERIFY_EMAIL: "/gateway/v1/auth/email/verify",
    LinkPurpose.RESET_PASSWORD: "/gateway/v1/auth/password/reset",
}
LIVES: Final = {LinkPurpose.VERIFY_EMAIL: 24 * 3600.0, LinkPurpose.RESET_PASSWORD: 15 * 60.0}
"""Seconds that a link works."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Makes links, and finds them again. `base` is the public URL, without a slash at its end: nothing that a
    request says gets into a link."""

    store: LinkStore
    base: str
    clock: Clock

    async def make(self, user: User, email: str, purpose: LinkPurpose) -> str | None:
        """Return a new link for an account, which makes the last of this purpose worthless; None when the
        account is gone. Raise `StoreUnavailable`."""
        token = new_secret()
        now = self.clock.now()
        link = Link(
            token_hash=hash_of(token),
            purpose=purpose,
            user_id=user.id,
            email=email,
            password_version=user.password_version,
            created_at=now,
            expires_at=now + LIVES[purpose],
        )
        return f"{self.base}{PATHS[purpose]}#token={token}" if await self.store.add(link) else None

    async def find(self, token: str, purpose: LinkPurpose) -> Link | None:
        """Return the link that a token belongs to, if it still works. Raise `StoreUnavailable`."""
        return await self.store.find(hash_of(token), purpose, now=self.clock.now())

    async def use(self, token: str, purpose: LinkPurpose) -> Link | None:
        """Use a link up; None when it does not work any more. Raise `StoreUnavailable`."""
        return await self.store.use(hash_of(token), purpose, now=self.clock.now())


def by_link(user: User) -> Principal:
    """Return an account as the one who acts, vouched for by a link in a mail."""
    return replace(principal_of(user), authn_kind="mail_link")


def worthless_link() -> AccountRefusal:
    """Return the refusal of a token: all that are worth nothing get the same answer."""
    message = "was used, has expired, was replaced by a newer one, or never was; ask for another"
    return invalid("token", message)
