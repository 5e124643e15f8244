"""How full the room for records that wait is, and what is given up for it, in which order."""

from enum import IntEnum
from typing import Final


class Level(IntEnum):
    """What the room that is left means. Each level holds what the ones below it say."""

    EASE = 0
    """All is well."""
    WARN = 1
    """Somebody should look why records are not shipped."""
    SPARE = 2
    """Completions are not written down any more, only counted; what decides is."""
    FULL = 3
    """Nothing is decided any more, because it could not be recorded for long: 503 `audit-unavailable`."""


_FROM: Final = ((0.95, Level.FULL), (0.85, Level.SPARE), (0.70, Level.WARN))


class Pressure:
    """What the logs take of what they may take. Whoever measures tells it; whoever records asks it."""

    __slots__ = ("_limit", "fill", "level", "spared")

    def __init__(self, limit: int) -> None:
        """Begin with an empty room of `limit` bytes. Raise `ValueError` when that is none."""
        if limit <= 0:
            msg = f"the limit of the spool is {limit} bytes; it must be above 0"
            raise ValueError(msg)
        self._limit = limit
        self.fill = 0.0
        """Share of the room that is taken: 1.0 is all of it, and it may be more."""
        self.level = Level.EASE
        """What follows from it."""
        self.spared = 0
        """Completions that were not written down since the process began, to keep room for decisions."""

    def measure(self, used: int) -> None:
        """Take note of how many bytes the logs of all processes take."""
        self.fill = used / self._limit
        self.level = next((level for share, level in _FROM if self.fill >= share), Level.EASE)
