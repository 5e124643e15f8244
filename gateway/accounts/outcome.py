"""What a call to the accounts can come to. Refusals are values; only stores that cannot answer raise."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.model import Reason, Tally
from gateway.ports import User


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPair:
    """An access token and the refresh token that belongs to it."""

    access_token: str = field(repr=False)
    token_type: str
    """`Bearer`; `DPoP`: the access token is bound to a key, and a proof must go with it."""
    expires_in: int
    """Seconds that the access token lives."""
    refresh_token: str = field(repr=False)
    refresh_expires_in: int
    """Seconds until the refresh token is of no use any more, if it is not used."""
    scope: str
    """What the access token may do: scopes, sorted, one space between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientToken:
    """The access token of a client that acts for itself; no refresh token belongs to it."""

    access_token: str = field(repr=False)
    id: str
    """Its `jti`."""
    token_type: str
    """`Bearer`; `DPoP`: the token is bound to a key, and a proof must go with it."""
    expires_in: int
    """Seconds that it lives."""
    scope: str
    """What it may do: scopes, sorted, one space between them."""


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
    oauth_error: str = ""
    """Error code of RFC 6749 section 5.2, for endpoints that speak that language; empty: what follows from
    the reason."""
    rule: str | None = None
    """The limit that refuses, as the audit record names it."""
    tallies: tuple[Tally, ...] = ()
    """What the limits said."""


DONE = Done()


def invalid(field: str, message: str) -> AccountRefusal:
    """Return the refusal of a body, or of an argument, for what is wrong with one field of it."""
    return AccountRefusal(reason=Reason.INVALID_REQUEST, errors=({"field": field, "message": message},))


def no_room(retry_after: float) -> AccountRefusal:
    """Return the refusal of whoever comes while too many passwords are hashed; `retry_after` is seconds."""
    return AccountRefusal(
        reason=Reason.OVERLOADED,
        diagnosis="too many passwords at once",
        detail="Too many passwords are being checked; try again in a moment.",
        retry_after=retry_after,
    )


def no_longer(diagnosis: str, *, subject: str | None = None) -> AccountRefusal:
    """Return the refusal of a refresh token: all that are worth nothing get the same answer."""
    return AccountRefusal(
        reason=Reason.CREDENTIALS_INVALID, diagnosis=diagnosis, detail="Log in again.", subject=subject
    )


def not_a_session() -> AccountRefusal:
    """Return the refusal of a caller who is no user that has logged in."""
    return AccountRefusal(
        reason=Reason.DENIED,
        diagnosis="the caller is not a logged-in user",
        detail="This needs the access token of a logged-in user.",
    )
