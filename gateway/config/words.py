"""How findings speak: quoting, the nearest known word, and the kind of a value in plain words."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches

_LONGEST = 80
"""Characters of a value that a finding shows."""
_MOST_CHOICES = 12
"""More known words than this are not listed."""


def printable(text: str) -> str:
    """Return text without anything that could drive a terminal."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def quoted(text: str) -> str:
    """Return text as findings show it: in quotes, printable, and not endless."""
    shown = printable(text)
    return f'"{shown}"' if len(shown) <= _LONGEST else f'"{shown[: _LONGEST - 3]}..."'


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that was probably meant."""
    words = list(known)
    if word.lower() in words:
        return word.lower()
    close = get_close_matches(word, words, n=1, cutoff=0.6)
    return close[0] if close else None


def did_you_mean(word: str, known: Collection[str], *, otherwise: str | None = None) -> str | None:
    """Return `did you mean "orders:write"?`, else a few known words to choose from, else `otherwise`."""
    close = nearest(word, known)
    if close is not None:
        return f"did you mean {quoted(close)}?"
    if otherwise is not None:
        return otherwise
    return f"known: {listed(sorted(known))}" if 0 < len(known) <= _MOST_CHOICES else None


def listed(words: Iterable[str]) -> str:
    """Return words with commas between them."""
    return ", ".join(words)


def kind_of(value: object, written: str | None = None) -> str:
    """Return what a value is: `the number 12`, `a list`."""
    shown = str(value) if written is None else printable(written)
    match value:
        case None:
            return "nothing" if not written else f"the word {shown}"
        case bool():
            return f"the word {shown}"
        case int() | float():
            return f"the number {shown}"
        case str():
            return f"the text {quoted(shown)}"
        case list():
            return "a list"
        case dict():
            return "a mapping"
        case _:
            return type(value).__name__
