"""The canonical path: a target that two parsers could read in two ways is refused, never repaired.

What is accepted is matched by its segments, decoded once, and forwarded byte for byte as it came. A few
spellings are refused or not depending on who will read the path: they are named, for the route to say.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

from gateway.routing.segment import Unreadable, decode_whole

# The path of nearly every request: nothing to decode, no empty and no dot segment. There is one way to divide
# it into segments, so that a hostile target is given up after one pass. Only characters are possessive, never
# a group: Python before 3.11.5 then skips what is asked ahead in it (python/cpython#106052).
_PLAIN = re.compile(
    r"((?:/(?!\.\.?(?:[/?]|\Z))[A-Za-z0-9._~!$&'()*+,=:@-]++)+/?|/)"
    r"(?:\?([!-\"$-~]*+))?"
)
_VISIBLE = re.compile(r"[!-~]*+")
_SEPARATORS = re.compile(r"[/\\;]")
"""What ends a segment for one parser or another."""
_USERINFO = re.compile("//[^/?#]*@")

Oddities = frozenset[str]
"""Names of spellings that are ordinary characters to some and separators to others."""

_NO_ODDITIES: Oddities = frozenset()
_SPELLINGS = (
    ("double_slash", "//", "an empty segment (`//`)"),
    ("semicolon", ";", "a `;`"),
    ("backslash", "\\", "a backslash"),
    ("backslash", "%5c", "a backslash"),
    ("encoded_slash", "%2f", "an encoded separator (`%2f`)"),
)
"""Name, what is looked for in the lower-cased path, and how it is called."""
_CALLED = {name: text for name, _, text in _SPELLINGS}


class TargetParts(NamedTuple):
    """The two parts of an origin-form target, raw, and the path's segments, percent-decoded once."""

    path: str
    query: str | None
    """None without a `?`."""
    segments: tuple[str, ...]
    """`/a/b%20c/` gives `("a", "b c", "")`."""
    oddities: Oddities = _NO_ODDITIES
    """What has to be taken for ordinary characters for the segments to be these ones: `encoded_slash`,
    `double_slash` (each makes an empty segment), `semicolon`, `backslash`."""


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """The target can be read in more than one way."""

    diagnosis: str
    """What is wrong with it, without quoting it: it may hold anything."""


def read_target(target: str) -> TargetParts | Ambiguous:
    """Return the parts of an origin-form target (RFC 9112 section 3.2.1), or why it is ambiguous.

    Refused are: bytes outside 0x21-0x7E and `#` anywhere; in the path a malformed `%`, and a segment that
    after one decoding is `.` or `..`, still contains `%XX`, or is not UTF-8 without control characters. The
    query is otherwise opaque. `//`, `;`, a backslash, `%2f` and `%5c` are oddities of what is returned.
    """
    plain = _PLAIN.fullmatch(target)
    if plain is not None:
        path, query = plain.groups()
        return TargetParts(path, query, tuple(path[1:].split("/")))
    return _read_slowly(target)


def spelled(oddities: Oddities) -> str:
    """Return how oddities are called: "a `;` and a backslash"."""
    return " and ".join(text for name, text in _CALLED.items() if name in oddities)


def without_userinfo(target: str) -> str:
    """Return a target without what stands before an `@` where some see an authority: it may be a password."""
    return _USERINFO.sub("//", target)


def _read_slowly(target: str) -> TargetParts | Ambiguous:
    if _VISIBLE.fullmatch(target) is None:
        return Ambiguous("the target contains a byte outside 0x21-0x7E")
    if "#" in target:
        return Ambiguous("the target contains a `#`")
    path, mark, query = target.partition("?")
    if path[:1] != "/":
        return Ambiguous("the path does not begin with `/`")
    lowered = path.lower()
    oddities = frozenset(name for name, text, _ in _SPELLINGS if text in lowered)
    try:
        segments = tuple(
            decode_whole(segment) if "%" in segment or segment in {".", ".."} else segment
            for segment in path[1:].split("/")
        )
    except Unreadable as flaw:
        return Ambiguous(f"the path contains {flaw}")
    if oddities and any(part in {".", ".."} for text in segments for part in _SEPARATORS.split(text)):
        # Whoever takes the oddity for a separator after all would go where no rule has looked.
        return Ambiguous("the path contains a `.` or `..` between separators")
    return TargetParts(path, query if mark else None, segments, oddities)
