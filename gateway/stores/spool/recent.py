"""The newest records of a log, kept in memory by the process that writes it."""

from collections import deque
from threading import Lock
from typing import Final, NamedTuple

AT_MOST: Final = 16 << 20
"""Bytes that are kept."""


class _Batch(NamedTuple):
    first: int
    bodies: list[bytes]
    size: int

    @property
    def last(self) -> int:
        return self.first + len(self.bodies) - 1


class Recent:
    """What has been written and, in all likelihood, not been shipped yet: shipping it from here saves reading
    it back, which costs as much as writing it did. The log on the disk has the same records and decides;
    whatever is not here is read there. May be used by several threads."""

    def __init__(self, at_most: int = AT_MOST) -> None:
        self._at_most = at_most
        self._lock = Lock()
        self._batches: deque[_Batch] = deque()
        self._size = 0
        self._next = 1
        """Number of the record that follows what was written."""

    def add(self, first: int, bodies: list[bytes], size: int) -> None:
        """Keep records that were written, `size` bytes of them; the oldest go when that is too much."""
        with self._lock:
            self._batches.append(_Batch(first, bodies, size))
            self._next = first + len(bodies)
            self._size += size
            while self._size > self._at_most:
                self._size -= self._batches.popleft().size

    def read(self, *, after: int, limit: int) -> tuple[bytes, ...] | None:
        """Return up to `limit` records that come right after a number, none when there are none yet; None
        when the log on the disk has to be asked. Records up to the number are forgotten."""
        with self._lock:
            batches = self._batches
            while batches and batches[0].last <= after:
                self._size -= batches.popleft().size
            if (batches[0].first if batches else self._next) > after + 1:
                return None
            found: list[bytes] = []
            for batch in batches:
                # The numbers of what could not be written are missing in between.
                if len(found) >= limit or batch.first > after + 1 + len(found):
                    break
                found += batch.bodies[after + 1 + len(found) - batch.first :]
        return tuple(found[:limit])
