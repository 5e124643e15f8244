"""Signed notes: a text, and below it who stands for it (C2SP signed-note, https://c2sp.org/signed-note).

The signatures are Ed25519's (RFC 8032). A key is known by its name and four bytes that follow from it.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_ED25519: Final = b"\x01"
_ID_BYTES: Final = 4
_PUBLIC_BYTES: Final = 32
_MARK: Final = "— "
_MOST_SIGNATURES: Final = 64


class NoteBroken(ValueError):
    """A text is not what a known key has signed, or no note at all. The text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteKey:
    """The public half of a key that signs notes. Its text is what one hands to whoever checks them."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        if not self.name or "+" in self.name or any(char.isspace() for char in self.name):
            msg = f"a key's name has no blanks and no plus sign: {self.name!r}"
            raise ValueError(msg)
        if len(self.public) != _PUBLIC_BYTES:
            msg = f"a public key has {_PUBLIC_BYTES} bytes, not {len(self.public)}"
            raise ValueError(msg)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the key that a text stands for: `NAME+HEX+BASE64`. Raise `ValueError`."""
        name, _, rest = text.partition("+")
        written, _, material = rest.partition("+")
        try:
            data = b64decode(material, validate=True)
        except binascii.Error:
            data = b""
        if data[:1] != _ED25519 or len(data) != 1 + _PUBLIC_BYTES:
            msg = "this is no Ed25519 key of signed notes, which has the form NAME+HEX+BASE64"
            raise ValueError(msg)
        key = cls(name=name, public=data[1:])
        if str(key) != text:
            msg = f"the key {name!r} was cut or changed: {written!r} does not follow from it"
            raise ValueError(msg)
        return key

    @property
    def id(self) -> bytes:
        """What a signature names the key by, beside its name: 4 bytes."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{b64encode(_ED25519 + self.public).decode()}"


class NoteSigner:
    """Signs notes with one key, which follows from a seed of 32 bytes."""

    __slots__ = ("_private", "key")

    def __init__(self, name: str, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.key = NoteKey(name=name, public=self._private.public_key().public_bytes_raw())
        """The public half."""

    def sign(self, text: str) -> str:
        """Return the note: the text, which ends with a line break, a blank line, and the signature.

        Raise `ValueError` for a text that a note cannot have.
        """
        if not text.endswith("\n") or any(char < " " and char != "\n" for char in text):
            raise ValueError("the text of a note consists of lines, without other control characters")
        signature = b64encode(self.key.id + self._private.sign(text.encode())).decode()
        return f"{text}\n{_MARK}{self.key.name} {signature}\n"


def open_note(note: str, keys: Iterable[NoteKey]) -> str:
    """Return the text of a note that one of the keys has signed. Raise `NoteBroken`.

    What others have signed below it is left out of account.
    """
    text, signatures = _divided(note)
    known = {(key.name, key.id): key for key in keys}
    signed = False
    for name, data in signatures:
        key = known.get((name, data[:_ID_BYTES]))
        if key is None:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(
                data[_ID_BYTES:], text.encode(errors="surrogatepass")
            )
        except InvalidSignature:
            raise NoteBroken("the signature is not that of its text") from None
        signed = True
    if not signed:
        raise NoteBroken("no known key has signed it")
    return text


def names_signer(note: str, key: NoteKey) -> bool:
    """Say whether a note says that a key has signed it, which is not checked."""
    try:
        _, signatures = _divided(note)
    except NoteBroken:
        return False
    return any((name, data[:_ID_BYTES]) == (key.name, key.id) for name, data in signatures)


def _divided(note: str) -> tuple[str, Sequence[tuple[str, bytes]]]:
    """Return the text of a note, and the names and data below it. Raise `NoteBroken`."""
    text, blank, below = note.rpartition("\n\n")
    lines = below.split("\n")
    if not blank or lines.pop() or not 0 < len(lines) <= _MOST_SIGNATURES:
        raise NoteBroken("it is no signed note")
    return f"{text}\n", [_signature(line) for line in lines]


def _signature(line: str) -> tuple[str, bytes]:
    """Return the name and the data of a line below a note."""
    name, blank, text = line.removeprefix(_MARK).partition(" ")
    try:
        data = b64decode(text, validate=True)
    except ValueError:
        data = b""
    if not line.startswith(_MARK) or not blank or len(data) <= _ID_BYTES:
        raise NoteBroken("a line below its text is no signature")
    return name, data
