"""Where answers about limits came from."""

from dataclasses import dataclass


@dataclass(slots=True)
class CounterStatistics:
    """Requests by where their limits were counted, and what was said; whole numbers that only grow."""

    exact_admitted: int = 0
    """Counted by Redis."""
    exact_refused: int = 0
    deny_cache_refused: int = 0
    """Refused without asking, because Redis had refused the same a moment ago."""
    local_admitted: int = 0
    """Counted in this process, because Redis could not be asked."""
    local_refused: int = 0
    open_admitted: int = 0
    """Not counted at all: every limit has `on_store_error: open`."""
    closed_refused: int = 0
    """Answered with 503: a limit has `on_store_error: closed`."""
    late_admitted: int = 0
    """Counted by Redis after this process had given up waiting: one charge more than was known."""

    def by_source(self) -> list[tuple[str, str, int]]:
        """Return source, result and number of requests, late admissions left out."""
        return [
            ("exact", "admitted", self.exact_admitted),
            ("exact", "refused", self.exact_refused),
            ("deny_cache", "refused", self.deny_cache_refused),
            ("local", "admitted", self.local_admitted),
            ("local", "refused", self.local_refused),
            ("open", "admitted", self.open_admitted),
            ("closed", "refused", self.closed_refused),
        ]
