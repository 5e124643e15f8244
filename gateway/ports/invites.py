"""What invitations are kept in."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.ports.users import BeforeCommit


@dataclass(frozen=True, slots=True, kw_only=True)
class Invite:
    """One invitation; the code itself is not kept, only its SHA-256. Times are seconds since the epoch."""

    id: str
    """`inv_...`."""
    code_hash: bytes = field(repr=False)
    roles: frozenset[str]
    """Of the account that it makes."""
    email: str | None
    """The only address that it is good for; None: any."""
    created_by: str
    """Who invited: id of a principal."""
    created_at: float
    expires_at: float
    used_at: float | None = None
    used_by: str | None = None
    """Id of the account that was made with it."""
    revoked_at: float | None = None


class InviteStore(Protocol):
    """Invitations."""

    async def add(self, invite: Invite, *, before_commit: BeforeCommit | None = None) -> None:
        """Store an invitation. Raise what `before_commit` raises; then there is none."""

    async def find(self, code_hash: bytes) -> Invite | None:
        """Return an invitation by the hash of its code, used and expired ones too."""

    async def list(self) -> Sequence[Invite]:
        """Return every invitation, newest first."""

    async def revoke(self, id: str, *, at: float) -> bool:
        """End an invitation; False when there is none that could still be used."""
