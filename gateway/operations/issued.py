"""What API keys and OAuth clients have in common: names, and how long a replaced secret stays good."""

from typing import Final

from gateway.accounts import AccountRefusal, invalid

_MAX_NAME: Final = 64
_MAX_OVERLAP: Final = 366 * 86400.0
"""Seconds."""


def refuse_name(name: str) -> AccountRefusal | None:
    """Return what is wrong with a name, None when nothing is."""
    if 0 < len(name) <= _MAX_NAME and name.isprintable() and name == name.strip():
        return None
    return invalid("name", f"must have 1 to {_MAX_NAME} printable characters, without blanks around them")


def refuse_overlap(seconds: float) -> AccountRefusal | None:
    """Return what is wrong with how long the secret before stays good, None when nothing is."""
    return None if 0 <= seconds <= _MAX_OVERLAP else invalid("overlap", "must be between nothing and a year")
