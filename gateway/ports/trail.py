"""Where audit records are found again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from gateway.model import Term
from gateway.ports.audit import Position, StoredRecord


class Place(NamedTuple):
    """A record's place among all: by time, then by writer and number. No two records have the same."""

    time: str
    """As the record has it; empty in one that cannot be read."""
    writer: str
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery:
    """Which records are wanted."""

    since: str | None = None
    """Not older than this; RFC 3339 UTC with microseconds, written as the records' own `time`."""
    until: str | None = None
    """Older than this."""
    terms: tuple[Term, ...] = ()
    """What a record must meet, all of it."""
    oldest_first: bool = False
    beyond: Place | None = None
    """Only records beyond this one, in the order that is asked for: the last record of the page before."""
    limit: int = 50


class AuditTrail(Protocol):
    """The records, as readers find them."""

    async def find(self, query: AuditQuery) -> Sequence[StoredRecord]:
        """Return the first records that match, in the order that is asked for. Raise `StoreUnavailable`."""

    async def end(self) -> Position:
        """Return where the trail ends now. Raise `StoreUnavailable`."""

    async def after(self, position: Position, *, limit: int) -> Sequence[StoredRecord]:
        """Return records that came after a position, about as many as asked for, each writer's in order.

        A writer that the position does not know is read from its beginning. Raise `StoreUnavailable`.
        """
