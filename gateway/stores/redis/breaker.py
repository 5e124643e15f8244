"""When asking Redis is no longer worth the wait."""

from collections.abc import Callable
from typing import Final

_TIMEOUTS_IN_A_ROW: Final = 5
_WINDOW: Final = 1.0
"""Seconds in which failures are compared with answers. The first failure begins a window."""
_FEWEST_FAILURES: Final = 10
_GOOD_PROBES: Final = 3


class Breaker:
    """Counts how commands ended; open means that none should be sent. Times are the loop's, in seconds.

    It opens after five timeouts in a row, or when at least ten commands failed within a second and more
    failed than were answered; it closes after three good probes in a row.
    """

    __slots__ = ("_answered", "_failed", "_good", "_in_a_row", "_since", "is_open", "on_open", "refusing")

    def __init__(self) -> None:
        self.is_open = False
        self.refusing = False
        """Whether it opened because Redis answers with errors: only a real command can tell that it ended."""
        self.on_open: Callable[[str], None] | None = None
        """Called with the reason."""
        self._in_a_row = 0
        self._since = float("-inf")
        self._answered = 0
        self._failed = 0
        self._good = 0

    def answered(self, count: int) -> None:
        """Commands were answered in time."""
        self._in_a_row = 0
        self._answered += count

    def timed_out(self, count: int, now: float) -> None:
        """Commands were not answered in time."""
        self._in_a_row += count
        if self._fail(count, now) or self._in_a_row >= _TIMEOUTS_IN_A_ROW:
            self._open("it answers too slowly", refusing=False)

    def refused(self, code: str, now: float) -> None:
        """A command was answered with an error."""
        self._in_a_row = 0
        if self._fail(1, now):
            self._open(f"it refuses commands with {code}", refusing=True)

    def probed(self, *, good: bool) -> bool:
        """Take the end of a probe; say whether it closed the breaker."""
        self._good = self._good + 1 if good else 0
        if not self.is_open or self._good < _GOOD_PROBES:
            return False
        self.is_open = self.refusing = False
        self._in_a_row = 0
        self._since = float("-inf")
        return True

    def _fail(self, count: int, now: float) -> bool:
        if now - self._since >= _WINDOW:
            self._since = now
            self._answered = self._failed = 0
        self._failed += count
        return self._failed >= _FEWEST_FAILURES and self._failed > self._answered

    def _open(self, why: str, *, refusing: bool) -> None:
        if self.is_open:
            return
        self.is_open = True
        self.refusing = refusing
        self._good = 0
        if self.on_open is not None:
            self.on_open(why)
