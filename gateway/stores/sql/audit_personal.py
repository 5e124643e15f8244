"""How what records say of persons is kept in SQL: each person's under its own key, which erasing removes.

That key is random, and sealed with the master secret: with the key gone, the master secret opens nothing.
Names are found by a keyed hash, so that nobody reads them in the table, or finds them by guessing.
"""

import hmac
import secrets
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.crypto import PersonalPart, SealBroken, Sealer, encode_base64url

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12


class Part(NamedTuple):
    """Where one part is kept: key of a row of `audit_personal`."""

    day: int
    """That of the chunk whose records have the commitment."""
    commitment: str


def name_hash(key: bytes, name: str) -> str:
    """Return what an actor's name is found by: 43 characters."""
    return encode_base64url(hmac.digest(key, name.encode("utf-8", "surrogatepass"), "sha256"))


def new_key(sealer: Sealer, subject: str) -> bytes:
    """Return a new key of a subject, sealed."""
    return sealer.seal(secrets.token_bytes(_KEY_BYTES), context=_context(subject))


def opened_key(sealer: Sealer, subject: str, sealed_key: bytes) -> bytes:
    """Return a subject's key. Raise `SealBroken`, also for what is no bytes: SQLite keeps anything in any
    column."""
    if not isinstance(sealed_key, bytes):
        raise SealBroken(_context(subject))
    return sealer.open(sealed_key, context=_context(subject))


def sealed_part(key: bytes, commitment: str, plain: bytes) -> bytes:
    """Return a part as it is kept, sealed with its subject's key; it opens only under its commitment.

    Nonces are random, which NIST SP 800-38D section 8.3 limits to 2^32 sealings under one key: a person who
    fills a hundred rows a second reaches that after a year.
    """
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, commitment.encode())


def opened_part(key: bytes, subject: str, commitment: str, sealed: bytes) -> PersonalPart:
    """Return a part that was kept. Raise `SealBroken` when it is not the one that was committed to."""
    try:
        plain = AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], commitment.encode())
    except (InvalidTag, ValueError):
        raise SealBroken(_context(subject)) from None
    part = PersonalPart(subject, plain)
    if part.commitment != commitment:
        raise SealBroken(_context(subject))
    return part


def _context(subject: str) -> str:
    return f"audit-subject:{subject}"
