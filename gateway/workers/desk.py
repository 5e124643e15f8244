"""The place of the operators' process, which speaks for all workers: health, readiness, metrics."""

import socket
import time
from collections.abc import Callable, Sequence

from gateway.workers.endings import Backoff
from gateway.workers.fork import Closable
from gateway.workers.lines import Outbox
from gateway.workers.pair import pair

Life = Callable[[socket.socket], int]
"""What the process does with the socket on which the lines of a `Roll` come; it ends when they end."""


class Desk:
    """Keeps the operators' listening sockets open, and what the process at them is to know in order."""

    def __init__(self, life: Life, listeners: Sequence[socket.socket]) -> None:
        self.pid: int | None = None
        self.due: float | None = None
        """When the next process starts, None while one runs."""
        self._life = life
        self._listeners = list(listeners)
        self._born = 0.0
        self._backoff = Backoff()
        self._ends: list[socket.socket] = []
        self._outbox: Outbox | None = None

    @property
    def has_news(self) -> bool:
        """Whether something waits to be sent."""
        return self._outbox is not None and not self._outbox.is_empty

    def start(self, fork: Callable[[Callable[[], int], Sequence[Closable]], int]) -> None:
        """Start a process with `fork`, which takes its life and what of ours it must close.

        Raise `OSError` when the system has no room for it.
        """
        ours, theirs = pair()
        self._ends = [ours, theirs]
        try:
            self.pid = fork(lambda: self._life(theirs), [ours])
        except OSError:
            self.hush()
            raise
        theirs.close()
        self._outbox = Outbox(ours)
        self._born, self.due = time.monotonic(), None

    def inherited(self) -> Sequence[Closable]:
        """Return what a worker inherits of this place and must close."""
        return [*self._ends, *self._listeners]

    def tell(self, subject: str, line: bytes) -> None:
        """Say a line at the next `send`, in place of what still waits of the same subject."""
        if self._outbox is not None:
            self._outbox.put(subject, line)

    def send(self) -> None:
        """Send what waits, as far as the process takes it."""
        if self._outbox is not None:
            self._outbox.send()

    def ended(self) -> float:
        """Note that the process has ended; return how long it lived, in seconds."""
        now = time.monotonic()
        lived = now - self._born
        self.pid, self.due = None, now + self._backoff.after(lived)
        self.hush()
        return lived

    def hush(self) -> None:
        """Say nothing more: the process ends when it notices."""
        self._outbox = None
        for end in self._ends:
            end.close()

    def close(self) -> None:
        """Close everything."""
        self.hush()
        for listener in self._listeners:
            listener.close()
