"""Which user names and e-mail addresses an account may have. How names are compared is `canonical_name`.

Both checks look at the name as typed and at its canonical form: a full-width at sign is an `@` as well.
"""

import re
from unicodedata import category

from gateway.accounts.ids import PREFIXES
from gateway.model import canonical_name

MAX_USERNAME = 64
MAX_EMAIL = 254
"""RFC 5321 section 4.5.3.1.3: a path has 256 octets, two of which are its angle brackets."""
_MAX_LOCAL_PART = 64
_DOMAIN = re.compile(r"[^\W_](?:[\w-]*[^\W_])?(?:\.[^\W_](?:[\w-]*[^\W_])?)*")


def fault_in_username(name: str) -> str | None:
    """Return what is wrong with a user name, as text meant for whoever chose it; None: nothing."""
    canonical = canonical_name(name)
    if not 0 < len(name) <= MAX_USERNAME or len(canonical) > MAX_USERNAME:
        return f"must have 1 to {MAX_USERNAME} characters"
    if _has_invisible(name + canonical):
        return "must not contain spaces, control characters or invisible characters"
    if "@" in canonical:
        return "must not contain @, so that it cannot be taken for an e-mail address"
    if "|" in canonical:
        return "must not contain |"
    if canonical.startswith(PREFIXES):
        prefixes = f"{', '.join(PREFIXES[:-1])} or {PREFIXES[-1]}"
        return f"must not begin with {prefixes}, so that it cannot be taken for an id"
    return None


def fault_in_email(address: str) -> str | None:
    """Return what is wrong with an e-mail address, as text meant for whoever typed it; None: nothing.

    Only the plain form is taken: no quoted local part, no comment, no literal address (RFC 5321).
    """
    canonical = canonical_name(address)
    if len(address.encode("utf-8", "surrogatepass")) > MAX_EMAIL or len(canonical) > MAX_EMAIL:
        return f"must have at most {MAX_EMAIL} characters"
    if _has_invisible(address + canonical):
        return "must not contain spaces, control characters or invisible characters"
    local, separator, domain = canonical.partition("@")
    if not separator or address.count("@") != 1 or "@" in domain:
        return "must look like name@example.com"
    if not 0 < len(local) <= _MAX_LOCAL_PART or local.startswith(".") or local.endswith(".") or ".." in local:
        return "must look like name@example.com"
    if "=?" in local:
        # In the header of a mail it would be read as another address (RFC 2047 section 2).
        return "must look like name@example.com"
    if set(local) & set('"(),:;<>[\\]|') or _DOMAIN.fullmatch(domain) is None:
        return "must look like name@example.com"
    return None


def _has_invisible(text: str) -> bool:
    """Whether a character is a separator (Z), or control, format, surrogate, private or unassigned (C)."""
    return any(category(character)[0] in "ZC" for character in text)
