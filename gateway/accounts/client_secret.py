"""The secret of an OAuth client: `gws_SECRET_CHECK`, letters and digits only, so that no client escapes it
in a way of its own.

`CHECK` is a CRC-32 of what stands before it: it finds typing errors, and tells a scanner for leaked secrets a
secret from noise. It proves nothing; the 256 random bits do.
"""

import re
import secrets
import string
import zlib
from dataclasses import dataclass, field
from hashlib import sha256

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_CHARACTERS = 43
"""62^43 is just above 2^256."""
_SECRET = re.compile(r"(gws_[0-9A-Za-z]{43})_([0-9a-f]{8})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedSecret:
    """A new secret. `text` is what the client gets, once; `hash` is what a store keeps."""

    text: str = field(repr=False)
    hash: bytes = field(repr=False)


def issue_client_secret() -> IssuedSecret:
    """Return a new secret with 256 random bits."""
    body = "gws_" + "".join(secrets.choice(_ALPHABET) for _ in range(_CHARACTERS))
    text = f"{body}_{zlib.crc32(body.encode()):08x}"
    return IssuedSecret(text=text, hash=_hash(text))


def client_secret_hash(text: str) -> bytes | None:
    """Return the hash to compare for a secret as somebody sent it; None when it cannot be one."""
    match = _SECRET.fullmatch(text)
    if match is None or match[2] != f"{zlib.crc32(match[1].encode()):08x}":
        return None
    return _hash(text)


def _hash(text: str) -> bytes:
    # 256 random bits cannot be guessed, so that the hash need not be slow.
    return sha256(text.encode()).digest()
