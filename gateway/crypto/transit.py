"""Encrypted values as short texts (`gw:v3:...`), each bound to its key, its version and a context."""

import re
from os import urandom
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.crypto.base64url import decode_base64url, encode_base64url
from gateway.crypto.jwe import IV_BYTES, TAG_BYTES
from gateway.crypto.opened import CannotOpen

PREFIX: Final = b"gw:"
"""No JWE begins like this: there is no colon in base64url."""
_FORM: Final = re.compile(rb"gw:v([1-9][0-9]{0,8}):")


def seal_text(cipher: AESGCM, plaintext: bytes, *, name: str, version: int, context: str) -> str:
    """Return the text of a value, encrypted with a fresh random nonce. It opens in the same context only."""
    nonce = urandom(IV_BYTES)
    sealed = cipher.encrypt(nonce, plaintext, _bound_to(name, version, context))
    return f"gw:v{version}:{encode_base64url(nonce + sealed)}"


def split_text(text: bytes) -> tuple[int, bytes]:
    """Return the version that a text names and what is sealed in it. Raise `CannotOpen`, and nothing else
    whatever the bytes are.
    """
    form = _FORM.match(text)
    if form is None:
        raise CannotOpen("it does not begin like a text of this gateway")
    try:
        sealed = decode_base64url(text[form.end() :])
    except ValueError:
        raise CannotOpen("it is not canonical base64url") from None
    if len(sealed) < IV_BYTES + TAG_BYTES:
        raise CannotOpen("it is too short")
    return int(form[1]), sealed


def open_split_text(cipher: AESGCM, sealed: bytes, *, name: str, version: int, context: str) -> bytes:
    """Return the plaintext. Raise `CannotOpen`."""
    view = memoryview(sealed)
    try:
        return cipher.decrypt(view[:IV_BYTES], view[IV_BYTES:], _bound_to(name, version, context))
    except InvalidTag:
        raise CannotOpen("it was changed, encrypted with another key or in another context") from None


def _bound_to(name: str, version: int, context: str) -> bytes:
    # JSON can name half of a character, which is no text that UTF-8 has; every context stays one of its own.
    return f"gw:v{version}:{name}\0{context}".encode("utf-8", "surrogatepass")
