"""Records that nothing vouches for, by writer: what checking the trail can say nothing of, it names."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gateway.model import time_of
from gateway.ports import Run

_MOST: Final = 20
"""Stretches that are kept; the others are counted."""
UNCHAINED: Final = "from before there was a chain"
BEHIND: Final = "no checkpoint that counts as proof reaches so far"
WAITING: Final = "no checkpoint knows this writer yet; its log is on this machine"
STRANGER: Final = "no checkpoint knows this writer, and its log is not on this machine"


@dataclass(slots=True, kw_only=True)
class Stretch:
    """Records of one writer, one after the other, that nothing vouches for."""

    writer: str
    first: int
    last: int
    """Numbers of the first and the last; there may be some in between that were never written."""
    chained: bool
    """Whether they are from a time at which there was a chain."""
    records: int = 0
    """How many they are."""
    since: str = ""
    until: str = ""
    """What the first and the last say of their time; empty when they say nothing."""

    def add(self, run: Run, *, after: int) -> None:
        """Add the records of a run that come behind a number."""
        bodies = run.bodies[max(0, after + 1 - run.first) :]
        self.last, self.records = run.last, self.records + len(bodies)
        self.since = self.since or time_of(bodies[0])
        self.until = time_of(bodies[-1]) or self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Unproven:
    """Such a stretch, and why nothing vouches for it, as a sentence without a full stop."""

    stretch: Stretch
    why: str


class Doubts:
    """Collects them, not without bounds: every start of a process is a writer."""

    def __init__(self) -> None:
        self.count = 0
        """How many there are."""
        self._kept: list[Unproven] = []

    def add(self, stretches: Iterable[Stretch], *, known: bool, here: bool) -> None:
        """Take those of a writer. `known`: a checkpoint names it; `here`: its log is on this machine."""
        why = BEHIND if known else WAITING if here else STRANGER
        new = [Unproven(stretch=one, why=why if one.chained else UNCHAINED) for one in stretches]
        self.count += len(new)
        self._kept = sorted((*self._kept, *new), key=_rank)[:_MOST]

    def all(self) -> tuple[Unproven, ...]:
        """Return those that are kept: first those that are somebody's whom nobody knows, then the oldest."""
        return tuple(self._kept)


def _rank(found: Unproven) -> tuple[bool, str, str]:
    return found.why != STRANGER, found.stretch.since, found.stretch.writer
