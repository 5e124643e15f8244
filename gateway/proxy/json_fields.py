"""Values inside a JSON document are replaced; every other byte stays as it is. Pure: no socket, no key.

Nothing is written anew: numbers, escapes and spaces are somebody's, and a number like 1e400 or one of twenty
digits does not survive a parser. The document is walked along the pointers; what lies beside them is
skipped by the parser of the standard library, which is strict (RFC 8259) once it is told to be.
"""

import re
from collections.abc import Callable, Sequence
from json import JSONDecoder
from typing import Final, Never

from gateway.config import write_pointer

Steps = tuple[str, ...]

MOST_VALUES: Final = 10_000
"""Values of one document that are replaced: each becomes a message of its own."""
MOST_ENTRIES: Final = 100_000
"""Entries of arrays and objects along the pointers."""
_EVERY: Final = "*"
_ENTRY: Final = re.compile(r"\*|0|[1-9][0-9]*")
"""Steps that lead to entries of arrays."""
_SPACE: Final = re.compile(r"[ \t\n\r]*")


class NotReplaceable(Exception):
    """A document cannot be handled; the text says why, and holds nothing of it."""


def replace_values(document: bytes, pointers: Sequence[Steps], replaced: Callable[[bytes], bytes]) -> bytes:
    """Return a document in which the values that pointers lead to are what `replaced` makes of their texts.

    A pointer is a sequence of steps: names of members, numbers of array entries, or `*` for every entry of
    an array or object (RFC 6901 but for the latter); no two may overlap. Where a name occurs twice in an
    object, every occurrence is meant. Pointers that lead nowhere are ignored. Raise `NotReplaceable` for what
    is not one JSON text in UTF-8, and for an array with entries where a pointer names a member: what was
    meant is probably in each of them.
    """
    try:
        text = document.decode("utf-8")
    except UnicodeDecodeError:
        text = None
    if text is None:
        # Raised here, where nothing holds on to the document.
        raise NotReplaceable("the response is not UTF-8")
    walk = _Walk(text)
    flaw = walk.run(tuple(pointers))
    if flaw is not None:
        raise NotReplaceable(flaw)
    parts: list[bytes] = []
    end = 0
    for begin, behind in walk.found:
        parts.append(text[end:begin].encode())
        parts.append(replaced(text[begin:behind].encode()))
        end = behind
    parts.append(text[end:].encode())
    return b"".join(parts)


class _Walk:
    """Finds where values begin and end."""

    __slots__ = ("_entries", "_text", "found")

    def __init__(self, text: str) -> None:
        self._text = text
        self._entries = 0
        self.found: list[tuple[int, int]] = []
        """In the order of the text."""

    def run(self, pointers: tuple[Steps, ...]) -> str | None:
        """Walk all of the text; return what is wrong with it."""
        try:
            end = self._value(self._space(0), pointers, 0)
            if self._space(end) != len(self._text):
                return "the response is more than one JSON text"
        except RecursionError:
            return "the response is nested too deeply"
        except _Flaw as flaw:
            return f"the response has {flaw}"
        except ValueError:
            return "the response is not JSON"
        return None

    def _value(self, at: int, pointers: tuple[Steps, ...], depth: int) -> int:
        """Walk the value that begins here, where pointers lead with so many steps, and return where it
        ends."""
        if not pointers:
            return _skip(self._text, at)
        if any(len(each) == depth for each in pointers):
            end = _skip(self._text, at)
            if len(self.found) == MOST_VALUES:
                raise _Flaw(f"more than {MOST_VALUES} values to encrypt")
            self.found.append((at, end))
            return end
        match self._text[at : at + 1]:
            case "{":
                return self._object(at, pointers, depth)
            case "[":
                return self._array(at, pointers, depth)
            case _:
                return _skip(self._text, at)

    def _object(self, at: int, pointers: tuple[Steps, ...], depth: int) -> int:
        text = self._text
        at = self._space(at + 1)
        if text[at : at + 1] == "}":
            return at + 1
        while True:
            self._expect(at, '"')
            name, at = _decoder.raw_decode(text, at)
            at = self._space(at)
            self._expect(at, ":")
            below = self._below(pointers, name, depth)
            at = self._space(self._value(self._space(at + 1), below, depth + 1))
            if text[at : at + 1] == "}":
                return at + 1
            self._expect(at, ",")
            at = self._space(at + 1)

    def _array(self, at: int, pointers: tuple[Steps, ...], depth: int) -> int:
        text = self._text
        at = self._space(at + 1)
        if text[at : at + 1] == "]":
            return at + 1
        for each in pointers:
            if not _ENTRY.fullmatch(each[depth]):
                raise _Flaw(f"a list where {write_pointer(each)} names a member")
        number = 0
        while True:
            below = self._below(pointers, str(number), depth)
            at = self._space(self._value(at, below, depth + 1))
            if text[at : at + 1] == "]":
                return at + 1
            self._expect(at, ",")
            at = self._space(at + 1)
            number += 1

    def _below(self, pointers: tuple[Steps, ...], step: str, depth: int) -> tuple[Steps, ...]:
        """Return the pointers that take a step from here."""
        self._entries += 1
        if self._entries > MOST_ENTRIES:
            raise _Flaw(f"more than {MOST_ENTRIES} entries where values to encrypt may be")
        return tuple([each for each in pointers if each[depth] == step or each[depth] == _EVERY])

    def _space(self, at: int) -> int:
        return _SPACE.match(self._text, at).end()  # type: ignore[union-attr] # it matches anything

    def _expect(self, at: int, mark: str) -> None:
        if self._text[at : at + 1] != mark:
            raise ValueError(mark)


class _Flaw(Exception):
    """The document is JSON that cannot be handled; the text says what it has."""


def _no_constant(_name: str) -> Never:
    raise ValueError("NaN and Infinity are not JSON")


def _forget(_value: object) -> None:
    """Keep nothing: numbers may be too long to be converted, and nobody wants what is skipped."""


# The scanner is one call into C, however long the document. Other threads get their turn in what it calls:
# these functions have to be written in Python.
_decoder = JSONDecoder(
    parse_float=_forget, parse_int=_forget, object_pairs_hook=_forget, parse_constant=_no_constant
)


def _skip(text: str, at: int) -> int:
    """Return where the value ends that begins here. Raise `ValueError`, `RecursionError`."""
    return _decoder.raw_decode(text, at)[1]
