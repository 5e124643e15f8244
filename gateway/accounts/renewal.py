"""What a refresh token can be worth: a live session, nothing, or the end of its session."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """A live session with its newest refresh token. Times are seconds since the epoch."""

    session: str
    user_id: str
    generation: int
    refresh_token: str = field(repr=False)
    refresh_ends: float
    """When the token is of no use any more, if it is not used: idle or absolute end."""
    session_ends: float
    at: float
    """A moment at which the session had not ended. What is issued for it lives from then on, so that whatever
    ends the session later is heard of for longer than that lives."""
    began: float
    """When the user proved to be that user."""
    client_id: str | None = None
    """The OAuth client with a secret that the session belongs to; None: the gateway's own public client."""
    amr: tuple[str, ...] = ("pwd",)
    """How the user proved it (RFC 8176)."""
    mfa_at: float | None = None
    """When a second factor was last proved; None: never."""
    jkt: str | None = None
    """Thumbprint of the key that what is issued is bound to; None: it is not."""
    scope: str | None = None
    """What the session is confined to, scopes with one space between them; None: all of the user's roles."""
    replayed: bool = False
    """Whether an older token was answered with its successor again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dead:
    """The token is worth nothing, or nothing to whoever shows it."""

    diagnosis: str
    user_id: str | None = None
    """Whose it was; None: nobody's."""
    lacks_key: bool = False
    """Whether its session lives, and is bound to a key that was not proved beside the token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reused:
    """The token had been used up, and now the session has ended because of it."""

    session: str
    user_id: str
    presented: int
    newest: int
