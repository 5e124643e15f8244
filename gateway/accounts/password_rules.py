"""What a password must be, beyond being somebody's secret: long, and not the first that is tried."""

from gateway.accounts.common_passwords import is_common
from gateway.accounts.passwords import MAX_CHARACTERS, length_of


def fault_in_password(password: str, *names: str, min_length: int, rejects_common: bool) -> str | None:
    """Return what is wrong with a new password, as text meant for whoever chose it; None: nothing.

    `names` are those of the account: its user name, its address. No composition is asked for
    (NIST SP 800-63B-4 section 3.1.1.2).
    """
    least = max(min_length, 1)
    if length_of(password) < least:
        return f"must have at least {least} characters"
    if len(password) > MAX_CHARACTERS:
        return f"may have at most {MAX_CHARACTERS} characters"
    if rejects_common and is_common(password, *names):
        return "is too common: whoever guesses passwords begins with those that many people have"
    return None
