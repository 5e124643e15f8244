"""What is written down besides decisions: how an exchange ended, and events."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.model.per_request import per_request
from gateway.model.principal import Principal
from gateway.model.reason import Reason


class Outcome(StrEnum):
    """How an exchange ended."""

    COMPLETE = "complete"
    CLIENT_LEFT = "client_left"
    UPSTREAM_FAILED = "upstream_failed"
    CUT = "cut"
    """The gateway ended it: a limit on the body, a drain that ran out of time."""


@per_request
class Completion:
    """The end of one exchange, as the completion record tells it."""

    status: int
    """Status that the client was sent; 0 when it got none."""
    bytes_in: int
    bytes_out: int
    """Body bytes, without framing."""
    duration_ms: float
    outcome: Outcome
    reason: Reason = Reason.OK
    """`ok`, or what went wrong."""
    diagnosis: str = ""


class EventKind(StrEnum):
    """`action` of an event record."""

    LOGIN = "auth.login"
    LOGIN_FAILED = "auth.login_failed"
    REFRESH = "auth.refresh"
    REUSE_DETECTED = "auth.reuse_detected"
    LOGOUT = "auth.logout"
    REGISTERED = "auth.registered"
    EMAIL_VERIFIED = "auth.email_verified"
    PASSWORD_CHANGED = "auth.password_changed"
    PASSWORD_RESET = "auth.password_reset"
    MFA_ENROLLED = "mfa.enrolled"
    MFA_REMOVED = "mfa.removed"
    TOKEN_ISSUED = "token.issued"
    TOKEN_REVOKED = "token.revoked"
    USER_CREATED = "user.created"
    USER_UPDATED = "user.updated"
    USER_DISABLED = "user.disabled"
    USER_ENABLED = "user.enabled"
    USER_DELETED = "user.deleted"
    ROLE_CHANGED = "role.changed"
    INVITE_CREATED = "invite.created"
    INVITE_REVOKED = "invite.revoked"
    CLIENT_CREATED = "client.created"
    CLIENT_ROTATED = "client.rotated"
    CLIENT_REVOKED = "client.revoked"
    CLIENT_KEY_SET = "client.key_set"
    KEY_CREATED = "key.created"
    KEY_ROTATED = "key.rotated"
    KEY_REVOKED = "key.revoked"
    SIGNING_KEY_ROTATED = "signing_key.rotated"
    SIGNING_KEY_REVOKED = "signing_key.revoked"
    CRYPTO_KEY_CREATED = "crypto_key.created"
    CRYPTO_KEY_ROTATED = "crypto_key.rotated"
    CRYPTO_KEY_RETIRED = "crypto_key.retired"
    SECRET_CHANGED = "secret.changed"
    BLOCK_ADDED = "block.added"
    BLOCK_REMOVED = "block.removed"
    LIMIT_RESET = "limit.reset"
    CONFIG_RELOADED = "config.reloaded"
    CONFIG_REJECTED = "config.rejected"
    CRYPTO_ENCRYPT = "crypto.encrypt"
    CRYPTO_DECRYPT = "crypto.decrypt"
    CRYPTO_REWRAP = "crypto.rewrap"
    AUDIT_READ = "audit.read"
    AUDIT_GAP = "audit.gap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to accounts, keys or the gateway itself. Never carries a credential."""

    kind: EventKind
    actor: Principal | None
    request_id: str | None = None
    source_ip: str | None = None
    user_agent: str | None = None
    reason: Reason = Reason.OK
    session: str | None = None
    attributes: Mapping[str, str | int | bool | list[str]] = field(default_factory=dict)
    subject: str | None = None
    """The person that the event is about, when that is not the actor's own subject."""
    personal: Mapping[str, str | int | bool | list[str]] = field(default_factory=dict)
    """Attributes that are the subject's personal data: names, addresses. They can be erased with it."""
