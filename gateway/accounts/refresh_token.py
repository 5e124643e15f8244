"""The refresh token as text. Pure: what it is worth is the business of `sessions.py`.

    gwr_ + base64url(signed ‖ HMAC-SHA256(session key, signed)),  signed = version ‖ session ‖ generation

A generation's token is always the same text, so it can be given out again without having been kept. The
version says whether it is bound to a key of the client (RFC 9449 section 5).
"""

import hashlib
import hmac
from dataclasses import dataclass, field

from gateway.accounts.ids import ID_BYTES
from gateway.crypto import decode_base64url, encode_base64url

_PREFIX = "gwr_"
_SESSION_PREFIX = "ses_"
_VERSION, _BOUND = b"\x01", b"\x02"
_GENERATION_BYTES = 8
_SIGNED = len(_VERSION) + ID_BYTES + _GENERATION_BYTES
_LENGTH = _SIGNED + hashlib.sha256().digest_size
KEY_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshToken:
    """What a text claims to be. Believe it only after `is_signed_with`."""

    session: str
    generation: int
    is_bound: bool
    """Whether it was issued to whoever holds a certain key. Its session knows which."""
    signed: bytes = field(repr=False)
    mac: bytes = field(repr=False)

    def is_signed_with(self, key: bytes) -> bool:
        """Say whether the session with this key issued the token."""
        return hmac.compare_digest(hmac.digest(key, self.signed, hashlib.sha256), self.mac)


def mint_refresh_token(session: str, generation: int, key: bytes, *, bound: bool = False) -> str:
    """Return the refresh token of one generation of a session."""
    signed = (
        (_BOUND if bound else _VERSION)
        + bytes.fromhex(session.removeprefix(_SESSION_PREFIX))
        + generation.to_bytes(_GENERATION_BYTES, "big")
    )
    return _PREFIX + encode_base64url(signed + hmac.digest(key, signed, hashlib.sha256))


def parse_refresh_token(text: str) -> RefreshToken | None:
    """Return what a text claims to be; None when it is no refresh token. Every token has one spelling."""
    if not text.startswith(_PREFIX) or not text.isascii():
        return None
    try:
        raw = decode_base64url(text.removeprefix(_PREFIX).encode("ascii"))
    except ValueError:
        return None
    if len(raw) != _LENGTH or not raw.startswith((_VERSION, _BOUND)):
        return None
    signed, mac = raw[:_SIGNED], raw[_SIGNED:]
    session = signed[len(_VERSION) : len(_VERSION) + ID_BYTES]
    return RefreshToken(
        session=_SESSION_PREFIX + session.hex(),
        generation=int.from_bytes(signed[-_GENERATION_BYTES:], "big"),
        is_bound=raw.startswith(_BOUND),
        signed=signed,
        mac=mac,
    )
