"""What shows that the audit trail is whole: the evidence, and the signed statements about it."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.ports.audit import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A signed statement of how far the writers had come. Its number is one above the last one's."""

    number: int
    at: str
    """Time of RFC 3339."""
    note: str
    """The statement with its signature, as text."""


class Checkpoints(Protocol):
    """The statements that were kept with the trail."""

    async def newest(self) -> Checkpoint | None:
        """Return the last one. Raise `StoreUnavailable`."""

    async def add(self, checkpoint: Checkpoint) -> bool:
        """Keep one; False when its number is taken. Raise `StoreUnavailable`."""

    async def after(self, number: int, *, limit: int) -> Sequence[Checkpoint]:
        """Return those that follow a number, in order. Raise `StoreUnavailable`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """A place where the trail is not what was written."""

    writer: str
    first: int
    """Number of the first record that it concerns."""
    last: int
    """Number of the last."""
    place: str
    """Where it was found: table and row, or file and byte."""
    problem: str
    """What is wrong there, as a sentence without a full stop: `the record was changed`."""
    head: bytes | None = None
    """The chain's head after the last record, as it is stored beside what was changed; None: nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    """A record that the store never took: its place in the chain is known, its text is in quarantine."""

    writer: str
    seq: int
    before: bytes
    head: bytes


class TrailEvidence(Protocol):
    """The shipped trail, read to be checked."""

    async def writers(self) -> Mapping[str, int]:
        """Return the number of the newest record that was shipped, by writer. Raise `StoreUnavailable`."""

    def examine(self, writer: str, *, after: int = 0) -> AsyncIterator[Run | Withheld | Damage]:
        """Give all that is stored of a writer, in the order of its numbers, and in its place what is
        wrong with it: records that are not what their own heads say, what cannot be read, what an index would
        hide, and what is said of persons when it is not what the record commits to. A run has no `personal`.
        Records that were shipped before there was a chain come as runs without `heads`: nothing proves them.

        Whether the runs follow each other is not looked at. Raise `StoreUnavailable`.
        """

    async def erased(self) -> Mapping[str, float]:
        """Return the subjects of whom nothing is kept any more, and since when. Raise `StoreUnavailable`."""


class SpoolEvidence(Protocol):
    """The logs on this machine, read to be checked, while they may be written. Every method blocks."""

    def writers(self) -> Sequence[str]:
        """Return whose logs are here."""

    def examine(self, writer: str) -> Iterator[Run | Damage]:
        """Give all records of a log that are on the disk, shipped or not, and in its place what is wrong.
        A run's `heads` are as they were written, and follow from its bodies or there is a `Damage`.

        What is cut short at the very end is no damage: nobody was told that it is durable.
        """

    def withheld(self, writer: str, seq: int) -> bytes | None:
        """Return the text of a record that was put aside, None when it is not on this machine."""
