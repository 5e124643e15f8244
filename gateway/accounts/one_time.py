"""Secrets that work once, in links and invitations: 256 random bits, of which only the hash is kept."""

import secrets
from hashlib import sha256
from typing import Final

_BYTES: Final = 32


def new_secret() -> str:
    """Return a secret that nobody can guess: 43 characters that need no escape in a URL."""
    return secrets.token_urlsafe(_BYTES)


def hash_of(secret: str) -> bytes:
    """Return what is kept of a secret, and found by; any text will do."""
    # 256 random bits cannot be guessed, so that the hash need not be slow.
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()
