"""How many messages a process has encrypted with each version of each key, while several threads do so."""

from collections import Counter
from collections.abc import Mapping
from threading import Lock


class MessageCounts:
    """Messages by name and version of the key, since they were taken last."""

    __slots__ = ("_counts", "_lock")

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, int]] = Counter()
        # Adding is a question and an answer, and large messages are encrypted in threads.
        self._lock = Lock()

    def add(self, name: str, version: int) -> None:
        """Count one message."""
        with self._lock:
            self._counts[name, version] += 1

    def take(self) -> Mapping[tuple[str, int], int]:
        """Return what was counted since the last call."""
        with self._lock:
            taken, self._counts = self._counts, Counter()
        return taken
