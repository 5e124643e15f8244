"""Text that nothing can be hidden in: what a client sent must not steer a terminal, nor end a line."""

import re
from typing import Final

import orjson

_OPAQUE: Final = re.compile(r"[^ -~]")


def escaped(char: str) -> str:
    """Return a character as JSON escapes it, by its numbers in UTF-16."""
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place : place + 2].hex()}" for place in range(0, len(units), 2))


def legible(text: str) -> str:
    """Return a text whose unprintable characters are escaped: control characters, ends of lines, what turns
    the direction of writing."""
    if text.isascii() and text.isprintable():
        return text
    return _OPAQUE.sub(lambda found: found[0] if found[0].isprintable() else escaped(found[0]), text)


def json_line(value: object) -> bytes:
    """Return a value as JSON on one line, its unprintable characters escaped; it reads as the same value."""
    # Outside of strings JSON is plain ASCII, so escapes can replace whatever else is there.
    return legible(orjson.dumps(value).decode()).encode()
