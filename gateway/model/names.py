"""The form in which names of accounts are compared, and that of names which the configuration gives."""

import re
from unicodedata import normalize

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


def canonical_name(name: str) -> str:
    """Return a user name or an e-mail address in the form in which it is compared: NFKC, case-folded.

    This is a compatibility caseless match (Unicode standard, section 3.13, D146): full-width letters,
    ligatures and capital letters make no difference. Applying it twice changes nothing more.
    """
    folded = normalize("NFD", name).casefold()
    return normalize("NFKC", normalize("NFKD", folded).casefold())


def is_name(text: str) -> bool:
    """Say whether the configuration, and a path, can name something so: letters, digits, `-`, `_` and `.`, at
    most 64 of them, neither `-` nor `.` first."""
    return _NAME.fullmatch(text) is not None
