"""What is stored, as readers find it: chunks, the records in them, and what is kept apart from these."""

import struct
from collections.abc import Mapping
from datetime import date
from typing import Final, NamedTuple

import orjson

from gateway.stores.sql.audit_chunk import divided, opened
from gateway.stores.sql.audit_tables import SEQ_BITS, SEQ_MASK

PERSONAL: Final = b'"personal":{'
"""In the JSON of every record that says something of persons."""
_STRAY: Final = "number "
_DATE: Final = len("2026-01-01")
_EPOCH: Final = date(1970, 1, 1).toordinal()


class StoredChunk(NamedTuple):
    """A chunk as it is stored."""

    key: int
    last_key: int
    day: int
    since: str
    until: str
    records: bytes

    @property
    def number(self) -> int:
        """Number of its writer."""
        return self.key >> SEQ_BITS

    @property
    def first(self) -> int:
        """Number of its first record."""
        return self.key & SEQ_MASK

    @property
    def last(self) -> int:
        """Number of its last record."""
        return self.last_key & SEQ_MASK

    @property
    def is_withheld(self) -> bool:
        """Whether it is only the place of a record that could not be stored."""
        return not (self.records or self.until)

    def text(self) -> bytes | None:
        """Return the text of its records, which `bodies` divides, None when it was damaged."""
        text = opened(self.records)
        return text if text is not None and self._is_whole(text) else None

    def bodies(self, text: bytes) -> list[bytes]:
        """Return its records."""
        return divided(text, self._count)

    def damage(self) -> bytes:
        """Return the record that readers see in place of all of its own."""
        return gap(self.until, count=self._count)

    @property
    def _count(self) -> int:
        return self.last_key - self.key + 1

    def _is_whole(self, text: bytes) -> bool:
        """Say whether a text is as long as the lengths at its beginning say."""
        try:
            lengths: tuple[int, ...] = struct.unpack_from(f"<{self._count}I", text)
        except struct.error:
            return False
        return self._count > 0 and 4 * self._count + sum(lengths) == len(text)


def stray(number: int) -> str:
    """Return what a writer is called whose row is missing, so that only its number is known."""
    return f"{_STRAY}{number}"


def number_of(writer: str) -> int | None:
    """Return the number of a writer that is called by it."""
    number = writer.removeprefix(_STRAY)
    try:
        return int(number) if number != writer else None
    except ValueError:
        return None


def day_at(time: str) -> int | None:
    """Return the day of a time, as days since 1970; None when it does not begin with one."""
    try:
        return date.fromisoformat(time[:_DATE]).toordinal() - _EPOCH
    except ValueError:
        return None


def gap(time: str, *, count: int = 1) -> bytes:
    """Return the record that readers see in place of some that cannot be read."""
    attributes = {"unreadable": True, "count": count}
    return orjson.dumps({"time": time, "kind": "event", "action": "audit.gap", "attributes": attributes})


def fields_of(body: bytes) -> dict[str, object] | None:
    """Return what a record says, None when it was damaged."""
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return fields if isinstance(fields, dict) and isinstance(fields.get("time"), str) else None


def commitments(fields: Mapping[str, object]) -> Mapping[str, str]:
    """Return what a record has in place of what it says of persons: the commitment to it, by subject."""
    personal = fields.get("personal")
    if not isinstance(personal, dict):
        return {}
    return {subject: text for subject, text in personal.items() if isinstance(text, str)}
