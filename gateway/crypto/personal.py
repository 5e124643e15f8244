"""What audit records say of persons, kept beside them so that it can be erased.

A record holds only a commitment to it: SHA-256 over a random salt and the text. So the chain covers what was
said, the text can go, and what is left tells nobody what it was; with the salt gone, guessing does not help
either. A part belongs to one subject, the person it is erased with.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Self

import orjson

from gateway.crypto.base64url import decode_base64url, encode_base64url
from gateway.crypto.sealing import SealBroken, Sealer

SALT_BYTES: Final = 16
_CONTEXT: Final = "audit-personal"


@dataclass(frozen=True, slots=True)
class PersonalPart:
    """What one record says of one subject."""

    subject: str
    plain: bytes = field(repr=False)
    """The salt, then a JSON object of fields: `name`, `source_ip`, `user_agent`, `attributes`."""

    @classmethod
    def of(cls, subject: str, fields: Mapping[str, object]) -> Self:
        """Return a new part, with a salt of its own."""
        return cls(subject, secrets.token_bytes(SALT_BYTES) + orjson.dumps(dict(fields)))

    @property
    def commitment(self) -> str:
        """What the record has in place of it: 43 characters."""
        return encode_base64url(sha256(self.plain).digest())

    @property
    def fields(self) -> Mapping[str, object]:
        """What it says. Raise `ValueError` when that is no JSON object."""
        fields = orjson.loads(self.plain[SALT_BYTES:])
        if not isinstance(fields, dict):
            raise ValueError("a personal part is a JSON object")  # noqa: TRY004 - readers know one way to fail
        return fields


def seal_parts(sealer: Sealer, parts: Sequence[PersonalPart]) -> bytes:
    """Return parts as they wait in the spool beside their record, sealed with the master secret."""
    plain = orjson.dumps([[part.subject, encode_base64url(part.plain)] for part in parts])
    return sealer.seal(plain, context=_CONTEXT)


def open_parts(sealer: Sealer, sealed: bytes) -> tuple[PersonalPart, ...]:
    """Return the parts that were sealed; none for nothing. Raise `SealBroken`."""
    if not sealed:
        return ()
    plain = sealer.open(sealed, context=_CONTEXT)
    try:
        return tuple(
            PersonalPart(subject, decode_base64url(text.encode())) for subject, text in orjson.loads(plain)
        )
    except (ValueError, TypeError, AttributeError):
        raise SealBroken(_CONTEXT) from None
