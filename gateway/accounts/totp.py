"""Time-based one-time passwords (RFC 6238): six digits for every 30 seconds. Pure: no clock, no store.

SHA-1, six digits and 30 seconds are what every authenticator app takes; many ignore any other wish. What a
guess is worth is decided by how many are allowed, not by the hash.
"""

import hmac
import secrets
from base64 import b32encode
from typing import Final
from urllib.parse import quote, urlencode

KEY_BYTES: Final = 20
"""RFC 4226 section 4 recommends 160 bits."""
STEP_SECONDS: Final = 30
DIGITS: Final = 6
_DRIFT: Final = 1
"""Steps that a phone's clock may be off, either way (RFC 6238 section 5.2)."""


def new_key() -> bytes:
    """Return a key that nobody else has."""
    return secrets.token_bytes(KEY_BYTES)


def step_at(now: float) -> int:
    """Return the number of the interval that a time is in, in seconds since the epoch."""
    return int(now // STEP_SECONDS)


def code_at(key: bytes, step: int) -> str:
    """Return the code of an interval (RFC 4226 section 5.3)."""
    mac = hmac.digest(key, step.to_bytes(8, "big"), "sha1")
    offset = mac[-1] & 0x0F
    number = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def step_of(key: bytes, code: str, *, now: float, after: int) -> int | None:
    """Return the interval whose code this is, of those around `now` and later than `after`; None: of none.

    The comparison takes the same time wherever codes differ, and all intervals are compared.
    """
    found = None
    current = step_at(now)
    for step in range(current - _DRIFT, current + _DRIFT + 1):
        is_it = hmac.compare_digest(code_at(key, step).encode(), code.encode())
        if is_it and step > after and found is None:
            found = step
    return found


def is_code(text: str) -> bool:
    """Say whether a text has the form of a code."""
    return len(text) == DIGITS and text.isascii() and text.isdigit()


def key_text(key: bytes) -> str:
    """Return a key as it is typed into an authenticator app: base32."""
    return b32encode(key).decode("ascii").rstrip("=")


def otpauth_uri(key: bytes, *, issuer: str, account: str) -> str:
    """Return what an authenticator app reads from a picture: `otpauth://totp/ISSUER:ACCOUNT?...`."""
    query = {
        "secret": key_text(key),
        "issuer": issuer,
        "algorithm": "SHA1",
        "digits": str(DIGITS),
        "period": str(STEP_SECONDS),
    }
    label = f"{quote(issuer, safe='')}:{quote(account, safe='')}"
    # Some apps take a plus sign for itself, so that a space is written %20.
    return f"otpauth://totp/{label}?{urlencode(query, quote_via=quote)}"
