"""What signing keys are kept in."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.ports.users import BeforeCommit


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSigningKey:
    """One ES256 key pair; the private half is sealed with the master secret."""

    kid: str
    """RFC 7638 thumbprint."""
    public_pem: bytes
    sealed_private: bytes = field(repr=False)
    created_at: float
    signs_from: float
    """From when it signs, until a newer one does; published from the beginning."""
    verifies_until: float | None = None
    """When it is published no more, and what it signed is refused; None: as long as it signs."""


class SigningKeyStore(Protocol):
    """Signing keys of the gateway, in the order in which they were made: of those that sign already, the
    newest does. A change is also announced to every process through the change feed."""

    async def all(self) -> Sequence[StoredSigningKey]:
        """Return every key that was not revoked, the newest first."""

    async def add_first(self, key: StoredSigningKey, *, before_commit: BeforeCommit | None = None) -> bool:
        """Store the very first key; False when another process was quicker (then read `all` again). Raise
        what `before_commit` raises; then nothing is stored."""

    async def rotate(
        self,
        key: StoredSigningKey,
        *,
        after: str,
        old_until: float,
        before_commit: BeforeCommit | None = None,
    ) -> bool:
        """Store the next key; those before it verify until `old_until` at the latest, and those whose time
        was over when it was made are dropped. False, and nothing is stored, when `after` is not the newest
        key any more: somebody else was quicker. Raise what `before_commit` raises; then nothing has
        changed."""

    async def revoke(
        self, kid: str, *, successor: StoredSigningKey | None, old_until: float, at: float
    ) -> bool:
        """Remove a key at once, and store the one that takes its place, as `rotate` does. False, and nothing
        is stored, when there is no such key."""
