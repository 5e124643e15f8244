"""The signals of a supervisor that waits in a selector."""

import signal
from types import FrameType
from typing import Final, Self

from gateway.workers.pair import pair

_STOP: Final = (signal.SIGTERM, signal.SIGINT)
WATCHED: Final = (*_STOP, signal.SIGCHLD)


class Signals:
    """Notes the signals that a supervisor acts on, and makes a socket readable when one comes."""

    def __init__(self) -> None:
        self.stop_asked = False
        """SIGTERM or SIGINT has come."""
        self.came = False
        """Some signal has come; whoever has acted on it makes this false."""
        self.wakeup, self._written = pair()
        self._before: list[tuple[signal.Signals, object]] = []
        self._descriptor_before = -1

    def __enter__(self) -> Self:
        self._descriptor_before = signal.set_wakeup_fd(self._written.fileno(), warn_on_full_buffer=False)
        self._before = [(number, signal.signal(number, self._note)) for number in WATCHED]
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before:
            signal.signal(number, handler)  # type: ignore[arg-type] # what `signal` itself returned
        signal.set_wakeup_fd(self._descriptor_before)
        self.close()

    def clear(self) -> None:
        """Make the socket unreadable until the next signal, and note that one has come."""
        self.came = True
        try:
            while self.wakeup.recv(4096):
                pass
        except OSError:
            return

    def close(self) -> None:
        """Close both ends of the wake-up."""
        self.wakeup.close()
        self._written.close()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if number in _STOP:
            self.stop_asked = True
