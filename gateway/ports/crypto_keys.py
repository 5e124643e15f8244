"""What encryption keys are kept in: each has a name, and versions of which the newest encrypts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.ports.users import BeforeCommit


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKeyVersion:
    """One version of an encryption key: 32 bytes, sealed with the master secret."""

    version: int
    """From 1 on."""
    sealed: bytes = field(repr=False)
    created_at: float
    messages: int = 0
    """How many messages were encrypted with it, as far as processes have told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCryptoKey:
    """One encryption key. Times are seconds since the epoch."""

    name: str
    created_at: float
    min_decryption_version: int
    """Ciphertexts of older versions are refused."""
    versions: tuple[StoredKeyVersion, ...]
    """All of them, the oldest first; there is one at least."""

    @property
    def newest(self) -> StoredKeyVersion:
        """The version that encrypts."""
        return self.versions[-1]


class CryptoKeyStore(Protocol):
    """Encryption keys. A change is also announced to every process through the change feed
    (`ChangeKind.CRYPTO_KEYS`, the name as its subject)."""

    async def all(self) -> Sequence[StoredCryptoKey]:
        """Return every key, by name."""

    async def find(self, name: str) -> StoredCryptoKey | None:
        """Return a key."""

    async def add(self, key: StoredCryptoKey, *, before_commit: BeforeCommit | None = None) -> None:
        """Store a new key with its first version. Raise `Taken("name")`, and what `before_commit` raises;
        then there is none."""

    async def rotate(
        self, name: str, version: StoredKeyVersion, *, before_commit: BeforeCommit | None = None
    ) -> bool:
        """Store the next version of a key. False, and nothing is stored, when there is no such key or the
        version is not the one after its newest: somebody else was quicker. Raise what `before_commit` raises;
        then nothing has changed."""

    async def retire(
        self, name: str, *, min_decryption_version: int, at: float, before_commit: BeforeCommit | None = None
    ) -> bool:
        """Have older versions than this one refused. False, and nothing has changed, when the key has no such
        version. Raise what `before_commit` raises; then nothing has changed."""

    async def count(self, messages: Mapping[tuple[str, int], int]) -> None:
        """Add to how many messages were encrypted, by name and version. Announces nothing."""
