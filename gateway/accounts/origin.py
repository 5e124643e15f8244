"""Where a call to the accounts comes from, for the audit trail."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The request behind a call; all None at the command line."""

    request_id: str | None = None
    source_ip: str | None = None
    user_agent: str | None = None
