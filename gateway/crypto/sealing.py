"""Sealing: keeping secrets in a database so that the database alone does not give them away."""

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.crypto.roots import Roots
from gateway.crypto.secret import MasterSecret

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
    """Seals and opens with AES-256-GCM under keys that follow from the roots.

    The first byte of everything sealed is the generation of its root; a nonce, the ciphertext and its tag
    follow. Nonces are random, which NIST SP 800-38D section 8.3 limits to 2^32 sealings under one key.
    """

    __slots__ = ("_ciphers", "_keys")

    def __init__(self, roots: Roots | MasterSecret) -> None:
        """With a master secret alone, that is the only root."""
        self._keys = (roots if isinstance(roots, Roots) else Roots.of(roots)).keys_for("seal")
        self._ciphers: dict[int, AESGCM] = {}

    def seal(self, plaintext: bytes, *, context: str) -> bytes:
        """Return the sealed value. `context` names what it is (`signing-key:KID`): it is not kept, but the
        value opens only with it, so that one row's value cannot be moved to another.
        """
        generation = self._keys.current
        head, nonce = generation.to_bytes(), secrets.token_bytes(NONCE_BYTES)
        return head + nonce + self._cipher(generation).encrypt(nonce, plaintext, head + context.encode())

    def open(self, sealed: bytes, *, context: str) -> bytes:
        """Return the plaintext. Raise `SealBroken`, and never say which part was wrong.

        What comes out of a database that other processes write to is opened after `ready_for` it.
        """
        if len(sealed) < 1 + NONCE_BYTES + TAG_BYTES or sealed[0] not in self._keys:
            raise SealBroken(context)
        head, nonce, ciphertext = sealed[:1], sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            return self._cipher(sealed[0]).decrypt(nonce, ciphertext, head + context.encode())
        except InvalidTag:
            raise SealBroken(context) from None

    def renewed(self, sealed: bytes, *, context: str) -> bytes | None:
        """Return a value sealed anew under the current generation; None when it is of that one already. Raise
        `SealBroken`."""
        if sealed[:1] == self._keys.current.to_bytes():
            return None
        return self.seal(self.open(sealed, context=context), context=context)

    async def ready_for(self, *sealed: bytes | None) -> None:
        """Return when values can be opened, if anybody can: another process may have changed the master
        secret, and this one not heard of it yet. Costs nothing when it has. Raise `StoreUnavailable`."""
        newest = self._keys.roots.newest
        for one in sealed:
            # SQLite keeps anything in any column.
            if isinstance(one, bytes) and one[:1] > newest.to_bytes():
                await self._keys.ready_for(one[0])
                return

    def _cipher(self, generation: int) -> AESGCM:
        cipher = self._ciphers.get(generation)
        if cipher is None:
            cipher = self._ciphers[generation] = AESGCM(self._keys[generation])
        return cipher
