"""What the gateway's own users are kept in."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

BeforeCommit = Callable[[], Awaitable[None]]
"""Awaited when nothing can go wrong any more but the commit itself: the place to write down what is about to
be stored. When it raises, nothing is stored, so that nothing stays unrecorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """One account. Times are seconds since the epoch."""

    id: str
    """`usr_...`."""
    username: str
    email: str | None
    password_hash: str | None = field(repr=False)
    """None: no password, so no login by password."""
    roles: frozenset[str]
    epoch: int
    """Grows whenever older access tokens must die: roles, password, disabling. Tokens carry it."""
    created_at: float
    verified_at: float | None
    """When the e-mail address was confirmed, or an operator vouched for it."""
    disabled_at: float | None = None
    password_version: int = 0
    """Grows with every change of the password, not when the same one is hashed anew."""


class UserStore(Protocol):
    """Accounts, found by id or by canonical name."""

    async def add(
        self, user: User, *, invite: str | None = None, before_commit: BeforeCommit | None = None
    ) -> None:
        """Store a new account, and use up the invitation with this id. Raise `Taken("username" | "email")`,
        `Taken("invite")` when the invitation cannot be used any more, and what `before_commit` raises."""

    async def find(self, id: str) -> User | None:
        """Return an account by id."""

    async def find_by_login(self, name: str) -> User | None:
        """Return an account by user name or e-mail; `name` is canonical already (NFKC, case-folded)."""

    async def update_password_hash(self, id: str, password_hash: str, *, instead_of: str) -> None:
        """Replace the stored hash by another of the same password; older tokens stay valid. Ignored when the
        stored one is not `instead_of` any more: the password was changed meanwhile."""

    async def list(self) -> Sequence[User]:
        """Return every account, by name."""

    async def delete(self, id: str, *, at: float, before_commit: BeforeCommit | None = None) -> bool:
        """Remove an account with its sessions and keys, and announce the end of all of them; False when there
        is none, and then nothing is written down. Raise what `before_commit` raises."""

    async def set_roles(
        self, id: str, roles: frozenset[str], *, at: float, before_commit: BeforeCommit | None = None
    ) -> User | None:
        """Replace an account's roles, raise its epoch and announce it; return the account as it is then, None
        when there is none. Raise what `before_commit` raises; then nothing has changed."""

    async def set_password(
        self,
        id: str,
        password_hash: str,
        *,
        at: float,
        keep_session: str | None = None,
        as_found: User | None = None,
        before_commit: BeforeCommit | None = None,
    ) -> User | None:
        """Replace an account's password, end all its sessions but one and announce that, and make its unused
        links worthless; return the account as it is then, None when there is none, or when it has another
        epoch or another password by now than the account `as_found`. Raise what `before_commit` raises; then
        nothing has changed."""

    async def set_disabled(
        self, id: str, *, disabled: bool, at: float, before_commit: BeforeCommit | None = None
    ) -> User | None:
        """Disable an account, which ends its sessions, or enable it; raise its epoch and announce it. Return
        the account as it is then, None when there is none. Raise what `before_commit` raises; then nothing
        has changed."""

    async def verify_email(
        self, id: str, *, email: str, at: float, before_commit: BeforeCommit | None = None
    ) -> User | None:
        """Note that an address is its account's, and end the sessions that were begun before; None, and
        nothing is noted, when the account has another address by now, or is verified already. Raise what
        `before_commit` raises; then nothing has changed."""
