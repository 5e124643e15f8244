"""What a call to the accounts can come to. Refusals are values; only stores that cannot answer raise."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.model import Reason
from gateway.ports import User


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPair:
    """An access token and the refresh token that belongs to it."""

    access_token: str = field(repr=False)
    expires_in: int
    """Seconds that the access token lives."""
    refresh_token: str = field(repr=False)
    refresh_expires_in: int
    """Seconds until the refresh token is of no use any more, if it is not used."""
    scope: str
    """What the access token may do: scopes, sorted, one space between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account as its owner may see it."""

    id: str
    username: str
    email: str | None
    roles: tuple[str, ...]
    """Sorted."""

    @classmethod
    def of(cls, user: User) -> "Account":
        """Return what the owner of a stored account may see of it."""
        return cls(id=user.id, username=user.username, email=user.email, roles=tuple(sorted(user.roles)))


@dataclass(frozen=True, slots=True)
class Done:
    """It is done, and there is nothing to show for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRefusal:
    """The accounts say no. `detail` is meant for the caller, `diagnosis` for the operator alone."""

    reason: Reason
    diagnosis: str = ""
    detail: str | None = None
    errors: tuple[Mapping[str, str], ...] = ()
    """What is wrong with the body: `field` and `message`."""
    retry_after: float | None = None
    """Seconds."""
    subject: str | None = None
    """The person who asked, where a credential that is worth nothing any more has proved that."""


DONE = Done()
