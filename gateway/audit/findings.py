"""What checking the trail has found, and how it is kept."""

from dataclasses import dataclass, replace
from typing import Final

from gateway.ports import Damage

_MOST: Final = 1000
"""Findings that are kept; the others are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong with the trail, or with what vouches for it."""

    place: str
    """Where: a table and its row, a file and its byte, a checkpoint."""
    problem: str
    """What is wrong, as a sentence without a full stop."""
    writer: str | None = None
    """Whose records it is about, None when it is about no record."""
    first: int | None = None
    last: int | None = None
    """Numbers of the first and the last record."""


class Findings:
    """Collects findings, not without bounds: a trail may be damaged everywhere."""

    def __init__(self) -> None:
        self.count = 0
        """How many there are."""
        self._kept: list[Finding] = []
        self._told: set[tuple[str, int]] = set()

    def add(self, place: str, problem: str) -> None:
        """Take one that is about no record."""
        self._take(Finding(place=place, problem=problem))

    def about(self, writer: str, first: int, last: int, *, place: str, problem: str) -> None:
        """Take one that is about records."""
        self._take(Finding(place=place, problem=problem, writer=writer, first=first, last=last))

    def damage(self, damage: Damage) -> None:
        """Take one that a store has found."""
        self.about(damage.writer, damage.first, damage.last, place=damage.place, problem=damage.problem)

    def told(self, writer: str, before: int) -> None:
        """Take note that the gateway itself has recorded a gap in the trail, before a record."""
        self._told.add((writer, before))

    def is_told(self, writer: str, before: int) -> bool:
        """Say whether the gateway itself has recorded a gap there."""
        return (writer, before) in self._told

    def all(self) -> tuple[Finding, ...]:
        """Return those that are kept, in the order in which they were found."""
        return tuple(self._explained(finding) for finding in self._kept)

    def _take(self, finding: Finding) -> None:
        self.count += 1
        if len(self._kept) < _MOST:
            self._kept.append(finding)

    def _explained(self, finding: Finding) -> Finding:
        if finding.writer is None or finding.last is None:
            return finding
        if not self.is_told(finding.writer, finding.last + 1):
            return finding
        return replace(finding, problem=f"{finding.problem}; the gateway recorded this gap (audit.gap)")
