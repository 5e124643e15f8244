"""Base64url without padding (RFC 7515 section 2), with exactly one spelling for every value."""

from base64 import urlsafe_b64decode, urlsafe_b64encode


def encode_base64url(data: bytes) -> str:
    """Return the data as base64url text without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode_base64url(text: bytes) -> bytes:
    """Return what the text stands for. Raise `ValueError` unless it is the one spelling that
    `encode_base64url` writes: no padding, no foreign characters, unused bits zero.
    """
    data = urlsafe_b64decode(text + b"==")
    # The standard library skips foreign characters, stops at padding and ignores unused bits, so that many
    # texts stand for one value. Comparing with the canonical spelling closes all of these doors at once.
    if urlsafe_b64encode(data).rstrip(b"=") != text:
        raise ValueError("not canonical base64url")
    return data
