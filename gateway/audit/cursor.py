"""Where a page of records ended, as text that the next page is asked for with: `TIME/WRITER/SEQ`.

It names the last record of the page, so it stays good however many records come, and a program can make it of
any record.
"""

import re
from typing import Final

from gateway.audit.filter import FilterError
from gateway.ports import Place

_CURSOR: Final = re.compile(r"([0-9TZ:.-]{0,32})/([^/\n]{1,64})/(\d{1,18})", re.ASCII)


def cursor_of(place: Place) -> str:
    """Return a place as text."""
    return f"{place.time}/{place.writer}/{place.seq}"


def parse_cursor(text: str) -> Place:
    """Return the place that a text names. Raise `FilterError`."""
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise FilterError(f"{text!r} is not where a page ended; it is TIME/WRITER/SEQ of the last record")
    return Place(match[1], match[2], int(match[3]))
