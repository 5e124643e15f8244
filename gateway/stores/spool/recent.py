"""The newest records of a log, kept in memory by the process that writes it."""

from collections import deque
from threading import Lock
from typing import Final, NamedTuple

AT_MOST: Final = 16 << 20
"""Bytes that are kept."""


class Kept(NamedTuple):
    """Records whose numbers count up from `first`, as many as there are in each of the lists."""

    first: int
    bodies: list[bytes]
    heads: list[bytes]
    """The chain's head after each."""
    personal: list[bytes]
    """What each says of persons, sealed."""
    before: bytes
    """The chain's head before the first."""

    @property
    def last(self) -> int:
        """Number of the last record."""
        return self.first + len(self.bodies) - 1


class Recent:
    """What has been written and, in all likelihood, not been shipped yet: shipping it from here saves reading
    it back, which costs as much as writing it did. The log on the disk has the same records and decides;
    whatever is not here is read there. May be used by several threads."""

    def __init__(self, at_most: int = AT_MOST) -> None:
        self.last = 0
        """Number of the newest record that was written. What the disk has beyond it may be cut off again."""
        self.released = 0
        """Number of the newest record that nobody is going to read from the disk any more."""
        self._at_most = at_most
        self._lock = Lock()
        self._batches: deque[tuple[Kept, int]] = deque()
        self._size = 0

    def add(self, batch: Kept, size: int) -> None:
        """Keep records that were written, `size` bytes of them; the oldest go when that is too much."""
        with self._lock:
            self._batches.append((batch, size))
            self.last = batch.last
            self._size += size
            while self._size > self._at_most:
                self._size -= self._batches.popleft()[1]

    def read(self, *, after: int, limit: int) -> Kept | None:
        """Return up to `limit` records that come right after a number, none when there are none yet; None
        when the log on the disk has to be asked. Records up to the number are forgotten."""
        with self._lock:
            batches = self._batches
            while batches and batches[0][0].last <= after:
                self._size -= batches.popleft()[1]
            found = Kept(after + 1, [], [], [], b"")
            if not batches:
                return found if self.last <= after else None
            if batches[0][0].first > after + 1:
                return None
            for batch, _ in batches:
                # The numbers of what could not be written are missing in between.
                if len(found.bodies) >= limit or batch.first > found.last + 1:
                    break
                start = found.last + 1 - batch.first
                stop = start + limit - len(found.bodies)
                if not found.bodies:
                    found = found._replace(before=batch.heads[start - 1] if start else batch.before)
                found.bodies.extend(batch.bodies[start:stop])
                found.heads.extend(batch.heads[start:stop])
                found.personal.extend(batch.personal[start:stop])
        return found
