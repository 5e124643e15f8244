"""Where audit records are made durable, where they are shipped to, and where they are read."""

from collections.abc import Awaitable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from gateway.ports.faults import StoreUnavailable


class Durability(StrEnum):
    """What a record survives once it counts as written."""

    PROCESS = "process"
    """The end of the process at any instant: `write(2)` has returned."""
    POWER = "power"
    """The end of the machine's power too: a grouped `fdatasync` has returned."""


class RecordRefused(Exception):
    """A sink will never take one of these records, however often it is asked."""


class SinkAstray(StoreUnavailable):
    """A sink does not have what it was given of a writer, counts as stored what is not, or holds what the
    gateway never wrote: it was set back to an earlier state, or somebody changed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecord:
    """One record as it was written: JSON without the fields that are null."""

    writer: str
    seq: int
    body: bytes
    personal: bytes = b""
    """What it says of persons: a JSON object whose members are subjects, and theirs what is said of each.
    Empty when there is nothing, or when it was erased."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Records of one writer whose numbers follow each other, oldest first, at least one."""

    writer: str
    first: int
    """Number of the first body."""
    bodies: tuple[bytes, ...]
    before: bytes
    """The chain's head before the first record (`crypto.link`)."""
    heads: tuple[bytes, ...]
    """The chain's head after each record, as it was written down with it."""
    personal: tuple[bytes, ...]
    """What each record says of persons, sealed (`crypto.seal_parts`); empty for those that say nothing."""
    lost: int = 0
    """How many records right before `first` were acknowledged and cannot be read any more."""

    @property
    def last(self) -> int:
        """Number of the last body."""
        return self.first + len(self.bodies) - 1

    def part(self, start: int, stop: int) -> "Run":
        """Return the bodies from index `start` up to, not including, `stop`; what was lost is left out."""
        return Run(
            writer=self.writer,
            first=self.first + start,
            bodies=self.bodies[start:stop],
            before=self.heads[start - 1] if start else self.before,
            heads=self.heads[start:stop],
            personal=self.personal[start:stop],
        )


class Spool(Protocol):
    """One process's own log of records: the place where they become durable."""

    @property
    def writer(self) -> str:
        """Id of this log: a UUID that no other log has."""

    @property
    def available(self) -> bool:
        """Whether records can be written. Looks for recovery, at most once a second, when they could not."""

    def append(self, body: bytes, personal: bytes = b"") -> int:
        """Take one record, and sealed what it says of persons, and return its number. Durable only after
        `flushed`. Raise `AuditUnavailable`."""

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

    def damaged(self, writer: str) -> int | None:
        """Return the number of a dead writer's record behind which nothing of its log can be read, although
        it is more than a process leaves there when it ends; None otherwise. After `read` has given all."""

    def release(self, writer: str, *, upto: int) -> bool:
        """Give up the room of what has been shipped. True: the writer is dead, and nothing of it is left."""

    def quarantine(self, writer: str, seq: int, body: bytes) -> str:
        """Put aside a record that cannot be shipped, and return the name of the file it is in."""

    def size(self) -> int:
        """Return how many bytes all logs below the directory take, those of other processes too, with what is
        shipped and not gone yet."""


class Unshipped(Protocol):
    """The same records, to be read beside the trail without disturbing anybody. Every method blocks."""

    def writers(self) -> Sequence[str]:
        """Return whose records may wait to be shipped."""

    def read(self, writer: str, *, after: int) -> Iterator[Run]:
        """Give the records after a number, oldest first; nothing when the writer's log has gone."""


class AuditSink(Protocol):
    """Where records are shipped, each exactly once."""

    async def cursor(self, writer: str) -> int:
        """Return the number of the newest record that was shipped, 0 for none. Raise `SinkAstray`,
        `StoreUnavailable`."""

    async def ship(self, run: Run) -> None:
        """Store the records, with what they say of persons unless that was erased, and move the cursor, in
        one transaction; what is there already stays as it is.

        Raise `RecordRefused` when a record of the run can never be stored (nothing of the run is, then),
        `SinkAstray` when the run does not follow from what is stored, unless it says that records were lost
        before it, and `StoreUnavailable`.
        """

    async def skip(self, run: Run) -> None:
        """Move the cursor past one record that cannot be stored, and keep its place in the chain.

        Raise `SinkAstray`, `StoreUnavailable`.
        """


Position = Mapping[str, int]
"""How far a reader that follows the trail has come: the number of the newest record it has, by writer."""


class Erasure(Protocol):
    """Where what records say of persons is kept, apart from them."""

    async def erase(self, subject: str, *, at: float) -> None:
        """Remove everything that is kept of a subject, and keep no more of what is shipped later.

        The records themselves stay as they are. Raise `StoreUnavailable`.
        """


class Erased(Protocol):
    """Who was erased."""

    async def among(self, subjects: Collection[str]) -> Collection[str]:
        """Return those of some subjects who were erased. Raise `StoreUnavailable`."""


class Retention(Protocol):
    """Ending what is old enough. Days are those of UTC, as days since 1970."""

    async def expired(self, before: int) -> Sequence["Dropped"]:
        """Return what `drop` would remove. Raise `StoreUnavailable`."""

    async def drop(self, before: int, *, signed: Sequence["Dropped"]) -> int:
        """Remove the records of the days before one, and what was kept beside them; return how many days.

        `signed` is what somebody has signed to be removed on purpose: a day with more stays, and those behind
        it. Raise `StoreUnavailable`, and `RetentionRefused` when this process may not.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """The first records of a writer, which have been removed because they were old enough."""

    writer: str
    upto: int
    """Number of the last of them."""
    head: bytes
    """The chain's head after it."""


class RetentionRefused(Exception):
    """The database lets this gateway add records and not remove any. The text says what to do."""
