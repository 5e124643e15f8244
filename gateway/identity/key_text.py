"""The text of an API key: `gwk_ID_SECRET_CHECK`, letters and digits only, so that a double click takes all.

`CHECK` is a CRC-32 of what stands before it: it finds typing errors, and tells a scanner for leaked
secrets a key from noise, without asking a store. It proves nothing; the secret does.
"""

import re
import secrets
import string
import zlib
from dataclasses import dataclass, field
from hashlib import sha256

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
ID_CHARACTERS = 16
SECRET_CHARACTERS = 43
"""62^43 is just above 2^256."""
_KEY = re.compile(rb"(gwk_([0-9A-Za-z]{16})_[0-9A-Za-z]{43})_([0-9a-f]{8})")


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedKey:
    """A new API key. `text` is what its holder gets, once; `secret_hash` is what a store keeps."""

    id: str
    """`key_...`."""
    text: str = field(repr=False)
    secret_hash: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentedKey:
    """A key as somebody sent it: whole, and not yet believed."""

    id: str
    secret_hash: bytes = field(repr=False)


def issue_api_key(*, instead_of: str | None = None) -> IssuedKey:
    """Return a new key with 256 random bits; with the id `instead_of`, another secret for the same key."""
    identity = _random(ID_CHARACTERS) if instead_of is None else instead_of.removeprefix("key_")
    body = f"gwk_{identity}_{_random(SECRET_CHARACTERS)}"
    text = f"{body}_{zlib.crc32(body.encode()):08x}"
    return IssuedKey(id=f"key_{identity}", text=text, secret_hash=_hash(text.encode()))


def parse_api_key(value: bytes) -> PresentedKey | None:
    """Return which key this claims to be, with the hash to compare; None when it cannot be one."""
    match = _KEY.fullmatch(value)
    if match is None:
        return None
    body, identity, check = match.groups()
    if check != b"%08x" % zlib.crc32(body):
        return None
    return PresentedKey(id="key_" + identity.decode("ascii"), secret_hash=_hash(value))


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _hash(text: bytes) -> bytes:
    # 256 random bits cannot be guessed, so that the hash need not be slow. It covers the id as well.
    return sha256(text).digest()
