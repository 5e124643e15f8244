"""The master secret: what opens all keys at rest.

It is never used itself: every purpose gets a key of its own, derived with HKDF-SHA256 (RFC 5869). What is
kept follows from the roots that it opens (`gateway.crypto.roots`), so that there can be another one.
"""

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MIN_BYTES = 32
DERIVED_BYTES = 32


class SecretUnusable(ValueError):
    """The master secret cannot be used. The text says where it came from and what to do, never the secret."""


@dataclass(frozen=True, slots=True, eq=False)
class MasterSecret:
    """The secret that all keys at rest depend on. Raise `SecretUnusable` when it is too short."""

    value: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.value) < MIN_BYTES:
            raise SecretUnusable(
                f"the master secret has {len(self.value)} bytes, at least {MIN_BYTES} are needed; "
                "make one with `openssl rand -base64 32`"
            )

    def derive(self, purpose: str) -> bytes:
        """Return the 32-byte key for one purpose: `root-keys`, `check`, ..."""
        return derived(self.value, purpose)

    def check_value(self) -> bytes:
        """Return what a database keeps to recognise this secret by; it tells nothing about other keys."""
        return self.derive("check")


def derived(root: bytes, purpose: str) -> bytes:
    """Return the 32-byte key that follows from a root for one purpose: `password-pepper`, `seal`, ..."""
    if not purpose:
        raise ValueError("a derived key needs a purpose")
    hkdf = HKDF(algorithm=SHA256(), length=DERIVED_BYTES, salt=None, info=b"gateway/" + purpose.encode())
    return hkdf.derive(root)
