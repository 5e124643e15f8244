"""What the gateway's own users, their sessions and their keys are kept in."""

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
    disabled_at: float | None = None


class UserStore(Protocol):
    """Accounts, found by id or by canonical name."""

    async def add(self, user: User, *, before_commit: BeforeCommit | None = None) -> None:
        """Store a new account. Raise `Taken("username" | "email")`, and what `before_commit` raises."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One login and everything refreshed from it."""

    id: str
    """`ses_...`."""
    user_id: str
    key: bytes = field(repr=False)
    """Key that authenticates the session's refresh tokens, sealed with the master secret."""
    counter: int
    """Generation of the newest refresh token."""
    rotated_at: float
    confirmed: bool
    """Whether an access token of the newest generation has been seen in use."""
    created_at: float
    last_used_at: float
    expires_at: float
    """Absolute end."""
    revoked_at: float | None = None
    source_ip: str | None = None
    user_agent: str | None = None


class SessionStore(Protocol):
    """Sessions. A revocation is also announced to every process through the change feed."""

    async def add(self, session: Session) -> None:
        """Store a new session."""

    async def find(self, id: str) -> Session | None:
        """Return a session by id, revoked and expired ones too."""

    async def advance(self, id: str, *, seen: int, at: float) -> bool:
        """Move the counter from `seen` to `seen + 1`, unconfirmed; False when somebody else was first."""

    async def touch(self, id: str, *, at: float) -> None:
        """Note a use that did not advance the counter."""

    async def confirm(self, id: str, *, counter: int) -> None:
        """Note that an access token of this generation has been seen; ignored when the counter moved on."""

    async def revoke(self, id: str, *, at: float) -> bool:
        """End a session and announce it; False when it had ended already."""

    async def revoke_all(self, user_id: str, *, at: float) -> Sequence[str]:
        """End every session of a user, raise the user's epoch and announce both; return the ended ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """One API key; the secret itself is not kept, only its SHA-256."""

    id: str
    """`key_...`; also the principal's id."""
    name: str
    owner_id: str
    owner_name: str
    owner_roles: frozenset[str]
    """The owner's roles as of now, joined when read."""
    owner_active: bool
    secret_hash: bytes = field(repr=False)
    scopes: frozenset[str] | None
    """Confined to these, within the owner's; None: all of the owner's."""
    created_at: float
    expires_at: float | None
    revoked_at: float | None


class ApiKeyStore(Protocol):
    """API keys. A revocation is also announced through the change feed."""

    async def add(self, key: ApiKey, *, before_commit: BeforeCommit | None = None) -> None:
        """Store a new key; the owner's fields are looked up, not stored. Raise `Taken("name")` per owner,
        and what `before_commit` raises."""

    async def find(self, id: str) -> ApiKey | None:
        """Return a key by id, revoked and expired ones too."""

    async def list(self) -> Sequence[ApiKey]:
        """Return every key, newest first."""

    async def revoke(self, id: str, *, at: float) -> bool:
        """End a key and announce it; False when there is none or it had ended already."""
