"""Checking the whole trail: that it is what was written, all of it, and in its order.

Each record's place in its writer's chain is checked by the two stores; that the chains are whole, from the
database into the spool, and go where the signed checkpoints say, is checked here. Whatever arrives meanwhile
is no finding.
"""

from asyncio import to_thread
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import orjson

from gateway.audit.doubts import Doubts, Unproven
from gateway.audit.findings import Finding, Findings
from gateway.audit.gaps import GAP
from gateway.audit.ledger import Ledger, Reach
from gateway.audit.overlap import Overlap
from gateway.audit.walk import Walk
from gateway.crypto import NoteKey, link
from gateway.model import time_of, timestamp
from gateway.ports import Checkpoints, Damage, Run, SpoolEvidence, TrailEvidence, Withheld

_CHUNKS: Final = "audit_chunks"
_DELETED: Final = b'"action":"user.deleted"'


class Copy(NamedTuple):
    """Checkpoints as they were kept elsewhere."""

    place: str
    """What that place is called."""
    lines: Iterable[str]
    """All that is there, read once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What checking the trail has shown."""

    records: int
    """Records read."""
    writers: int
    checkpoints: int
    reach: Reach | None
    """Up to where the trail is vouched for, None when nothing vouches for any of it."""
    unproven: int
    """Records that nothing vouches for: those behind that, and those that are older than the chain."""
    unchained: int
    """How many of them are older than the chain."""
    doubts: tuple[Unproven, ...]
    """Which the unproven are, by writer; no more than twenty stretches."""
    doubted: int
    """How many stretches there are."""
    withheld: int
    """Records that the database never took, with their text in quarantine; their places in the chain are
    known."""
    findings: tuple[Finding, ...]
    """What is wrong; no more than a thousand."""
    found: int
    """How much is wrong."""


