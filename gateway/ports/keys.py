"""What signing keys, and the check value of the master secret, are kept in."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSigningKey:
    """One ES256 key pair; the private half is sealed with the master secret."""

    kid: str
    """RFC 7638 thumbprint."""
    public_pem: bytes
    sealed_private: bytes = field(repr=False)
    state: str
    """`active` (signs and verifies) or `retired` (verifies)."""
    created_at: float


class SigningKeyStore(Protocol):
    """Signing keys of the gateway."""

    async def all(self) -> Sequence[StoredSigningKey]:
        """Return every key that still verifies, the active one first."""

    async def add_first(self, key: StoredSigningKey) -> bool:
        """Store the very first key; False when another process was quicker (then read `all` again)."""


class SecretCheck(Protocol):
    """The value that tells whether a process has the right master secret."""

    async def check_value(self) -> bytes | None:
        """Return the stored value, None in a new database."""

    async def set_check_value(self, value: bytes) -> bytes:
        """Store the value unless there is one; return the one that counts."""
