"""What an audit record may say of what a client sent: bounded, valid as text, and without secrets."""

from collections.abc import Mapping
from typing import Final

MAX_PATH: Final = 2048
MAX_USER_AGENT: Final = 256
MAX_HOST: Final = 255
MAX_TEXT: Final = 1024
"""Characters of any other text."""
MAX_ITEMS: Final = 64

_MASK: Final = "***"
_LONGEST_NAME: Final = 64
_LONGEST_FLAG: Final = 24

Value = str | int | bool | list[str]


def target(value: str) -> str:
    """Return a request target with the values of its query masked: `/a?token=***`; at most 2 KiB."""
    path, mark, query = value.partition("?")
    if mark and len(path) < MAX_PATH:
        # What does not fit would be cut off anyway; a megabyte of query must not cost a megabyte of work.
        items = query[:MAX_PATH].split("&")
        path = f"{path}?{'&'.join(map(_item, items))}"
    return clipped(path, MAX_PATH)


def _item(item: str) -> str:
    name, equals, value = item.partition("=")
    # A query may be one bare secret, which then stands where names do (`?eyJhbGci...`, `?c2VjcmV0==`): what
    # is too long for a name is not shown either.
    longest = _LONGEST_NAME if value.strip("=") else _LONGEST_FLAG
    if len(name) > longest:
        return _MASK
    return f"{name}={_MASK}" if value else name + equals


def user_agent(value: bytes) -> str:
    """Return what a client calls itself, at most 256 characters, read as UTF-8 as far as it is."""
    if len(value) > MAX_USER_AGENT:
        # A character takes up to four bytes.
        value = value[: 4 * MAX_USER_AGENT]
        return value.decode("utf-8", "replace")[:MAX_USER_AGENT]
    return value.decode("utf-8", "replace")


def clipped(value: str, longest: int = MAX_TEXT) -> str:
    """Return a text cut to its first characters."""
    return value if len(value) <= longest else value[:longest]


def attributes(values: Mapping[str, Value]) -> dict[str, Value]:
    """Return the attributes of an event, each bounded."""
    return {clipped(name, MAX_USER_AGENT): _bounded(value) for name, value in values.items()}


def _bounded(value: Value) -> Value:
    if isinstance(value, str):
        return clipped(value)
    if isinstance(value, list):
        return [clipped(item) for item in value[:MAX_ITEMS]]
    return value


def storable(value: object) -> object:
    """Return the same value with every character replaced that a store would refuse: half of a surrogate pair
    is no text, and PostgreSQL takes no NUL. Both become U+FFFD."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass").decode("utf-8", "replace").replace("\0", "\ufffd")
    if isinstance(value, dict):
        return {storable(name): storable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [storable(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        # JSON of this size is an integer to nobody.
        return str(value)
    return value
