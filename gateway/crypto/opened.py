"""What becomes of a ciphertext: it is opened, or there is one answer for everything that is wrong with it."""

from dataclasses import dataclass, field


class CannotOpen(Exception):
    """A ciphertext does not open. The text is the same whatever the matter is: telling one fault from another
    would help whoever tries until something opens.
    """

    def __init__(self, diagnosis: str) -> None:
        super().__init__("the ciphertext cannot be opened")
        self.diagnosis = diagnosis
        """What is wrong, for the audit trail alone; holds nothing of the ciphertext."""


class KeyUnknown(CannotOpen):
    """There is no key of this name."""


class VersionUnknown(CannotOpen):
    """It names a newer version of the key than is known: there may be one by now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What a ciphertext held."""

    plaintext: bytes = field(repr=False)
    version: int
    """Of the key, which opened it."""
    content_type: str | None
    """What a JWE says that its content is (`cty`, RFC 7516 section 4.1.12): printable ASCII, so that it can
    be the value of a header field."""
    is_jwe: bool
    """False for the text form."""
