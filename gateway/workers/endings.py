"""How a process ended, and how long its place stays empty."""

import os
import signal
from typing import Final

_SHORT: Final = 5.0
"""Seconds: a process that lived longer has not failed because of how it starts."""
_LONGEST: Final = 30.0


def ending_of(status: int) -> str:
    """Return what a wait status says: `exit code 1`, `killed by SIGKILL`."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


class Backoff:
    """How long to wait before a process is started again.

    A first failure is mended at once. One that comes again and again soon after the start will not be mended
    by another start: 1, 2, 4 … 30 seconds, so that the machine is not busy with starting.
    """

    def __init__(self) -> None:
        self._short_lives = 0

    def after(self, lived: float) -> float:
        """Return the seconds to wait after a process that lived so many."""
        if lived >= _SHORT:
            self._short_lives = 0
            return 0.0
        self._short_lives += 1
        if self._short_lives == 1:
            return 0.0
        return min(2.0 ** min(self._short_lives - 2, 10), _LONGEST)
