"""One segment of a path, percent-decoded exactly once."""

import re
from unicodedata import category
from urllib.parse import unquote_to_bytes

_MALFORMED = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_SEPARATOR = re.compile(r"%(?:2f|5c)", re.IGNORECASE)


class Unreadable(ValueError):
    """A segment that can be read in more than one way; the text says what is in it."""


def decode_segment(raw: str) -> str:
    """Return a segment decoded once. Raise `Unreadable`.

    An encoded separator is one segment to some parsers and two to others; a dot segment is resolved by some
    and kept by others; what still looks encoded would be decoded again by a careless one.
    """
    if _MALFORMED.search(raw) is not None:
        raise Unreadable("a `%` that is not followed by two hexadecimal digits")
    if _SEPARATOR.search(raw) is not None:
        raise Unreadable("an encoded separator (`%2f` or `%5c`)")
    try:
        segment = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable("bytes that are not UTF-8") from None
    if segment in {".", ".."}:
        raise Unreadable("a `.` or `..` segment")
    if _ENCODED.search(segment) is not None:
        raise Unreadable("a segment that is percent-encoded twice")
    if any(category(character) == "Cc" for character in segment):
        raise Unreadable("a control character")
    return segment