class Verifier:
    """Checks a trail against itself, the spool, and the checkpoints that were signed with one of the keys."""

    def __init__(
        self,
        trail: TrailEvidence,
        spool: SpoolEvidence,
        checkpoints: Checkpoints,
        keys: Sequence[NoteKey],
        *,
        progress: Callable[[int, int], None] = lambda _done, _whole: None,
    ) -> None:
        """`progress` is called with how many records were read, and of how many about."""
        self._trail = trail
        self._spool = spool
        self._findings = Findings()
        self._doubts = Doubts()
        self._ledger = Ledger(checkpoints, keys, self._findings)
        self._progress = progress
        self._records = self._writers = self._whole = self._unproven = self._unchained = self._withheld = 0
        self._erasures: set[str] = set()
        """Subjects of whom the trail says that they were erased."""
        self._absent: list[tuple[str, int]] = []
        """Records that the database never took, and whose text is not on this machine."""
        self._oldest = ""

    async def verify(self, *copies: Copy) -> Verdict:
        """Return what is right and wrong, once. Raise `StoreUnavailable`, `OSError`.

        What none of the copies vouches for counts as unproven, when there are any.
        """
        # Whatever is written down before it happens is looked at before what comes of it.
        erased = await self._trail.erased()
        await self._ledger.read()
        reach = self._ledger.reach
        if copies:
            reaches = [await self._ledger.compare(copy.lines, place=copy.place) for copy in copies]
            reach = max(filter(None, reaches), key=lambda one: one.number, default=None)
        logs = set(await to_thread(self._spool.writers))
        ends = await self._trail.writers()
        self._whole = sum(ends.values())
        writers = sorted(logs | ends.keys() | self._ledger.marks.writers)
        for writer in writers:
            upto = 0 if reach is None else self._ledger.marks.newest(writer, upto=reach.number)
            walk = Walk(writer, self._ledger.marks, self._findings, proved_upto=upto)
            log = self._spool.examine(writer) if writer in logs else iter(())
            await self._check(writer, walk, Overlap(log, self._findings), ends.get(writer, 0))
            if writer in logs:
                # It may have been shipped and cleared away before its log was read to the end.
                await self._shipped(writer, walk, None, after=walk.last)
            if walk.last < self._ledger.marks.last(writer):
                await self._ledger.read()
            walk.signed()
            self._writers += walk.last > 0
            self._unproven += walk.unproven
            self._unchained += walk.unchained
            self._doubts.add(walk.stretches, known=self._ledger.marks.knows(writer), here=writer in logs)
        self._check_erasures(erased)
        self._check_absent()
        return Verdict(
            records=self._records,
            writers=self._writers,
            checkpoints=self._ledger.count,
            reach=reach,
            unproven=self._unproven,
            unchained=self._unchained,
            doubts=self._doubts.all(),
            doubted=self._doubts.count,
            withheld=self._withheld,
            findings=self._findings.all(),
            found=self._findings.count,
        )

    async def _check(self, writer: str, walk: Walk, log: Overlap, end: int) -> None:
        await self._shipped(writer, walk, log)
        if walk.last < end:
            # What is missing may have been removed since we began, because it was old enough.
            await self._ledger.read()
        if walk.chained:
            walk.ends(end, place=_CHUNKS, why="the database counts them as stored")
        for damage in log.damages:
            walk.known(damage)
        while (item := await log.next()) is not None:
            if isinstance(item, Damage):
                walk.damage(item)
                continue
            if item.first > walk.last + 1:
                # They may have been shipped since, and cleared away.
                await self._shipped(writer, walk, None, after=walk.last)
            if item.last > walk.last:
                run = item.part(max(0, walk.last + 1 - item.first), len(item.bodies))
                self._see(run)
                walk.take(run, place=f"spool/{writer}")

    async def _shipped(self, writer: str, walk: Walk, log: Overlap | None, after: int = 0) -> None:
        async for item in self._trail.examine(writer, after=after):
            if isinstance(item, Damage):
                walk.damage(item)
                continue
            run = item if isinstance(item, Run) else await self._put_aside(writer, item)
            if run.first > walk.last + 1:
                # Old records may have been removed since we began; that was signed before it was done.
                await self._ledger.read()
            if isinstance(item, Run):
                if log is not None:
                    await log.compare(run)
                self._see(run)
            walk.take(run, place=_CHUNKS)

    async def _put_aside(self, writer: str, item: Withheld) -> Run:
        """Return a record that the database never took, without its text, once that is looked at."""
        self._withheld += 1
        text = await to_thread(self._spool.withheld, writer, item.seq)
        if text is None:
            self._absent.append((writer, item.seq))
        elif link(item.before, item.seq, text) != item.head:
            why = "the text that was put aside is not what was written"
            self._findings.about(writer, item.seq, item.seq, place="spool/quarantine", problem=why)
        return Run(
            writer=writer,
            first=item.seq,
            bodies=(b"",),
            before=item.before,
            heads=(item.head,),
            personal=(b"",),
        )

    def _see(self, run: Run) -> None:
        """Count records, and take note of what they say about the trail itself."""
        self._records += len(run.bodies)
        self._progress(self._records, max(self._whole, self._records))
        time = time_of(run.bodies[0])
        if time and not "" < self._oldest <= time:
            self._oldest = time
        for body in run.bodies:
            if _DELETED in body or GAP in body:
                self._note(body)

    def _note(self, body: bytes) -> None:
        try:
            record = orjson.loads(body)
            action, attributes = record["action"], record["attributes"]
            if action == "user.deleted" and attributes["erased"] is True:
                self._erasures.add(str(attributes["user"]))
            elif action == "audit.gap":
                self._findings.told(str(attributes["writer"]), int(attributes["before"]))
        except (ValueError, KeyError, TypeError):
            # It speaks of something else.
            return

    def _check_erasures(self, erased: Mapping[str, float]) -> None:
        """See that whoever is not known any more was erased by somebody who was allowed to."""
        for subject, since in erased.items():
            # What told of it may have been removed since, because it was old enough.
            if subject not in self._erasures and not (
                self._ledger.marks.has_dropped and self._is_past(since)
            ):
                why = "what was said of this person is gone, and no user.deleted tells that it was erased"
                self._findings.add(f"audit_subjects, {subject}", why)

    def _is_past(self, time: float) -> bool:
        """Say whether a time is before that of the oldest record."""
        try:
            return timestamp(time) < self._oldest
        except (TypeError, ValueError, OverflowError):
            # No clock has ever shown it.
            return False

    def _check_absent(self) -> None:
        """See that the gateway has recorded what it put aside: anybody can empty a row."""
        for writer, seq in self._absent:
            if not self._findings.is_told(writer, seq + 1):
                why = "removed: nothing tells that the database did not take it, and the text is nowhere"
                self._findings.about(writer, seq, seq, place=_CHUNKS, problem=why)
