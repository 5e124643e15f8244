"""The supervisor's end of the way on which connections reach one worker.

A connection is sent as an open file over a socket pair that keeps messages whole (SOCK_SEQPACKET, SCM_RIGHTS;
unix(7)). The supervisor keeps the worker's end open too, for one reason: a message is read by exactly one
reader. What the supervisor reads back from that end, the worker has not seen and never will. So connections
that wait for a worker which died, or does not move, are taken back and given to another one, and none is ever
served twice: the system decides who has it, and no acknowledgement can come too late.
"""

import socket
import struct
import sys
import time
from typing import Final

from gateway.workers.pair import pair

ONE: Final = b"\1"
"""The message that brings a connection. One each: several in one would save 3 of 9 us, and cost a second way
of everything."""
NO_MORE: Final = b"\0"
"""The message after which no connection comes any more."""
TOLD: Final = struct.Struct("<QQB")
"""What a worker tells: connections it has taken, connections that have ended since its start, its mood."""
DRAINING: Final = 1
"""Mood: finishing what runs. Connections are better given to others."""
LEAVING: Final = 2
"""Mood: idle, and asking for the message after which nothing comes any more."""
_ONE_DESCRIPTOR: Final = socket.CMSG_LEN(4)
_MOST: Final = 128
"""Connections that may wait for a worker; the rest waits in the queue of the listening socket."""


def receive(end: socket.socket) -> tuple[bytes, socket.socket | None]:
    """Return the next message and the connection that it brings. Raise `OSError`, `BlockingIOError` when none
    is there. `ONE` without a connection: this process may not open more files, and the system closed it."""
    # `socket.recv_fds` of Python 3.11 leaves its flags out.
    message, ancillary, _, _ = end.recvmsg(1, _ONE_DESCRIPTOR, socket.MSG_CMSG_CLOEXEC)
    if not ancillary:
        return message, None
    return message, socket.socket(fileno=int.from_bytes(ancillary[0][2][:4], sys.byteorder))


class Hand:
    """Gives connections to one worker, and counts those that it has."""

    def __init__(self) -> None:
        self.ours, self.theirs = pair(socket.SOCK_SEQPACKET)
        self.mood = 0
        self.waiting_since: float | None = None
        """When the oldest connection that the worker has not taken was given, or the last one was taken."""
        self.is_stuck = False
        """Connections were taken back from it, and it has not been heard of since."""
        self._given = self._taken = self._ended = 0
        self.is_closed_to_more = False
        """It has been told that nothing comes any more."""

    @property
    def open(self) -> int:
        """Connections that the worker has, or will find."""
        return self._given - self._ended

    @property
    def waiting(self) -> int:
        """Connections that the worker has not taken."""
        return self._given - self._taken

    @property
    def is_leaving(self) -> bool:
        """Whether the worker is to be given nothing more."""
        return self.mood == LEAVING or self.is_closed_to_more

    @property
    def can_take(self) -> bool:
        """Whether the worker may be given a connection now."""
        return self.waiting < _MOST and not self.is_leaving

    def give(self, connection: socket.socket) -> bool:
        """Send a connection and close our copy, or say that the system does not take it now. Never waits."""
        try:
            socket.send_fds(self.ours, [ONE], [connection.fileno()])
        except OSError:
            # The queue is full, or too many files are on their way (ETOOMANYREFS).
            return False
        connection.close()
        self._given += 1
        if self.waiting_since is None:
            self.waiting_since = time.monotonic()
        return True

    def take_back(self) -> list[socket.socket]:
        """Return the connections that the worker has not taken; it will not see them any more."""
        back: list[socket.socket] = []
        while True:
            try:
                message, connection = receive(self.theirs)
            except OSError:
                break
            self._given -= message == ONE
            if connection is not None:
                back.append(connection)
        self._note_progress(time.monotonic())
        return back

    def hear(self) -> None:
        """Read what the worker has told. Never waits."""
        told = b""
        while True:
            try:
                message = self.ours.recv(TOLD.size)
            except OSError:
                break
            if not message:
                break
            told = message
        if told:
            self.is_stuck = False
            taken, self._ended, self.mood = TOLD.unpack(told)
            if taken != self._taken:
                self._taken = taken
                self._note_progress(time.monotonic())

    def say_no_more(self) -> None:
        """Tell the worker that it has got the last connection."""
        self.is_closed_to_more = True
        try:
            self.ours.send(NO_MORE)
        except OSError:
            # It leaves without, a moment later.
            return

    def close(self) -> None:
        """Close both ends. Connections that nobody took are closed with them."""
        self.ours.close()
        self.theirs.close()

    def _note_progress(self, now: float) -> None:
        self.waiting_since = now if self.waiting > 0 else None
