"""Passwords that so many people have that whoever guesses begins with them.

The list ships with the package; nothing is asked over the network. Where it comes from, and its licence, is
in `common_passwords.LICENSE` beside it. A password is on it in every trivial variation: in other case, with
digits and punctuation around it, written several times. The same holds for the name and the address of the
account, which are the first guess of whoever knows it (NIST SP 800-63B-4 section 3.1.1.2).
"""

import gzip
import re
from functools import lru_cache
from importlib.resources import files
from typing import Final

from gateway.model import canonical_name

_FILE: Final = "common_passwords.txt.gz"
_AROUND: Final = 6
"""Characters before and after that do not make another password of it."""
_EDGES: Final = re.compile(rf"[\W\d_]{{0,{_AROUND}}}(.+?)[\W\d_]{{0,{_AROUND}}}", re.DOTALL)
_LEAST: Final = 4
"""Shorter parts of a password say nothing about it: many a good one has `2023` or `abc` somewhere."""
_DIFFERENT: Final = 3
"""Different characters that a password must have more than."""


def is_common(password: str, *names: str) -> bool:
    """Say whether a password is a common one, or hardly more than one of the names (user name, address)."""
    text = canonical_name(password)
    if len(set(text)) <= _DIFFERENT or _is_a_run(text):
        return True
    known = {part for name in names for part in _parts_of(canonical_name(name))}
    return any(_is_listed(form) or form in known for form in _forms_of(text))


def _forms_of(text: str) -> set[str]:
    """Return a password without what is trivially added to one: digits and punctuation around, repetition."""
    match = _EDGES.fullmatch(text)
    forms = {text} if match is None else {text, match[1]}
    forms |= {_once(form) for form in forms}
    return {text} | {form for form in forms if len(form) >= _LEAST}


def _once(text: str) -> str:
    """Return the part of which a text is the repetition, or the text."""
    # A text is a repetition exactly if it is found inside of itself written twice.
    return text[: (text + text).index(text, 1)]


def _is_a_run(text: str) -> bool:
    """Whether each character is the next one after the character before it, or each the previous one."""
    steps = {ord(one) - ord(other) for one, other in zip(text[1:], text, strict=False)}
    # From 9 on to 0 and back.
    return steps <= {1, -9} or steps <= {-1, 9}


def _parts_of(name: str) -> set[str]:
    local, _, domain = name.partition("@")
    return {part for part in (name, local, domain, domain.partition(".")[0]) if len(part) >= _LEAST}


def _is_listed(text: str) -> bool:
    return "\n" not in text and f"\n{text}\n".encode("utf-8", "surrogatepass") in _listed()


@lru_cache(maxsize=1)
def _listed() -> bytes:
    """Return the list, a line break before and after each password.

    Searching these 160 KB takes 30 µs, and a hash of 250 ms follows. A set would be quicker, in ten times the
    memory of every process.
    """
    return b"\n" + gzip.decompress(files("gateway.accounts").joinpath(_FILE).read_bytes()) + b"\n"
