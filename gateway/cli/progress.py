"""How far a long command has come, for whoever waits at a terminal."""

import sys
import time
from types import TracebackType
from typing import Final, Self, TextIO

_AFTER: Final = 2.0
"""Seconds that pass in silence: most commands are done by then."""
_EVERY: Final = 0.2


class Progress:
    """One line on stderr that counts, from two seconds on, and is gone at the end; nothing where stderr is no
    terminal, or is the same one that the output goes to."""

    def __init__(self, what: str, *, terminal: TextIO | None = None, silent: bool = False) -> None:
        """`silent`: nothing else is printed meanwhile, so that both may be the same terminal."""
        self.count = 0
        """How many there have been."""
        self.whole = 0
        """Of how many, about; 0 when nobody knows."""
        self._what = what
        shown = sys.stderr if terminal is None else terminal
        self._terminal = shown if shown.isatty() and (silent or not sys.stdout.isatty()) else None
        self._next = time.monotonic() + _AFTER
        self._is_shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._is_shown and self._terminal is not None:
            self._terminal.write("\r\x1b[K")
            self._terminal.flush()

    def add(self, count: int = 1) -> None:
        """Count so many more."""
        self.count += count
        if self._terminal is None or (now := time.monotonic()) < self._next:
            return
        self._next = now + _EVERY
        self._is_shown = True
        share = f" of about {self.whole:,}" if self.whole else ""
        self._terminal.write(f"\r{self.count:,}{share} {self._what}")
        self._terminal.flush()
