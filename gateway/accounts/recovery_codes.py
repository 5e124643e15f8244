"""Recovery codes: what a user keeps on paper for the day on which the phone is gone. Each opens once.

A code has 120 random bits, so that its plain SHA-256 may be kept: nobody finds it by trying (OWASP ASVS 6.5.2
asks for 112).
"""

import hashlib
import re
import secrets
from collections.abc import Iterable
from typing import Final

COUNT: Final = 10
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: without i, l, o and u, which are misread."""
_GROUPS: Final = 4
_GROUP: Final = 6
_FORM: Final = re.compile(f"[{_ALPHABET}]{{{_GROUPS * _GROUP}}}")
_MISREAD: Final = str.maketrans({"o": "0", "i": "1", "l": "1", "-": None, " ": None})


def new_codes() -> list[str]:
    """Return ten codes as they are shown: `7h2kqm-...`, four groups of six characters."""
    return ["-".join(_group() for _ in range(_GROUPS)) for _ in range(COUNT)]


def hash_of_code(text: str) -> bytes | None:
    """Return what is kept of a code, however it is typed; None when the text has not the form of one."""
    plain = text.lower().translate(_MISREAD)
    if _FORM.fullmatch(plain) is None:
        return None
    return _hash(plain)


def hashes_of(codes: Iterable[str]) -> list[bytes]:
    """Return what is kept of new codes."""
    return [_hash(code.replace("-", "")) for code in codes]


def _hash(plain: str) -> bytes:
    return hashlib.sha256(plain.encode("ascii")).digest()


def _group() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_GROUP))
