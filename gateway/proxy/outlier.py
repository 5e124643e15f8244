"""When one target is left out for a while, because exchange after exchange with it failed."""

from typing import Final

from gateway.config import OutlierRules

LONGEST: Final = 300.0
"""Seconds to which repeated ejections are bounded, unless `eject_for` is longer."""


class Failures:
    """How exchanges with one target went lately."""

    __slots__ = ("_back_at", "_ejections", "_in_a_row")

    def __init__(self) -> None:
        self._in_a_row = 0
        self._ejections = 0
        self._back_at = 0.0

    def __repr__(self) -> str:
        return f"Failures(in_a_row={self._in_a_row}, ejections={self._ejections})"

    def good(self) -> None:
        """Count an exchange that went well."""
        self._in_a_row = 0

    def bad(self, rules: OutlierRules) -> bool:
        """Count one that failed; return whether they are too many in a row."""
        self._in_a_row += 1
        return self._in_a_row >= rules.consecutive_errors

    def eject(self, rules: OutlierRules, now: float) -> float:
        """Begin to leave the target out; return for how many seconds.

        Each ejection that follows another lasts longer by `eject_for`. One is forgiven for every `eject_for`
        that the target was back without another.
        """
        if self._ejections and now > self._back_at:
            self._ejections = max(0, self._ejections - int((now - self._back_at) / rules.eject_for))
        self._ejections += 1
        self._in_a_row = 0
        seconds = min(rules.eject_for * self._ejections, max(LONGEST, rules.eject_for))
        self._back_at = now + seconds
        return seconds


def may_eject(rules: OutlierRules, *, targets: int, ejected: int, usable: int) -> bool:
    """Say whether one more of the targets may be left out: never the last one that is usable, and one of
    several whatever the share says."""
    return usable > 1 and ejected < max(1, int(targets * rules.max_ejected))
