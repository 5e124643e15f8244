"""What OAuth clients are kept in: machines that get tokens for themselves."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.ports.users import BeforeCommit


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSecret:
    """One secret of a client, as its SHA-256."""

    hash: bytes = field(repr=False)
    expires_at: float | None = None
    """When it ends although the client does not: it was replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthClient:
    """One client with a secret. Times are seconds since the epoch."""

    id: str
    """`cli_...`; also the principal's id."""
    name: str
    roles: frozenset[str]
    secrets: tuple[ClientSecret, ...] = field(repr=False)
    """One, or two while a rotation overlaps, the newest first."""
    epoch: int
    """Grows whenever older access tokens must die. Tokens carry it."""
    created_at: float
    revoked_at: float | None = None
    jwk: str | None = None
    """A public key as JSON (RFC 7517): what is encrypted for the client is encrypted with it."""


class ClientStore(Protocol):
    """Clients. What ends tokens is also announced through the change feed."""

    async def add(self, client: OAuthClient, *, before_commit: BeforeCommit | None = None) -> None:
        """Store a new client. Raise `Taken("name")`, and what `before_commit` raises."""

    async def find(self, id: str) -> OAuthClient | None:
        """Return a client by id, revoked ones too."""

    async def list(self) -> Sequence[OAuthClient]:
        """Return every client, newest first."""

    async def rotate(
        self,
        id: str,
        secret_hash: bytes,
        *,
        at: float,
        old_until: float,
        before_commit: BeforeCommit | None = None,
    ) -> OAuthClient | None:
        """Give a client a new secret, let the newest of the old ones end at `old_until` and any older one at
        once; return the client as it is then, None when there is none that lives. Raise what `before_commit`
        raises; then nothing has changed."""

    async def set_jwk(
        self, id: str, jwk: str | None, *, at: float, before_commit: BeforeCommit | None = None
    ) -> OAuthClient | None:
        """Give a client a public key, or none, and announce it (`ChangeKind.CLIENT_KEY`); return the client
        as it is then, None when there is none that lives. Raise what `before_commit` raises; then nothing has
        changed."""

    async def revoke(self, id: str, *, at: float) -> bool:
        """End a client with its sessions and tokens, and announce it; False when there is none or it had
        ended already."""
