"""What an unquoted scalar means: the core of YAML 1.2, and nothing that surprises.

`NO`, `on`, `22:00`, `2026-01-01`, `017`, `0x1F` and `.inf` are text. Only `true`, `false`, `null`, decimal
numbers and nothing at all are something else.
"""

import re

_WORDS: dict[str, bool | None] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,18})(?:[eE][-+]?[0-9]{1,2})?")
_NUMERIC_START = frozenset("+-0123456789")

Scalar = str | int | float | bool | None


def read_plain(text: str) -> Scalar:
    """Return the value of an unquoted scalar."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in _NUMERIC_START:
        if _INTEGER.fullmatch(text):
            return int(text)
        if _DECIMAL.fullmatch(text):
            return float(text)
    return text
