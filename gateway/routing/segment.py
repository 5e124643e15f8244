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
    """Return a segment decoded once. Raise `Unreadable`, also for an encoded separator, which makes it one
    segment to some parsers and two to others."""
    if _SEPARATOR.search(raw) is not None:
        raise Unreadable("an encoded separator (`%2f` or `%5c`)")
    return decode_whole(raw)


def decode_whole(raw: str) -> str:
    """Return a segment decoded once, in which an encoded separator is an ordinary character. Raise
    `Unreadable`.

    A dot segment is resolved by some parsers and kept by others; what still looks encoded would be decoded
    again by a careless one.
    """
    if _MALFORMED.search(raw) is not None:
        raise Unreadable("a `%` that is not followed by two hexadecimal digits")
    try:
        segment = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable("bytes that are not UTF-8") from None
    # Servers that cut parameters off after decoding read `..%3bx` as `..`.
    if segment.partition(";")[0] in {".", ".."}:
        raise Unreadable("a `.` or `..` segment")
    if _ENCODED.search(segment) is not None:
        raise Unreadable("a segment that is percent-encoded twice")
    if any(category(character) == "Cc" for character in segment):
        raise Unreadable("a control character")
    return segment
