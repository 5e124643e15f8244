"""Time as a port, so that no test sleeps."""

import time
from typing import Protocol


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> float:
        """Return the wall clock in seconds since the epoch."""

    def monotonic(self) -> float:
        """Return a clock that never steps, in seconds from an arbitrary point."""


class SystemClock:
    """The machine's clocks."""

    def now(self) -> float:
        """Return the wall clock in seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Return a clock that never steps, in seconds from an arbitrary point."""
        return time.monotonic()
