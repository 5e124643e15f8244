"""How text is kept: any text that a client can send, compared bytewise, alike in every database.

PostgreSQL takes no NUL, no database takes half of a surrogate pair, and a store must neither fail nor get
stuck on what somebody else made up. Such characters are escaped on their way in and come back as they were.
The escape is one-to-one, so that two texts are never taken for one.
"""

import re
from typing import Final

from sqlalchemy import Dialect, String, TypeDecorator

from gateway.ports import StoreUnavailable

_MARK: Final = "\ufdd0"
"""A noncharacter of Unicode, which is no part of any text that is meant to be read."""
_REFUSED: Final = re.compile("[\0\ud800-\udfff\ufdd0]")
_ESCAPE: Final = re.compile("\ufdd0([0-9a-f]{4})")


def escaped(text: str) -> str:
    """Return a text in the form in which every database takes it: itself, nearly always."""
    return text if _REFUSED.search(text) is None else _REFUSED.sub(_escape, text)


def escaped_row(row: tuple[str | int | bytes, ...]) -> tuple[str | int | bytes, ...]:
    """Return a row for a statement that knows nothing of columns, and so escapes nothing by itself."""
    return tuple(escaped(value) if isinstance(value, str) else value for value in row)


def unescaped(text: str) -> str:
    """Return the text that `escaped` was given."""
    return text if _MARK not in text else _ESCAPE.sub(_unescape, text)


def _escape(match: re.Match[str]) -> str:
    return f"{_MARK}{ord(match[0]):04x}"


def _unescape(match: re.Match[str]) -> str:
    return chr(int(match[1], 16))


class Text(TypeDecorator[str]):
    """A column of text. The migrations say how it is compared: `C` is PostgreSQL's name for the order of
    bytes, which is SQLite's own, so neither equality nor order depends on where a database was made."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, _: Dialect) -> str | None:
        """Return a value as it is kept, or as it is looked for."""
        return None if value is None else escaped(value)

    def process_result_value(self, value: str | None, _: Dialect) -> str | None:
        """Return a kept value as it was given. Raise `StoreUnavailable` for what is no text: SQLite keeps
        anything in any column, and no gateway has written it."""
        if value is None:
            return None
        if not isinstance(value, str):
            raise StoreUnavailable(f"a column of text holds {type(value).__name__}: somebody changed it")
        return unescaped(value)
