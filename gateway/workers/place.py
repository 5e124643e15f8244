"""The place of one worker: the process that fills it, or when the next one will."""

import socket
import time

from gateway.workers.endings import Backoff
from gateway.workers.hand import Hand
from gateway.workers.lines import Inbox
from gateway.workers.pair import pair


class Place:
    """One worker's place. Processes come and go, its name stays."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.name = str(number)
        self.pid: int | None = None
        self.is_ready = False
        """Whether the process has said that it can answer requests."""
        self.hand = Hand()
        self.ours, self.theirs = pair()
        self.inbox = Inbox(self.ours)
        self.born = 0.0
        self.due: float | None = None
        """When the next process starts, None while one runs."""
        self.fault: str | None = "is starting"
        """Why the worker cannot be asked."""
        self.standing: bytes | None = None
        self.metrics: bytes | None = None
        self.refusal: str | None = None
        """What a process said that could not start."""
        self._backoff = Backoff()

    @property
    def is_draining(self) -> bool:
        """Whether its process is finishing what runs."""
        return self.hand.mood > 0

    @property
    def can_serve(self) -> bool:
        """Whether connections may be given to it."""
        return self.pid is not None and self.is_ready

    def filled(self, pid: int) -> None:
        """Note the process that now fills the place. Its ends are its own from here on."""
        self.pid, self.born, self.due = pid, time.monotonic(), None
        self.theirs.close()

    def emptied(self, reason: str) -> float:
        """Note that the process has ended; return how long it lived, in seconds.

        The next one is due at once, or later when this place does not keep its processes.
        """
        now = time.monotonic()
        lived = now - self.born
        wait = self._backoff.after(0.0 if self.refusal is not None else lived)
        self.pid, self.is_ready, self.due = None, False, now + wait
        self.fault = (
            f"is being restarted ({reason})" if not wait else f"is restarted in {wait:.0f} s ({reason})"
        )
        self.standing = self.metrics = self.refusal = None
        self.hand.close()
        self.ours.close()
        return lived

    def prepare(self) -> None:
        """Make ends for the next process, unless it has them already. Raise `OSError`."""
        if self.ours.fileno() < 0:
            self.hand = Hand()
            self.ours, self.theirs = pair()
            self.inbox = Inbox(self.ours)

    def inherited(self, *, by_its_own: bool) -> list[socket.socket]:
        """Return what a child inherits of this place and must close; its own process keeps its own ends."""
        ours = [self.hand.ours, self.ours]
        return ours if by_its_own else [*ours, self.hand.theirs, self.theirs]
