"""Changes that every process must know of within a second."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class ChangeKind(StrEnum):
    """What changed."""

    SESSION_REVOKED = "session.revoked"
    USER_CHANGED = "user.changed"
    """Roles, password, disabled: access tokens of an older epoch are dead."""
    CLIENT_CHANGED = "client.changed"
    """Revoked: access tokens of an older epoch are dead."""
    KEY_REVOKED = "key.revoked"
    """Or it was given another secret."""
    TOKEN_REVOKED = "token.revoked"
    """One access token, by its `jti`."""
    BLOCKS = "blocks"
    """An address was blocked, or let in again."""
    SIGNING_KEYS = "signing_keys"
    CRYPTO_KEYS = "crypto_keys"
    """An encryption key was made, has another version, or refuses older ones."""
    CLIENT_KEY = "client.key"
    """What is encrypted for a client is encrypted with another key of the client's, or with none."""
    ROOT_KEYS = "root_keys"
    """The master secret is being changed."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change; `seq` orders them."""

    seq: int
    kind: ChangeKind
    subject: str
    """Id of the session, user, client or key, name of an encryption key, `jti` of a token, or an address."""
    epoch: int
    """`USER_CHANGED`, `CLIENT_CHANGED`: tokens with a smaller epoch are dead; else 0."""
    at: float


class PlaceUnknown(Exception):
    """The feed does not have the change after which it was asked to go on: that one was dropped, or the feed
    was set back to an earlier state. Whoever follows begins anew, with the recent ones."""


class ChangeFeed(Protocol):
    """The ordered list of changes. Whoever writes one has it applied locally before answering."""

    async def since(self, seq: int) -> Sequence[Change]:
        """Return the changes after `seq`, that of a change or 0, oldest first. Raise `PlaceUnknown`,
        `StoreUnavailable`."""

    async def recent(self, after: float) -> tuple[int, Sequence[Change]]:
        """Return the newest sequence number and the changes since a time: what a starting process needs
        to know about tokens that may still be alive."""
