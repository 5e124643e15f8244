"""Base64url without padding (RFC 7515 section 2), with exactly one spelling for every value."""

from binascii import a2b_base64, b2a_base64
from typing import Final

_AT_ONCE: Final = 3 * 65_536
"""Bytes that are encoded in one go: nothing else runs meanwhile, in no thread."""
_PADDING: Final = (b"", b"", b"==", b"=")
"""What is missing, by how many characters there are beyond the last four."""
_LAST: Final = (b"", b"", b"AQgw", b"AEIMQUYcgkosw048")
"""Characters that leave the bits unused that stand for nothing: what a text of that length may end with."""


def encode_base64url(data: bytes) -> str:
    """Return the data as base64url text without padding."""
    return base64url_octets(data).decode("ascii")


def base64url_octets(data: bytes | memoryview) -> bytes:
    """Return the data as base64url text without padding, in octets."""
    if len(data) > _AT_ONCE:
        parts = range(0, len(data), _AT_ONCE)
        return b"".join(base64url_octets(data[at : at + _AT_ONCE]) for at in parts)
    standard = b2a_base64(data, newline=False).rstrip(b"=")
    return standard.replace(b"+", b"-").replace(b"/", b"_")


def decode_base64url(text: bytes) -> bytes:
    """Return what the text stands for. Raise `ValueError` unless it is the one spelling that
    `encode_base64url` writes: no padding, no foreign characters, unused bits zero.
    """
    if len(text) > _AT_ONCE:
        parts = range(0, len(text), _AT_ONCE)
        return b"".join(decode_base64url(text[at : at + _AT_ONCE]) for at in parts)
    beyond = len(text) % 4
    if (beyond and text[-1] not in _LAST[beyond]) or b"+" in text or b"/" in text or b"=" in text:
        raise ValueError("not canonical base64url")
    # Being strict, the standard library refuses every other character.
    standard = text.replace(b"-", b"+").replace(b"_", b"/")
    return a2b_base64(standard + _PADDING[beyond], strict_mode=True)
