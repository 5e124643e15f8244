"""What is to be written to somebody, as it waits in the queue.

Requests leave only this behind, whether there is an account or not: who gets which letter is found out later,
so that neither an answer nor the time that it takes tells whether there is one.
"""

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum


class ErrandKind(StrEnum):
    """Why somebody is written to."""

    CONFIRM = "confirm"
    """An account was made, and its address is to be confirmed."""
    TAKEN = "taken"
    """An account was asked for whose name or address is taken."""
    RESEND = "resend"
    """The letter that asks for confirmation is wanted once more."""
    RESET = "reset"
    """A password was forgotten."""
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - the name of an errand
    FACTOR_BEGUN = "factor_begun"
    FACTOR_REMOVED = "factor_removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """One of them."""

    kind: ErrandKind
    email: str = field(repr=False)
    username: str = field(default="", repr=False)
    """The user name that was asked for, or that the account has; empty where only the address is known."""

    def encoded(self) -> bytes:
        """Return it as bytes, to be sealed."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decoded(cls, data: bytes) -> "Errand":
        """Return what `encoded` made. Raise `ValueError` for what another version made."""
        try:
            members = json.loads(data)
            return cls(kind=ErrandKind(members["kind"]), email=members["email"], username=members["username"])
        except (KeyError, TypeError, ValueError):
            raise ValueError("not an errand of this version") from None
