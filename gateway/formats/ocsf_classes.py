"""Which class of OCSF, and which of its activities, a record is. The numbers are those of OCSF 1.8.0."""

from typing import Final, NamedTuple


class Activity(NamedTuple):
    """A class, and what was done in its terms."""

    category: int
    category_name: str
    type: int
    """The class."""
    type_name: str
    id: int
    name: str

    @property
    def uid(self) -> int:
        """What class and activity are called together, `type_uid`."""
        return self.type * 100 + self.id

    @property
    def full_name(self) -> str:
        """The name of both, `type_name`."""
        return f"{self.type_name}: {'Other' if self.id == OTHER else self.name}"


OTHER: Final = 99
"""The activity that no other number means; its name is the record's action."""

_CATEGORIES: Final = {3: "Identity & Access Management", 6: "Application Activity"}
ACCOUNT_CHANGE: Final = 3001
AUTHENTICATION: Final = 3002
ENTITY_MANAGEMENT: Final = 3004
USER_ACCESS: Final = 3005
API_ACTIVITY: Final = 6003
APPLICATION_ERROR: Final = 6008
_CLASSES: Final = {
    ACCOUNT_CHANGE: "Account Change",
    AUTHENTICATION: "Authentication",
    ENTITY_MANAGEMENT: "Entity Management",
    USER_ACCESS: "User Access Management",
    API_ACTIVITY: "API Activity",
    APPLICATION_ERROR: "Application Error",
}
_CREATE, _READ, _UPDATE, _DELETE = (1, "Create"), (2, "Read"), (3, "Update"), (4, "Delete")
_METHODS: Final = {
    "POST": _CREATE,
    "GET": _READ,
    "HEAD": _READ,
    "PUT": _UPDATE,
    "PATCH": _UPDATE,
    "DELETE": _DELETE,
}
_EVENTS: Final[dict[str, tuple[int, tuple[int, str] | None]]] = {
    "auth.login": (AUTHENTICATION, (1, "Logon")),
    "auth.login_failed": (AUTHENTICATION, (1, "Logon")),
    "auth.logout": (AUTHENTICATION, (2, "Logoff")),
    "auth.refresh": (AUTHENTICATION, None),
    "auth.reuse_detected": (AUTHENTICATION, None),
    "token.issued": (AUTHENTICATION, None),
    "token.revoked": (AUTHENTICATION, None),
    "auth.registered": (ACCOUNT_CHANGE, (1, "Create")),
    "auth.email_verified": (ACCOUNT_CHANGE, None),
    "auth.password_changed": (ACCOUNT_CHANGE, (3, "Password Change")),
    "auth.password_reset": (ACCOUNT_CHANGE, (4, "Password Reset")),
    "mfa.enrolled": (ACCOUNT_CHANGE, (10, "MFA Factor Enable")),
    "mfa.removed": (ACCOUNT_CHANGE, (11, "MFA Factor Disable")),
    "user.created": (ACCOUNT_CHANGE, (1, "Create")),
    "user.updated": (ACCOUNT_CHANGE, None),
    "user.disabled": (ACCOUNT_CHANGE, (5, "Disable")),
    "user.enabled": (ACCOUNT_CHANGE, (2, "Enable")),
    "user.deleted": (ACCOUNT_CHANGE, (6, "Delete")),
    "role.changed": (USER_ACCESS, None),
    "invite.created": (ENTITY_MANAGEMENT, _CREATE),
    "invite.revoked": (ENTITY_MANAGEMENT, (11, "Deactivate")),
    "client.created": (ENTITY_MANAGEMENT, _CREATE),
    "client.rotated": (ENTITY_MANAGEMENT, _UPDATE),
    "client.revoked": (ENTITY_MANAGEMENT, (11, "Deactivate")),
    "client.key_set": (ENTITY_MANAGEMENT, _UPDATE),
    "key.created": (ENTITY_MANAGEMENT, _CREATE),
    "key.rotated": (ENTITY_MANAGEMENT, _UPDATE),
    "key.revoked": (ENTITY_MANAGEMENT, (11, "Deactivate")),
    "signing_key.rotated": (ENTITY_MANAGEMENT, _UPDATE),
    "signing_key.revoked": (ENTITY_MANAGEMENT, (11, "Deactivate")),
    "crypto_key.created": (ENTITY_MANAGEMENT, _CREATE),
    "crypto_key.rotated": (ENTITY_MANAGEMENT, _UPDATE),
    "crypto_key.retired": (ENTITY_MANAGEMENT, (11, "Deactivate")),
    "secret.changed": (ENTITY_MANAGEMENT, _UPDATE),
    "block.added": (ENTITY_MANAGEMENT, _CREATE),
    "block.removed": (ENTITY_MANAGEMENT, _DELETE),
    "limit.reset": (ENTITY_MANAGEMENT, _UPDATE),
    "config.reloaded": (ENTITY_MANAGEMENT, _UPDATE),
    "config.rejected": (ENTITY_MANAGEMENT, _UPDATE),
    "crypto.encrypt": (API_ACTIVITY, None),
    "crypto.decrypt": (API_ACTIVITY, None),
    "crypto.rewrap": (API_ACTIVITY, None),
    "audit.read": (API_ACTIVITY, _READ),
    "audit.gap": (APPLICATION_ERROR, (1, "General Error")),
}


def activity_of_request(method: str | None) -> Activity:
    """Return what a request is: an activity of an API, by its method."""
    if method is None:
        return _activity(API_ACTIVITY, 0, "Unknown")
    return _activity(API_ACTIVITY, *_METHODS.get(method, (OTHER, method)))


def activity_of_event(action: str) -> Activity:
    """Return what an event is; one that is not known is some activity of an API."""
    type_, known = _EVENTS.get(action, (API_ACTIVITY, None))
    return _activity(type_, *(known or (OTHER, action)))


def _activity(type_: int, id_: int, name: str) -> Activity:
    category = type_ // 1000
    return Activity(category, _CATEGORIES[category], type_, _CLASSES[type_], id_, name)
