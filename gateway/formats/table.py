"""Records as rows of a table: RFC 4180, for spreadsheets, which must not take a value for a formula."""

import re
from typing import Final

import orjson

from gateway.formats.fields import members_of, names_of
from gateway.formats.format import Format
from gateway.formats.text import legible
from gateway.model import RECORD_FIELDS
from gateway.ports import Record

_PLAIN: Final = tuple(
    column
    for field in RECORD_FIELDS
    for column in (("actor_id", "actor_kind", "actor_name") if field == "actor" else (field,))
)
_DELICATE: Final = re.compile(r'[",;]|^ | $')
_FORMULA: Final = frozenset("=+-@'\uff1d\uff0b\uff0d\uff20")
"""What makes a spreadsheet take a cell for a formula, in full width too; the apostrophe says that it is
none."""


def _line(record: Record) -> bytes:
    actor = members_of(record, "actor")
    return ",".join(_cell(_value(record, actor, name)) for name in _PLAIN).encode()


def _value(record: Record, actor: Record, name: str) -> object:
    if name.startswith("actor_"):
        return actor.get(name.removeprefix("actor_"))
    if name == "roles":
        return " ".join(names_of(record, name))
    if name == "attributes":
        members = members_of(record, name)
        return orjson.dumps(dict(members)).decode() if members else None
    return record.get(name)


def _cell(value: object) -> str:
    match value:
        case None | "":
            return ""
        case bool() | int() | float():
            return str(value)
        case _:
            return _quoted(legible(str(value)))


def _quoted(text: str) -> str:
    """Return a text as a cell. One that begins as a formula does gets an apostrophe before it; so does one
    that begins with an apostrophe, for then what was there can be told."""
    if text.lstrip()[:1] in _FORMULA:
        text = f"'{text}"
    if _DELICATE.search(text):
        return '"{}"'.format(text.replace('"', '""'))
    return text


CSV: Final = Format(name="csv", media_type="text/csv", line=_line, head=",".join(_PLAIN).encode())
"""Comma-separated values; the columns never change their order."""
