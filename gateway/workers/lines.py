"""Lines between the supervisor and its children, over a stream socket that is never waited for.

A line is news of one subject, and only the newest counts: for a reader that does not read, older news of the
same subject is replaced, so that what waits is bounded by the number of subjects.
"""

import socket
from typing import Final

_AT_ONCE: Final = 1 << 18
_LONGEST: Final = 1 << 26
"""Bytes of a line; only a child that has gone mad sends more."""


class Inbox:
    """Reads the lines of one child."""

    def __init__(self, channel: socket.socket) -> None:
        self.over = False
        """The other side is gone."""
        self._channel = channel
        self._buffer = bytearray()

    def read(self) -> list[bytes]:
        """Return the whole lines that have come, without their ends. Never waits."""
        while not self.over:
            try:
                data = self._channel.recv(_AT_ONCE)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                data = b""
            self._buffer += data
            self.over = not data or len(self._buffer) > _LONGEST
            if len(data) < _AT_ONCE:
                break
        *lines, rest = self._buffer.split(b"\n")
        self._buffer = rest
        return [bytes(line) for line in lines]


class Outbox:
    """Sends lines to one child: of each subject the newest."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._waiting: dict[str, bytes] = {}
        self._going = b""

    @property
    def is_empty(self) -> bool:
        """Whether everything has been handed to the system."""
        return not self._going and not self._waiting

    def put(self, subject: str, line: bytes) -> None:
        """Take a line, in place of what still waits of the same subject; `send` sends it."""
        self._waiting[subject] = line

    def send(self) -> None:
        """Send what the system takes. Never waits, and never raises: whoever is gone is noticed elsewhere."""
        try:
            while not self.is_empty:
                if not self._going:
                    self._going = b"".join(line + b"\n" for line in self._waiting.values())
                    self._waiting.clear()
                self._going = self._going[self._channel.send(self._going) :]
        except OSError:
            return
