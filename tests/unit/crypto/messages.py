"""An encryption key of which the bytes are known, and messages taken apart and put together again."""

import json
from collections.abc import Iterator, Mapping

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.crypto import CryptoKey, decode_base64url, encode_base64url
from gateway.crypto.crypto_key import KeyVersion
from gateway.crypto.message_counts import MessageCounts

MATERIAL = {1: bytes(range(32)), 2: bytes(range(32, 64)), 3: bytes(range(64, 96))}
HEADER: Mapping[str, object] = {
    "alg": "dir",
    "enc": "A256GCM",
    "kid": "reports:v1",
    "cty": "application/json",
}


def key_of(
    *numbers: int, name: str = "reports", least: int = 1, counts: MessageCounts | None = None
) -> CryptoKey:
    """Return a key with these versions; the last of them encrypts."""
    versions = {
        number: KeyVersion(number=number, cipher=AESGCM(MATERIAL[number]), sealed=b"") for number in numbers
    }
    return CryptoKey(
        name,
        versions,
        newest=numbers[-1],
        min_decryption_version=least,
        counts=MessageCounts() if counts is None else counts,
    )


def sealed_with(
    header: Mapping[str, object] | bytes,
    plaintext: bytes = b"plain",
    *,
    iv: bytes = b"i" * 12,
    number: int = 1,
) -> bytes:
    """Return a message that is good but for its header, encrypted with a version of the key."""
    written = header if isinstance(header, bytes) else json.dumps(header).encode()
    encoded = encode_base64url(written).encode()
    sealed = AESGCM(MATERIAL[number]).encrypt(iv, plaintext, encoded)
    return joined(
        encoded, b"", *(encode_base64url(part).encode() for part in (iv, sealed[:-16], sealed[-16:]))
    )


def joined(*parts: bytes) -> bytes:
    return b".".join(parts)


def flipped(message: bytes) -> Iterator[bytes]:
    """Return every message that differs in one bit."""
    for place in range(len(message)):
        for bit in range(8):
            changed = bytearray(message)
            changed[place] ^= 1 << bit
            yield bytes(changed)


def flipped_inside(part: bytes) -> Iterator[bytes]:
    """Return every canonical base64url text of what differs in one bit from what a text stands for."""
    for changed in flipped(decode_base64url(part)):
        yield encode_base64url(changed).encode()
