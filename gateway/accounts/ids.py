"""Ids of accounts and sessions: 128 random bits behind a prefix that says what they name."""

import re
import secrets
from typing import Final

ID_BYTES = 16
PREFIXES = ("usr_", "cli_", "key_", "ses_", "inv_")
"""Nothing that a user can choose begins like this, so that no name passes for an id."""

_USER: Final = re.compile(f"usr_[0-9a-f]{{{2 * ID_BYTES}}}")


def is_user_id(text: str) -> bool:
    """Say whether a text has the form of a user's id; whether there is such a user, only the store knows."""
    return _USER.fullmatch(text) is not None


def new_id(prefix: str) -> str:
    """Return an id that was never given before: the prefix and 32 hexadecimal digits."""
    return prefix + secrets.token_hex(ID_BYTES)
