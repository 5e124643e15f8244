"""What API keys are kept in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.ports.users import BeforeCommit


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySecret:
    """One secret of a key, as its SHA-256."""

    hash: bytes = field(repr=False)
    expires_at: float | None = None
    """When it ends although the key does not: it was replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """One API key; the secrets themselves are not kept."""

    id: str
    """`key_...`; also the principal's id."""
    name: str
    owner_id: str
    owner_name: str
    owner_roles: frozenset[str]
    """The owner's roles as of now, joined when read."""
    owner_active: bool
    secrets: tuple["KeySecret", ...] = field(repr=False)
    """One, or two while a rotation overlaps, the newest first."""
    scopes: frozenset[str] | None
    """Confined to these, within the owner's; None: all of the owner's."""
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    networks: tuple[str, ...] = ()
    """Where it may be used from, as CIDRs; empty: anywhere."""
    last_used_at: float | None = None


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

    async def rotate(
        self,
        id: str,
        secret_hash: bytes,
        *,
        at: float,
        old_until: float,
        before_commit: BeforeCommit | None = None,
    ) -> ApiKey | None:
        """Give a key a new secret, let the newest of the old ones end at `old_until` and any older one at
        once, and announce it; return the key as it is then, None when there is none that lives. Raise what
        `before_commit` raises; then nothing has changed."""

    async def note_used(self, used: Mapping[str, float]) -> None:
        """Note when keys were last used, by id; never moves one back."""
