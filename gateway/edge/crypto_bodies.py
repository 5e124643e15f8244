"""The JSON bodies of the endpoints that encrypt and decrypt: one value, or a batch of them."""

from binascii import Error, a2b_base64, b2a_base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from gateway.accounts import AccountRefusal, Body, body_fault
from gateway.operations import Item

LARGEST_PLAINTEXT: Final = 2 * 1024 * 1024
"""Bytes of one value that may be encrypted."""
MOST_VALUES: Final = 1000
"""Values of one batch."""
_QUANTUM: Final = 3
"""Bytes that four characters of base64 stand for."""


def read_base64(value: object) -> bytes:
    """Return what text in base64 stands for (RFC 4648 section 4): with padding, and in the one spelling that
    an encoder writes. Raise what validators of bodies do."""
    if not isinstance(value, str):
        raise body_fault("must be a string")
    try:
        data = a2b_base64(value, strict_mode=True)
    except (Error, ValueError):
        raise body_fault("must be base64, with padding") from None
    # Bits that stand for nothing could be anything.
    rest = data[len(data) - len(data) % _QUANTUM :]
    if rest and not value.endswith(b2a_base64(rest, newline=False).decode("ascii")):
        raise body_fault("must be base64, with padding")
    if len(data) > LARGEST_PLAINTEXT:
        raise body_fault(f"may have at most {LARGEST_PLAINTEXT} bytes")
    return data


def _read_ciphertext(value: object) -> bytes:
    # Any text: what is wrong with a ciphertext is told in one way only.
    if not isinstance(value, str):
        raise body_fault("must be a string")
    return value.encode("utf-8", "surrogatepass")


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        # Half of a surrogate pair: what is authenticated is UTF-8.
        raise body_fault("must be valid Unicode") from None
    return text


_Text = Annotated[str, StringConstraints(strict=True), AfterValidator(_encodable)]
_Context = Annotated[_Text | None, Field(default=None, repr=False)]


class EncryptBody(Body):
    """`POST /gateway/v1/crypto/encrypt/{key}`."""

    plaintext: Annotated[bytes, BeforeValidator(read_base64), Field(repr=False)]
    context: _Context

    @property
    def item(self) -> Item:
        """The value."""
        return Item(data=self.plaintext, context=self.context or "")


class DecryptBody(Body):
    """`POST /gateway/v1/crypto/decrypt/{key}` and `.../rewrap/{key}`."""

    ciphertext: Annotated[bytes, BeforeValidator(_read_ciphertext), Field(repr=False)]
    context: _Context

    @property
    def item(self) -> Item:
        """The value."""
        return Item(data=self.ciphertext, context=self.context or "")


class EncryptBatch(Body):
    """The same, of many values."""

    batch: Annotated[list[EncryptBody], Field(min_length=1, max_length=MOST_VALUES, repr=False)]


class DecryptBatch(Body):
    """The same, of many values."""

    batch: Annotated[list[DecryptBody], Field(min_length=1, max_length=MOST_VALUES, repr=False)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bodies:
    """The two forms that the body of an endpoint may have."""

    one: type[EncryptBody] | type[DecryptBody]
    many: type[EncryptBatch] | type[DecryptBatch]

    def read(self, body: Mapping[str, object]) -> Sequence[Item] | AccountRefusal:
        """Return the values of a call, or what is wrong with its body: a batch when it has one."""
        if "batch" in body:
            batch = self.many.read(body)
            return batch if isinstance(batch, AccountRefusal) else [each.item for each in batch.batch]
        value = self.one.read(body)
        return value if isinstance(value, AccountRefusal) else [value.item]


TO_ENCRYPT: Final = Bodies(one=EncryptBody, many=EncryptBatch)
TO_DECRYPT: Final = Bodies(one=DecryptBody, many=DecryptBatch)
