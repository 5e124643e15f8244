"""Encrypted messages in compact form (RFC 7516 section 7.1) with A256GCM: written plainly, read strictly.

A message says how it is to be read. Nothing of that is followed here: it is compared with the one way in
which such messages are made.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import urandom
from typing import Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.crypto.base64url import base64url_octets, decode_base64url
from gateway.crypto.jws import JwsMalformed, read_json_object
from gateway.crypto.opened import CannotOpen

ENCRYPTION: Final = "A256GCM"
IV_BYTES: Final = 12
TAG_BYTES: Final = 16
MOST_HEADER: Final = 4096
"""Characters of an encoded header that are read."""
_MOST_CONTENT_TYPE: Final = 1000
_PARTS: Final = 5
_CONTENT_TYPE: Final = re.compile(r"[!-~](?:[ -~]*[!-~])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactJwe:
    """A message taken apart; only its form has been looked at."""

    header: bytes
    """As it was sent, in base64url: what the tag is over, besides the ciphertext."""
    iv: bytes = field(repr=False)
    sealed: bytes = field(repr=False)
    """Ciphertext and tag."""


def encode_header(members: Mapping[str, object]) -> bytes:
    """Return a header as it stands in a message. Raise `TypeError` for what JSON cannot express."""
    return base64url_octets(orjson.dumps(dict(members)))


def is_content_type(text: str) -> bool:
    """Say whether a message may have this as its `cty`: printable ASCII that a header field could carry."""
    return len(text) <= _MOST_CONTENT_TYPE and _CONTENT_TYPE.fullmatch(text) is not None


def seal_compact(cipher: AESGCM, header: bytes, plaintext: bytes) -> bytes:
    """Return a message whose encrypted key is empty, with a fresh random IV."""
    iv = urandom(IV_BYTES)
    sealed = memoryview(cipher.encrypt(iv, plaintext, header))
    parts: tuple[bytes | memoryview, ...] = iv, sealed[:-TAG_BYTES], sealed[-TAG_BYTES:]
    return b".".join((header, b"", *(base64url_octets(part) for part in parts)))


def split_compact(message: bytes) -> CompactJwe:
    """Take a message apart whose encrypted key is empty. Raise `CannotOpen`, and nothing else whatever the
    bytes are.
    """
    # One more than there may be: a message of dots must not become a list of millions.
    parts = message.split(b".", _PARTS)
    if len(parts) != _PARTS:
        raise CannotOpen("it is neither a compact JWE nor a text of this gateway")
    header, encrypted_key, iv, ciphertext, tag = parts
    if len(header) > MOST_HEADER:
        raise CannotOpen("its header is too long")
    if encrypted_key:
        raise CannotOpen("it has an encrypted key")
    try:
        decoded = decode_base64url(iv)
        end = decode_base64url(tag)
        body = decode_base64url(ciphertext)
    except ValueError:
        raise CannotOpen("a part of it is not canonical base64url") from None
    if len(decoded) != IV_BYTES:
        raise CannotOpen(f"its initialization vector is not {IV_BYTES} bytes long")
    if len(end) != TAG_BYTES:
        raise CannotOpen(f"its tag is not {TAG_BYTES} bytes long")
    return CompactJwe(header=header, iv=decoded, sealed=body + end)


def read_direct_header(header: bytes) -> tuple[str, str | None]:
    """Return the `kid` and the `cty` of a message that is encrypted with a shared key (`dir`, RFC 7518
    section 4.5). Raise `CannotOpen`, and nothing else whatever the bytes are.
    """
    try:
        members = read_json_object(decode_base64url(header))
    except JwsMalformed as fault:
        raise CannotOpen(f"its header is refused: {fault}") from None
    except ValueError:
        raise CannotOpen("its header is not canonical base64url") from None
    if members.get("alg") != "dir" or members.get("enc") != ENCRYPTION:
        raise CannotOpen(f"it is not encrypted with dir and {ENCRYPTION}")
    if "zip" in members or "crit" in members:
        # RFC 8725 section 3.6: what is compressed before it is encrypted gives itself away by its length.
        raise CannotOpen("its header asks for zip or crit")
    kid, content_type = members.get("kid"), members.get("cty")
    if not isinstance(kid, str):
        raise CannotOpen("its kid is missing or not text")
    if content_type is not None and not (isinstance(content_type, str) and is_content_type(content_type)):
        raise CannotOpen("its cty is not text that a header field could carry")
    if not isinstance(members.get("typ", ""), str):
        raise CannotOpen("its typ is not text")
    return kid, content_type


def open_split(cipher: AESGCM, message: CompactJwe) -> bytes:
    """Return the plaintext. Raise `CannotOpen`."""
    try:
        return cipher.decrypt(message.iv, message.sealed, message.header)
    except InvalidTag:
        raise CannotOpen("it was changed, or encrypted with another key") from None
