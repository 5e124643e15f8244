"""Where a record is among all: by time, then by writer and number."""

import re
from typing import Final

import orjson

from gateway.ports import Place, StoredRecord

_TIME: Final = re.compile(rb'\{"time":"([^"\\]*)"')


def place_of(record: StoredRecord) -> Place:
    """Return a record's place among all."""
    return Place(time_of(record.body), record.writer, record.seq)


def time_of(body: bytes) -> str:
    """Return the time of a record, without reading all of it if possible; empty when it has none."""
    begin = _TIME.match(body)
    if begin is not None:
        return begin[1].decode(errors="replace")
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    return str(fields.get("time", "")) if isinstance(fields, dict) else ""
