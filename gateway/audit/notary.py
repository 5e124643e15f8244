"""Signs how far the records have come, so that nobody can take back what was shipped.

One chain of checkpoints serves the whole installation; every process that ships adds to it. The heads in them
are those that this process has from its memory or its own disk, never what the database says.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from gateway.audit.checkpoint import Mark, Statement, digest
from gateway.crypto import NoteKey, NoteSigners
from gateway.model import timestamp
from gateway.ports import Checkpoint, Checkpoints, Clock, Dropped, Run

_AFTER: Final = 10.0
"""Seconds after the last checkpoint when records have come."""
_RECORDS: Final = 10_000
"""So many of them do not wait that long."""
_PORTION: Final = 64 << 20
_IDLE: Final = 60.0
"""Seconds after which one is signed although nothing came, so that a missing one is seen."""


class Notary:
    """Adds the checkpoints of one process."""

    def __init__(
        self, checkpoints: Checkpoints, signers: NoteSigners, clock: Clock, *, portion: int = _PORTION
    ) -> None:
        """`portion`: so many bytes of records do not wait either, for they stay in the spool as long."""
        self.signed = 0
        """Checkpoints that this process has added."""
        self.checkpoints = checkpoints
        """Those of all processes."""
        self._signers = signers
        self._clock = clock
        self._moved: dict[str, Mark] = {}
        """How far writers have come that are not signed for."""
        self._records = self._bytes = 0
        self._portion = portion
        # What the process before has shipped and not signed for does not wait.
        self._last = float("-inf")

    @property
    def keys(self) -> Sequence[NoteKey]:
        """What they are signed with, the oldest first."""
        return self._signers.keys

    def shipped(self, run: Run) -> None:
        """Take note of records that are in the database."""
        self._moved[run.writer] = Mark(run.writer, run.last, run.heads[-1])
        self._records += len(run.bodies)
        self._bytes += sum(map(len, run.bodies)) + sum(map(len, run.personal))

    def owes(self, writer: str) -> bool:
        """Say whether records of a writer were shipped that no checkpoint signs for."""
        return writer in self._moved

    async def look(self) -> None:
        """Add a checkpoint if it is time for one. Raise `StoreUnavailable`."""
        waited = self._clock.monotonic() - self._last
        if self._moved:
            if waited >= _AFTER or self._records >= _RECORDS or self._bytes >= self._portion:
                await self.sign()
        elif waited >= _IDLE:
            age = await self._age()
            if age < _IDLE:
                # Another process has, and one a minute is enough for all of them.
                self._last = self._clock.monotonic() - age
            else:
                await self.sign()

    async def sign(self, dropped: Sequence[Dropped] = ()) -> None:
        """Add a checkpoint that says how far the writers are, and what is removed on purpose.

        Raise `StoreUnavailable`; then nothing is signed for.
        """
        marks = tuple(self._moved.values())
        while not await self.checkpoints.add(await self._next(marks, tuple(dropped))):
            # Another process was quicker: its checkpoint is the one before ours.
            pass
        for mark in marks:
            if self._moved.get(mark.writer) is mark:
                del self._moved[mark.writer]
        self.signed += 1
        self._records = self._bytes = 0
        self._last = self._clock.monotonic()

    async def _next(self, marks: tuple[Mark, ...], dropped: tuple[Dropped, ...]) -> Checkpoint:
        newest = await self.checkpoints.newest()
        signer = await self._signers.after(None if newest is None else newest.note)
        statement = Statement(
            number=1 if newest is None else newest.number + 1,
            time=timestamp(self._clock.now()),
            previous=None if newest is None else digest(newest.note),
            marks=marks,
            dropped=dropped,
        )
        return Checkpoint(number=statement.number, at=statement.time, note=signer.sign(statement.text()))

    async def _age(self) -> float:
        """Return how many seconds ago anybody signed, as far as clocks agree; `_IDLE` when nobody did."""
        newest = await self.checkpoints.newest()
        if newest is None:
            return _IDLE
        try:
            age = self._clock.now() - datetime.fromisoformat(newest.at).timestamp()
        except (ValueError, OverflowError, OSError):
            return _IDLE
        return age if age >= 0.0 else _IDLE
