"""The last moments of a listening socket: nobody who has got as far as a connection is turned away."""

import contextlib
import ctypes
import socket
import struct
import sys
from collections.abc import Iterator
from typing import Final

_ATTACH_FILTER: Final = 26
"""`SO_ATTACH_FILTER` of socket(7), which Python does not name."""
_INSTRUCTION: Final = struct.Struct("HBBI")
_PROGRAM: Final = struct.Struct("HP")
_NO_FIRST_SEGMENTS: Final = b"".join(
    _INSTRUCTION.pack(*each)
    for each in (
        (0x30, 0, 0, 13),  # load the flags of the TCP header
        (0x54, 0, 0, 0x12),  # of these SYN and ACK
        (0x15, 0, 1, 0x02),  # SYN alone: go on; else skip one
        (0x06, 0, 0, 0),  # drop it
        (0x06, 0, 0, 0xFFFFFFFF),  # let it through
    )
)


def let_nobody_begin(listening: socket.socket) -> None:
    """Have the system ignore who begins to connect, and finish with those who have begun.

    A connection that comes between the last look at the queue and the closing of the socket would be reset,
    with the request that it has brought. Whoever is ignored tries again a second later, and is refused by
    then. Does nothing for unix sockets, or on systems other than Linux.
    """
    if sys.platform != "linux" or listening.family == socket.AF_UNIX:
        return
    code = ctypes.create_string_buffer(_NO_FIRST_SEGMENTS)
    length = len(_NO_FIRST_SEGMENTS) // _INSTRUCTION.size
    # Without it, the moment is a few microseconds long.
    with contextlib.suppress(OSError):
        listening.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, _PROGRAM.pack(length, ctypes.addressof(code)))


def waiting_at(listening: socket.socket) -> Iterator[socket.socket]:
    """Give the connections that are in the queue of a socket that does not block."""
    while True:
        try:
            yield listening.accept()[0]
        except OSError:
            return
