"""One encryption key with its versions: the newest encrypts, and all that are not retired decrypt."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hmac import compare_digest
from os import urandom
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.crypto.jwe import (
    ENCRYPTION,
    encode_header,
    is_content_type,
    open_split,
    read_direct_header,
    seal_compact,
    split_compact,
)
from gateway.crypto.message_counts import MessageCounts
from gateway.crypto.opened import CannotOpen, Opened, VersionUnknown
from gateway.crypto.sealing import SealBroken, Sealer
from gateway.crypto.transit import PREFIX, open_split_text, seal_text, split_text
from gateway.ports import StoredKeyVersion

KEY_BYTES: Final = 32
_MOST_HEADERS: Final = 64
"""Content types of which the encoded header is kept: upstreams choose them."""
_KID: Final = re.compile(r"v([1-9][0-9]{0,8})", re.ASCII)


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class KeyVersion:
    """One version, open."""

    number: int
    cipher: AESGCM = field(repr=False)
    sealed: bytes = field(repr=False)
    """As it is stored: as long as that stays, so does this."""
    headers: dict[str | None, bytes] = field(default_factory=dict, repr=False)
    """Encoded headers by content type."""


class CryptoKey:
    """One encryption key, open. It does not change: a rotation makes another one."""

    __slots__ = ("_counts", "_versions", "min_decryption_version", "name", "newest")

    def __init__(
        self,
        name: str,
        versions: Mapping[int, KeyVersion],
        *,
        newest: int,
        min_decryption_version: int,
        counts: MessageCounts,
    ) -> None:
        """`versions` are those that could be opened, by number. What is encrypted is counted in `counts`:
        NIST SP 800-38D section 8.3 allows 2^32 messages with random IVs under one key.
        """
        self.name = name
        self.newest = newest
        """The version that encrypts."""
        self.min_decryption_version = min_decryption_version
        """Ciphertexts of older versions are refused."""
        self._versions = versions
        self._counts = counts

    def __repr__(self) -> str:
        return f"CryptoKey({self.name!r}, newest={self.newest})"

    @property
    def can_seal(self) -> bool:
        """Whether the newest version is there. An older one never takes its place: without it, sealing raises
        `KeyError`."""
        return self.newest in self._versions

    def seal_jwe(self, plaintext: bytes, *, content_type: str | None = None) -> bytes:
        """Return a compact JWE (`dir`, `A256GCM`) whose `kid` is the name and the version (`reports:v3`).

        The content type is its `cty`, as it is; one that is not printable ASCII of at most 1000 characters is
        left out.
        """
        version = self._versions[self.newest]
        header = version.headers.get(content_type)
        if header is None:
            header = self._header(version, content_type)
        self._counts.add(self.name, self.newest)
        return seal_compact(version.cipher, header, plaintext)

    def seal_text(self, plaintext: bytes, *, context: str = "") -> str:
        """Return the text form (`gw:v3:...`), which opens with the same context only."""
        version = self._versions[self.newest]
        self._counts.add(self.name, self.newest)
        return seal_text(version.cipher, plaintext, name=self.name, version=version.number, context=context)

    def open(self, sealed: bytes, *, context: str = "") -> Opened:
        """Return what a JWE or a text was made from. Raise `CannotOpen`, `VersionUnknown` when it names a
        newer version than there is, and nothing else whatever the bytes are.

        A JWE has no context: with one, it does not open.
        """
        if sealed.startswith(PREFIX):
            number, body = split_text(sealed)
            version = self._version(number)
            plaintext = open_split_text(version.cipher, body, name=self.name, version=number, context=context)
            return Opened(plaintext=plaintext, version=number, content_type=None, is_jwe=False)
        message = split_compact(sealed)
        kid, content_type = read_direct_header(message.header)
        version = self._version(self._number(kid))
        if context:
            raise CannotOpen("a JWE has no context")
        plaintext = open_split(version.cipher, message)
        return Opened(plaintext=plaintext, version=version.number, content_type=content_type, is_jwe=True)

    def _number(self, kid: str) -> int:
        """Return the version that a `kid` means."""
        name, _, written = kid.rpartition(":")
        form = _KID.fullmatch(written)
        if form is None or name != self.name:
            raise CannotOpen("its kid is not that of a version of this key")
        return int(form[1])

    def _version(self, number: int) -> KeyVersion:
        """Return a version that may decrypt."""
        if number > self.newest:
            raise VersionUnknown(f"there is no version {number} of this key")
        if number < self.min_decryption_version:
            raise CannotOpen(f"version {number} of this key is retired")
        found = self._versions.get(number)
        if found is None:
            raise CannotOpen(f"version {number} of this key is missing or damaged where keys are kept")
        return found

    def _header(self, version: KeyVersion, content_type: str | None) -> bytes:
        """Return the header of a message, and keep it for the next one."""
        members = {"alg": "dir", "enc": ENCRYPTION, "kid": f"{self.name}:v{version.number}"}
        if content_type is not None and is_content_type(content_type):
            members["cty"] = content_type
        header = encode_header(members)
        if len(version.headers) < _MOST_HEADERS:
            version.headers[content_type] = header
        return header


def new_version(
    sealer: Sealer, *, name: str, version: int, created_at: float, material: bytes | None = None
) -> StoredKeyVersion:
    """Return a version of a key as a store keeps it: of this material, which has 32 bytes, else of random.

    Raise `ValueError` for material of another length.
    """
    if material is None:
        material = urandom(KEY_BYTES)
    elif len(material) != KEY_BYTES:
        raise ValueError(f"an encryption key has {KEY_BYTES} bytes, not {len(material)}")
    return StoredKeyVersion(
        version=version,
        sealed=sealer.seal(material, context=_context(name, version)),
        created_at=created_at,
    )


def open_version(sealer: Sealer, name: str, stored: StoredKeyVersion) -> KeyVersion:
    """Return a version as it was stored. Raise `SealBroken` when it is not what the gateway wrote."""
    context = _context(name, stored.version)
    material = sealer.open(stored.sealed, context=context)
    if len(material) != KEY_BYTES:
        raise SealBroken(context)
    return KeyVersion(number=stored.version, cipher=AESGCM(material), sealed=stored.sealed)


def is_made_of(sealer: Sealer, name: str, stored: StoredKeyVersion, material: bytes) -> bool:
    """Say whether a version is this material. Raise `SealBroken` when it is not what the gateway wrote."""
    return compare_digest(sealer.open(stored.sealed, context=_context(name, stored.version)), material)


def _context(name: str, version: int) -> str:
    return f"crypto-key:{name}:{version}"
