"""The form in which names of accounts are compared."""

from unicodedata import normalize


def canonical_name(name: str) -> str:
    """Return a user name or an e-mail address in the form in which it is compared: NFKC, case-folded.

    This is a compatibility caseless match (Unicode standard, section 3.13, D146): full-width letters,
    ligatures and capital letters make no difference. Applying it twice changes nothing more.
    """
    folded = normalize("NFD", name).casefold()
    return normalize("NFKC", normalize("NFKD", folded).casefold())
