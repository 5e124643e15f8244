"""A moment that is moved often and comes rarely: one timer compares the clock with it, so that no read or
write pays for a timer of its own."""

import asyncio
from collections.abc import Callable
from typing import Final

_NEVER: Final = float("inf")
_RESOLUTION: Final = 0.001
"""Seconds by which the timers of the loop may come too early."""


class Deadline:
    """The time that a connection has for what it is doing.

    What is called when the time is up is handed over each time and kept by the loop's timer alone: kept here,
    it would hold the connection, which holds this.
    """

    __slots__ = ("_at", "_loop", "_timer", "_timer_at")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._at = _NEVER
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    def within(self, seconds: float, call: Callable[[], object]) -> None:
        """Have a function called after so many seconds, unless the deadline is moved before. It is the same
        function each time, for the timer moves only when it would come too late."""
        self._at = at = self._loop.time() + seconds
        if self._timer is None:
            self._set_timer(at, call)
        elif at < self._timer_at:
            self._timer.cancel()
            self._set_timer(at, call)

    def lift(self) -> None:
        """Let there be no deadline until the next one; the timer may stay, and find nothing to do."""
        self._at = _NEVER

    def stop(self) -> None:
        """Let there be no deadline, and no timer that holds anybody."""
        self._at = _NEVER
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self, at: float, call: Callable[[], object]) -> None:
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._look_at_clock, call)

    def _look_at_clock(self, call: Callable[[], object]) -> None:
        self._timer = None
        if self._at == _NEVER:
            return
        if self._loop.time() + _RESOLUTION < self._at:
            self._set_timer(self._at, call)
        else:
            call()
