"""What the links in mails are kept in: each works once, for a while, and only the newest of its kind."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class LinkPurpose(StrEnum):
    """What a link is good for."""

    VERIFY_EMAIL = "verify_email"
    RESET_PASSWORD = "reset_password"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One link; the token in it is not kept, only its SHA-256. Times are seconds since the epoch."""

    token_hash: bytes = field(repr=False)
    purpose: LinkPurpose
    user_id: str
    email: str
    """The address that it was sent to; another address of the account makes it worthless."""
    password_version: int
    """Of the account when it was made; another password makes it worthless."""
    created_at: float
    expires_at: float


class LinkStore(Protocol):
    """Links, found by the hash of their token."""

    async def add(self, link: Link) -> bool:
        """Store a link, in place of every other of the same account and purpose; False when the account is
        gone."""

    async def find(self, token_hash: bytes, purpose: LinkPurpose, *, now: float) -> Link | None:
        """Return a link that is neither used nor expired nor replaced."""

    async def use(self, token_hash: bytes, purpose: LinkPurpose, *, now: float) -> Link | None:
        """Take a link that is neither used nor expired nor replaced: of two that try, one gets it."""
