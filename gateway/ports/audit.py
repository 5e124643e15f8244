"""Where audit records are made durable, where they are shipped to, and where they are read."""

from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Durability(StrEnum):
    """What a record survives once it counts as written."""

    PROCESS = "process"
    """The end of the process at any instant: `write(2)` has returned."""
    POWER = "power"
    """The end of the machine's power too: a grouped `fdatasync` has returned."""


class RecordRefused(Exception):
    """A sink will never take one of these records, however often it is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecord:
    """One record as it was written: JSON without the fields that are null."""

    writer: str
    seq: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Records of one writer whose numbers follow each other, oldest first, at least one."""

    writer: str
    first: int
    """Number of the first body."""
    bodies: tuple[bytes, ...]
    lost: int = 0
    """How many records right before `first` were acknowledged and cannot be read any more."""

    @property
    def last(self) -> int:
        """Number of the last body."""
        return self.first + len(self.bodies) - 1

    def part(self, start: int, stop: int) -> "Run":
        """Return the bodies from index `start` up to, not including, `stop`; what was lost is left out."""
        return Run(writer=self.writer, first=self.first + start, bodies=self.bodies[start:stop])


class Spool(Protocol):
    """One process's own log of records: the place where they become durable."""

    @property
    def writer(self) -> str:
        """Id of this log: a UUID that no other log has."""

    @property
    def available(self) -> bool:
        """Whether records can be written. Looks for recovery, at most once a second, when they could not."""

    def append(self, body: bytes) -> int:
        """Take one record and return its number. Durable only after `flushed`. Raise `AuditUnavailable`."""

    def flushed(self) -> Awaitable[None]:
        """Return what completes once everything appended so far is durable, or raises `AuditUnavailable`.

        Waiting for it cannot be cut short: a cancellation takes effect when the records are written.
        """

    def write_now(self) -> None:
        """Hand everything appended so far to the operating system before returning. For callers that cannot
        wait; it gives what `Durability.PROCESS` promises. Raise `AuditUnavailable`."""


class Backlog(Protocol):
    """Records that wait to be shipped: this process's own, and those of processes that are gone.

    Every method blocks on the disk.
    """

    def writers(self) -> Sequence[str]:
        """Return whose records wait here; those of dead processes are taken over by asking."""

    def read(self, writer: str, *, after: int, limit: int) -> Run | None:
        """Return up to `limit` records that come after a number, None when there are none for now."""

    def release(self, writer: str, *, upto: int) -> bool:
        """Give up the room of what has been shipped. True: the writer is dead, and nothing of it is left."""

    def quarantine(self, record: StoredRecord) -> str:
        """Put aside a record that cannot be shipped, and return the name of the file it is in."""

    def size(self) -> int:
        """Return how many bytes the logs take, with what is shipped and not gone yet."""


class Unshipped(Protocol):
    """The same records, to be read beside the trail without disturbing anybody. Every method blocks."""

    def writers(self) -> Sequence[str]:
        """Return whose records may wait to be shipped."""

    def read(self, writer: str, *, after: int) -> Iterator[StoredRecord]:
        """Give the records after a number, oldest first; nothing when the writer's log has gone."""


class AuditSink(Protocol):
    """Where records are shipped, each exactly once."""

    async def cursor(self, writer: str) -> int:
        """Return the number of the newest record that was shipped, 0 for none. Raise `StoreUnavailable`."""

    async def ship(self, run: Run) -> None:
        """Store the records and move the cursor, in one transaction; what is there already stays as it is.

        Raise `RecordRefused` when a record of the run can never be stored (nothing of the run is, then), and
        `StoreUnavailable`.
        """

    async def skip(self, writer: str, *, upto: int) -> None:
        """Move the cursor past a record that cannot be stored. Raise `StoreUnavailable`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery:
    """Which records are wanted. None: any."""

    since: str | None = None
    """Not older than this; RFC 3339 UTC with microseconds, written as the records' own `time`."""
    until: str | None = None
    """Older than this."""
    actor: str | None = None
    """Id or name of the actor."""
    decision: str | None = None
    route: str | None = None
    request_id: str | None = None
    kind: str | None = None
    limit: int = 50


Position = Mapping[str, int]
"""How far a reader that follows the trail has come: the number of the newest record it has, by writer."""


class AuditTrail(Protocol):
    """The records, as readers find them."""

    async def find(self, query: AuditQuery) -> Sequence[StoredRecord]:
        """Return the newest records that match, newest first. Raise `StoreUnavailable`."""

    async def end(self) -> Position:
        """Return where the trail ends now. Raise `StoreUnavailable`."""

    async def after(self, position: Position, *, limit: int) -> Sequence[StoredRecord]:
        """Return records that came after a position, about as many as asked for, each writer's in order.

        A writer that the position does not know is read from its beginning. Raise `StoreUnavailable`.
        """
