"""What a format is: how an audit record is written for somebody else to read."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.ports import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One way to write records, each on a line of its own that no value can break."""

    name: str
    """As it is chosen: `--as csv`, `as=csv`."""
    media_type: str
    """Of lines put together."""
    line: Callable[[Record], bytes]
    """Returns a record as one line: UTF-8 without control characters, and without the line's end."""
    head: bytes = b""
    """The line before the first record, empty when there is none."""

    def header(self) -> bytes:
        """Return the line that comes before the first record, without its end; empty when there is none."""
        return self.head
