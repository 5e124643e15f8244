"""The canonical path: a target that two parsers could read in two ways is refused, never repaired.

What is accepted is matched by its segments, decoded once, and forwarded byte for byte as it came.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

from gateway.routing.segment import Unreadable, decode_segment

# The path of nearly every request: nothing to decode, no empty and no dot segment. Possessive, so that a
# hostile target is given up after one pass.
_PLAIN = re.compile(
    r"((?:/(?!\.\.?(?:[/?]|\Z))[A-Za-z0-9._~!$&'()*+,=:@-]++)++/?|/)"
    r"(?:\?([!-\"$-~]*+))?"
)
_VISIBLE = re.compile(r"[!-~]*+")
_RAW = {
    "//": "an empty segment (`//`)",
    ";": "a `;`",
    "\\": "a backslash",
}


class TargetParts(NamedTuple):
    """The two parts of an origin-form target, raw, and the path's segments, percent-decoded once."""

    path: str
    query: str | None
    """None without a `?`."""
    segments: tuple[str, ...]
    """`/a/b%20c/` gives `("a", "b c", "")`."""


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """The target can be read in more than one way."""

    diagnosis: str
    """What is wrong with it, without quoting it: it may hold anything."""


def read_target(target: str) -> TargetParts | Ambiguous:
    """Return the parts of an origin-form target (RFC 9112 section 3.2.1), or why it is ambiguous.

    Refused are: bytes outside 0x21-0x7E and `#` anywhere; in the path `//`, `;`, a backslash, `%2f`, `%5c`,
    a malformed `%`, and a segment that after one decoding is `.` or `..`, still contains `%XX`, or is not
    UTF-8 without control characters. The query is otherwise opaque.
    """
    plain = _PLAIN.fullmatch(target)
    if plain is not None:
        path, query = plain.groups()
        return TargetParts(path, query, tuple(path[1:].split("/")))
    return _read_slowly(target)


def _read_slowly(target: str) -> TargetParts | Ambiguous:
    if _VISIBLE.fullmatch(target) is None:
        return Ambiguous("the target contains a byte outside 0x21-0x7E")
    if "#" in target:
        return Ambiguous("the target contains a `#`")
    path, mark, query = target.partition("?")
    if path[:1] != "/":
        return Ambiguous("the path does not begin with `/`")
    for raw, what in _RAW.items():
        if raw in path:
            return Ambiguous(f"the path contains {what}")
    try:
        segments = tuple(
            decode_segment(segment) if "%" in segment or segment in {".", ".."} else segment
            for segment in path[1:].split("/")
        )
    except Unreadable as flaw:
        return Ambiguous(f"the path contains {flaw}")
    return TargetParts(path, query if mark else None, segments)
