"""What `accounts:` in the policy says about the gateway's own users. Durations are seconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRules:
    """The rules in force; a policy without `accounts:` has none, and then `/auth/*` does not exist."""

    registration_open: bool
    default_roles: frozenset[str]
    password_min_length: int
    access_lifetime: float
    refresh_idle: float
    refresh_absolute: float
    reuse_grace: float
