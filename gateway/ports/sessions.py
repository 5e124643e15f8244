"""What sessions are kept in."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.ports.users import User


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
    client_id: str | None = None
    """The OAuth client with a secret that it belongs to; None: the gateway's own public client."""
    amr: tuple[str, ...] = ("pwd",)
    """How the user proved to be that user (RFC 8176)."""
    mfa_at: float | None = None
    """When a second factor was last proved; None: never."""
    jkt: str | None = None
    """Thumbprint of the key that its tokens are bound to (RFC 9449 section 6.1); None: they are not."""
    scope: str | None = None
    """What it is confined to, scopes with one space between them; None: all that the user's roles give."""


class SessionStore(Protocol):
    """Sessions. A revocation is also announced to every process through the change feed."""

    async def add(self, session: Session, *, user: User) -> bool:
        """Store a new session of an account as it was found when it was proved to be its owner who asks.

        False, and nothing is stored, when the account has been removed or disabled, or has another epoch or
        another password by now.
        """

    async def find(self, id: str) -> Session | None:
        """Return a session by id, revoked and expired ones too."""

    async def advance(self, id: str, *, seen: int, at: float, jkt: str | None = None) -> bool:
        """Move the counter from `seen` to `seen + 1`, unconfirmed; False when somebody else was first. With
        `jkt`, the session is bound to that key from then on."""

    async def bind(self, id: str, *, seen: int, jkt: str, at: float) -> bool:
        """Bind a session that is bound to no key to this one, as if it had rotated; False when it is bound by
        now, its counter is not `seen`, or it has ended."""

    async def touch(self, id: str, *, at: float) -> None:
        """Note a use that did not advance the counter."""

    async def confirm(self, id: str, *, counter: int) -> None:
        """Note that an access token of this generation has been seen; ignored when the counter moved on."""

    async def revoke(self, id: str, *, at: float) -> bool:
        """End a session and announce it; False when it had ended already."""

    async def revoke_all(self, user_id: str, *, at: float) -> Sequence[str]:
        """End every session of a user, raise the user's epoch and announce both; return the ended ids."""

    async def list_of(self, user_id: str, *, now: float) -> Sequence[Session]:
        """Return the sessions of a user that have neither been ended nor reached their absolute end, the
        newest first."""

    async def note_factor(self, id: str, *, amr: tuple[str, ...], mfa_at: float) -> bool:
        """Note that a second factor was proved in a session; False when it has ended."""
