"""Ids of accounts and sessions: 128 random bits behind a prefix that says what they name."""

import secrets

ID_BYTES = 16
PREFIXES = ("usr_", "cli_", "key_", "ses_")
"""Nothing that a user can choose begins like this, so that no name passes for an id."""


def new_id(prefix: str) -> str:
    """Return an id that was never given before: the prefix and 32 hexadecimal digits."""
    return prefix + secrets.token_hex(ID_BYTES)
