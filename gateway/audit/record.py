"""The audit record: its fields, how it is written down, and how it is read again.

What is written leaves out the fields that are null, `writer` and `seq`: the last two are where it is written.
What is read has all of them, in the order of the contract. What a record says of persons is kept beside it,
and stands in its place when it is read.
"""

import json
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring
from types import MappingProxyType
from typing import Final

import orjson

from gateway.audit.redact import storable
from gateway.model import RECORD_FIELDS, with_persons
from gateway.ports import StoredRecord

_EMPTY: Final[Mapping[str, object]] = MappingProxyType(dict.fromkeys(RECORD_FIELDS))
_dumps: Final[Callable[[object], bytes]] = orjson.dumps
_NUL: Final = rb"\u0000"


def encode(record: Mapping[str, object]) -> bytes:
    """Return a record as JSON that every store takes: valid UTF-8, control characters escaped, no NUL."""
    try:
        body = _dumps(record)
    except TypeError:
        # Half of a surrogate pair, or a number beyond 64 bits.
        return _dumps(storable(record))
    return body if _NUL not in body else _dumps(storable(record))


quoted: Final[Callable[[str], str]] = encode_basestring
"""Return a text as a JSON string, for `written`."""


def written(text: str) -> bytes:
    """Return a record that was put together as text, in which whatever a client sent is `quoted`."""
    if "\\" not in text or "\\u0000" not in text:
        try:
            return text.encode()
        except UnicodeEncodeError:  # Half of a surrogate pair.
            pass
    return encode(json.loads(text))


def decode(stored: StoredRecord) -> dict[str, object]:
    """Return a record with all its fields, null where they do not apply.

    One that cannot be read, because it was damaged where it is stored, comes as an event `audit.gap`.
    """
    fields = _object(stored.body)
    if fields is None:
        fields = {"kind": "event", "action": "audit.gap", "attributes": {"unreadable": True}}
    parts = _object(stored.personal) or {}
    said = {subject: part for subject, part in parts.items() if isinstance(part, dict)}
    known = {name: value for name, value in with_persons(fields, said).items() if name in _EMPTY}
    record = {**_EMPTY, **known, "writer": stored.writer, "seq": stored.seq}
    if record["attributes"] is None:
        record["attributes"] = {}
    return record


def _object(text: bytes) -> dict[str, object] | None:
    """Return a JSON object, None for what is none."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None
