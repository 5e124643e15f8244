"""Going through one writer's records, to see that each follows the one before, as the checkpoints say."""

from collections.abc import Iterator
from typing import Final

from gateway.audit.doubts import Stretch
from gateway.audit.findings import Findings
from gateway.audit.marks import Marks
from gateway.crypto import HEAD_BYTES, beginning
from gateway.ports import Damage, Run

_UNKNOWN: Final = bytes(HEAD_BYTES)
"""Head of what was removed from before there was a chain."""


class Walk:
    """One writer's records, given in the order of their numbers, from the database and then the spool."""

    def __init__(self, writer: str, marks: Marks, findings: Findings, *, proved_upto: int) -> None:
        """`proved_upto` is the record up to which what counts as proof reaches."""
        self.last = 0
        """Number of the newest record that was given."""
        self.unchained = 0
        """How many of them are from before there was a chain."""
        self.unproven = 0
        """How many of them nothing vouches for: these, and those behind the last checkpoint."""
        self.stretches: list[Stretch] = []
        """Which these are."""
        self._proved_upto = proved_upto
        self._writer = writer
        self._findings = findings
        self._book = marks
        self._marks = marks.of(writer)
        self._mark = next(self._marks, None)
        self._vouched = 0
        """The last record whose head is what a checkpoint says."""
        self._astray = False
        """Whether the last comparison with a checkpoint failed."""
        self._head = beginning(writer)
        """The head after the last record."""
        self._chained = False
        self._stored: tuple[int, bytes | None] = (0, None)
        """The last record that could not be read behind that, and the head that is stored for it."""
        self._spoken_of: list[tuple[int, int]] = []
        """Stretches of numbers that findings are about, from the last record on."""

    @property
    def chained(self) -> bool:
        """Whether the last record has its place in the chain, or there is no record."""
        return self._chained or not self.last

    def take(self, run: Run, *, place: str) -> None:
        """Take records that are what their own heads say."""
        if run.first <= self.last:
            self._about(run.first, run.last, place, "here again, or not in their order")
            return
        # What is here is not what cannot be read: of that, nobody knows how far it goes.
        self._spoken_of = [
            (low, min(high, run.first - 1) if low < run.first else high) for low, high in self._spoken_of
        ]
        if run.heads:
            if not self._follows(run):
                self._discontinuity(run, place)
            self._compare(run.first, run.heads)
            self._doubt(run, after=self._proved_upto)
        else:
            self._unchained(run, place)
        self.last, self._chained = run.last, bool(run.heads)
        # Whatever is written behind records without a chain begins one.
        self._head = run.heads[-1] if run.heads else beginning(self._writer)
        self._spoken_of = [stretch for stretch in self._spoken_of if stretch[1] >= self.last]

    def damage(self, damage: Damage) -> None:
        """Take what a store has found to be wrong here."""
        self._findings.damage(damage)
        self.known(damage)

    def known(self, damage: Damage) -> None:
        """Take what was found before: it explains what is missing in its place."""
        self._spoken_of.append((damage.first, damage.last))
        if damage.last > max(self.last, self._stored[0]):
            self._stored = damage.last, damage.head

    def ends(self, upto: int, *, place: str, why: str) -> None:
        """Say up to which number there must be records, and why."""
        for first, last in self._unspoken_of(self._behind, upto):
            self._about(first, last, place, f"missing; {why}")

    def signed(self) -> None:
        """Look for records behind the last one that checkpoints vouch for."""
        while self._mark is not None:
            self._missing(self._mark)
            self._mark = next(self._marks, None)

    @property
    def _behind(self) -> int:
        """Number of the first record that there may be behind the last, and what was removed on purpose."""
        dropped = self._book.dropped(self._writer)
        return max(self.last, dropped[-1].upto if dropped else 0) + 1

    def _follows(self, run: Run) -> bool:
        if run.before == self._head:
            return True
        # What is removed on purpose comes first of all: all of it up to a record, or a part of that.
        return any(
            run.first <= one.upto or (self.last < one.upto and one.head in {run.before, _UNKNOWN})
            for one in self._book.dropped(self._writer)
        )

    def _discontinuity(self, run: Run, place: str) -> None:
        first = self._behind
        gaps = list(self._unspoken_of(first, run.first - 1))
        for gap in gaps:
            self._about(*gap, place, "missing; the chain of what follows has them")
        if first < run.first:
            # What was changed is named; what is stored of its chain must lead here all the same.
            _, stored = self._stored
            is_explained = bool(gaps) or stored in {None, run.before}
        else:
            is_explained = any(low <= run.first <= high for low, high in self._spoken_of)
        if not is_explained:
            why = "the chain does not lead here from what is before: that was replaced, or this was"
            self._about(run.first, run.first, place, why)

    def _unchained(self, run: Run, place: str) -> None:
        """Take records from before there was a chain: they come first, and no checkpoint knows them."""
        self.unchained += len(run.bodies)
        self._doubt(run, after=0)
        if self._chained:
            self._about(run.first, run.last, place, "their chain was removed: records before them have one")
        while self._mark is not None and self._mark[0] <= run.last:
            seq, _, number = self._mark
            if not any(low <= seq <= high for low, high in self._spoken_of):
                why = f"their chain was removed: checkpoint {number} vouches for it"
                self._about(max(run.first, self._vouched + 1), seq, f"checkpoint {number}", why)
            self._mark = next(self._marks, None)

    def _doubt(self, run: Run, *, after: int) -> None:
        """Note that nothing vouches for the records of a run behind a number."""
        first, chained = max(run.first, after + 1), bool(run.heads)
        if first > run.last:
            return
        if not self.stretches or self.stretches[-1].chained != chained:
            self.stretches.append(Stretch(writer=self._writer, first=first, last=first, chained=chained))
        self.stretches[-1].add(run, after=after)
        self.unproven += run.last - first + 1

    def _compare(self, first: int, heads: tuple[bytes, ...]) -> None:
        """Compare with what checkpoints say of these records."""
        last = first + len(heads) - 1
        for one in self._book.dropped(self._writer):
            if first <= one.upto <= last and one.head not in {heads[one.upto - first], _UNKNOWN}:
                self._about(
                    one.upto, one.upto, "checkpoints", "not what was signed when it was to be removed"
                )
        while self._mark is not None and self._mark[0] <= last:
            seq, head, number = self._mark
            if seq < first:
                self._missing(self._mark)
            elif heads[seq - first] == head:
                self._vouched, self._astray = seq, False
            else:
                self._rewritten(seq, number)
            self._mark = next(self._marks, None)

    def _rewritten(self, seq: int, number: int) -> None:
        # All heads that follow a change are others too: the first says all there is to say.
        if not self._astray and not any(low <= seq <= high for low, high in self._spoken_of):
            why = f"not what checkpoint {number} vouches for: the chain was made anew"
            self._about(self._vouched + 1, seq, f"checkpoint {number}", why)
        self._astray = True

    def _missing(self, mark: tuple[int, bytes, int]) -> None:
        seq, _, number = mark
        if seq > self.last:
            self.ends(seq, place=f"checkpoint {number}", why=f"checkpoint {number} vouches for them")

    def _unspoken_of(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Give the parts of a stretch that no finding is about."""
        for low, high in sorted(self._spoken_of):
            if low > last:
                break
            if low > first:
                yield first, low - 1
            first = max(first, high + 1)
        if first <= last:
            yield first, last

    def _about(self, first: int, last: int, place: str, problem: str) -> None:
        self._findings.about(self._writer, first, last, place=place, problem=problem)
        self._spoken_of.append((first, last))
