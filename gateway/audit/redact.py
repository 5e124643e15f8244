"""What an audit record may say of what a client sent: bounded, valid as text, and without secrets."""

import hmac
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from hashlib import sha256
from typing import Final
from urllib.parse import unquote_to_bytes

from gateway.audit.recording import Redaction

MAX_PATH: Final = 2048
MAX_USER_AGENT: Final = 256
MAX_HOST: Final = 255
MAX_TEXT: Final = 1024
"""Characters of any other text."""
MAX_ITEMS: Final = 64
"""Of a list; of one that is longer the first, and `NOT_COMPARED` in place of the others."""

MASK: Final = "***"
"""Stands for what is not shown."""
NOT_COMPARED: Final = "..."
"""Stands for objects within attributes, and for lists within lists: no condition compares with them. At the
end of a list it stands for what was cut."""
_LONGEST_NAME: Final = 64
_LONGEST_FLAG: Final = 24
_HASH_DIGITS: Final = 32

Value = str | int | bool | list[str]


def keyed_hash(key: bytes, value: str) -> str:
    """Return what stands for a hashed value: `hmac:` and 32 hexadecimal digits of its HMAC-SHA256."""
    digest = hmac.digest(key, value.encode("utf-8", "surrogatepass"), sha256)
    return f"hmac:{digest.hex()[:_HASH_DIGITS]}"


def masked(value: str, visible: int) -> str:
    """Return the first characters of a value and asterisks; asterisks alone when there are no more."""
    return MASK if len(value) <= visible else value[:visible] + MASK


class Redactor:
    """Applies one configuration's redaction."""

    def __init__(self, redaction: Redaction, key: bytes) -> None:
        self.redaction = redaction
        """What it applies."""
        mask, digest = partial(masked, visible=redaction.visible), partial(keyed_hash, key)
        self._hide: dict[str, Callable[[str], str]] = {
            **dict.fromkeys(redaction.masked, mask),
            **dict.fromkeys(redaction.hashed, digest),
        }
        self._queries: dict[str, Callable[[str], str]] = {
            **dict.fromkeys(_queries(redaction.masked), partial(_masked_raw, visible=redaction.visible)),
            **dict.fromkeys(_queries(redaction.hashed), lambda raw: digest(_decoded(raw))),
        }
        self._hides_address = self._hide.get("client.ip")
        self._hides_agent = self._hide.get("header.user-agent")

    @property
    def hides_addresses(self) -> bool:
        """Whether the address of a client is shown otherwise than in full."""
        return self._hides_address is not None

    def target(self, value: str) -> str:
        """Return a request target with the values of its query masked: `/a?token=***`; at most 2 KiB.

        The values of fields that are masked or hashed are shown so; a hash is that of the value
        percent-decoded.
        """
        path, mark, query = value.partition("?")
        if mark and len(path) < MAX_PATH:
            # What does not fit would be cut off anyway; a megabyte of query must not cost a megabyte of work.
            items = query[:MAX_PATH].split("&")
            shown = [self._item(item) for item in items] if self._queries else [*map(_item, items)]
            if len(query) > MAX_PATH:
                # The hash of half a value would be that of another one.
                shown[-1] = _item(items[-1])
            path = f"{path}?{'&'.join(shown)}"
        return clipped(path, MAX_PATH)

    def address(self, client: str) -> str:
        """Return the address of a client as its record shows it."""
        hide = self._hides_address
        return client if hide is None or not client else hide(client)

    def agent(self, value: bytes) -> str:
        """Return what a client calls itself, at most 256 characters, read as UTF-8 as far as it is."""
        hide = self._hides_agent
        return user_agent(value) if hide is None else hide(value.decode("utf-8", "replace"))

    def agent_text(self, value: str) -> str:
        """Return the same of what was read as text already."""
        hide = self._hides_agent
        return clipped(value, MAX_USER_AGENT) if hide is None else hide(value)

    def attributes(self, values: Mapping[str, object]) -> dict[str, object]:
        """Return attributes of a request, bounded, and hidden as far as that is wanted; null stays null."""
        return {
            clipped(name, MAX_USER_AGENT): self._attribute(self._hide.get(name), value)
            for name, value in values.items()
        }

    def _attribute(self, hide: Callable[[str], str] | None, value: object) -> object:
        if isinstance(value, list | tuple):
            shown = [self._single(hide, item) for item in value[:MAX_ITEMS]]
            # Whoever decides again must see that there was more: a group that is missing here.
            return shown if len(value) <= MAX_ITEMS else [*shown, NOT_COMPARED]
        return self._single(hide, value)

    def _single(self, hide: Callable[[str], str] | None, value: object) -> object:
        if value is None:
            return None
        if isinstance(value, str):
            return clipped(value) if hide is None else hide(value)
        if not isinstance(value, bool | int | float):
            return NOT_COMPARED
        if hide is None:
            return value
        return hide(("true" if value else "false") if isinstance(value, bool) else str(value))

    def _item(self, item: str) -> str:
        name, _, value = item.partition("=")
        hide = self._queries.get(_decoded(name)) if value else None
        return _item(item) if hide is None else f"{name}={hide(value)}"


def _queries(fields: Iterable[str]) -> list[str]:
    return [name.removeprefix("query.") for name in fields if name.startswith("query.")]


def _masked_raw(raw: str, visible: int) -> str:
    """Mask a value as it stands in a target, where one character may be written as three."""
    return MASK if len(_decoded(raw)) <= visible else masked(raw, visible)


def _item(item: str) -> str:
    name, equals, value = item.partition("=")
    # A query may be one bare secret, which then stands where names do (`?eyJhbGci...`, `?c2VjcmV0==`): what
    # is too long for a name is not shown either.
    longest = _LONGEST_NAME if value.strip("=") else _LONGEST_FLAG
    if len(name) > longest:
        return MASK
    return f"{name}={MASK}" if value else name + equals


def _decoded(text: str) -> str:
    return unquote_to_bytes(text).decode("utf-8", "replace") if "%" in text else text


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


def attributes(values: Mapping[str, Value]) -> dict[str, object]:
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
