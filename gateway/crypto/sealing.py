"""Sealing: keeping secrets in a database so that the database alone does not give them away."""

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.crypto.secret import MasterSecret

VERSION = b"\x01"
"""First byte of everything sealed as here: version, nonce, ciphertext, tag."""
NONCE_BYTES = 12
TAG_BYTES = 16


class SealBroken(Exception):
    """A sealed value was changed, belongs elsewhere, or was sealed with another master secret."""

    def __init__(self, context: str) -> None:
        super().__init__(
            f"the sealed value of {context} cannot be opened: "
            "it was changed, or the master secret is not the one that sealed it"
        )
        self.context = context


class Sealer:
    """Seals and opens with AES-256-GCM under a key derived from the master secret.

    Nonces are random, which NIST SP 800-38D section 8.3 limits to 2^32 sealings under one key.
    """

    __slots__ = ("_cipher",)

    def __init__(self, secret: MasterSecret) -> None:
        self._cipher = AESGCM(secret.derive("seal"))

    def seal(self, plaintext: bytes, *, context: str) -> bytes:
        """Return the sealed value. `context` names what it is (`signing-key:KID`): it is not kept, but the
        value opens only with it, so that one row's value cannot be moved to another.
        """
        nonce = secrets.token_bytes(NONCE_BYTES)
        return VERSION + nonce + self._cipher.encrypt(nonce, plaintext, VERSION + context.encode())

    def open(self, sealed: bytes, *, context: str) -> bytes:
        """Return the plaintext. Raise `SealBroken`, and never say which part was wrong."""
        if sealed[:1] != VERSION or len(sealed) < len(VERSION) + NONCE_BYTES + TAG_BYTES:
            raise SealBroken(context)
        nonce, ciphertext = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, ciphertext, VERSION + context.encode())
        except InvalidTag:
            raise SealBroken(context) from None
