"""Two ends of a way between processes, neither of which is ever waited for."""

import socket


def pair(kind: socket.SocketKind = socket.SOCK_STREAM) -> tuple[socket.socket, socket.socket]:
    """Return two connected sockets that do not block. Raise `OSError` when there is no room for them."""
    ends = socket.socketpair(socket.AF_UNIX, kind)
    for end in ends:
        end.settimeout(0.0)
    return ends
