"""Asks the kernel whether the other end of a local connection has taken what was sent.

Two sends are two segments, and may still be one read: only when the first has been read does the second
certainly come by itself.
"""

import asyncio
import socket
import struct

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_NLMSG_ERROR = 2
_ANY_STATE = 0xFFFFFFFF
_NO_COOKIE = b"\xff" * 8
_HEADER = struct.Struct("=IHHII")
_WHAT = struct.Struct("=BBBBI")
_ADDRESS = struct.Struct("!4s12x")
_PORTS = struct.Struct("!HH")
_NO_INTERFACE = bytes(4)
_UNREAD = struct.Struct("=I")
_UNREAD_AT = 72
_QUICK_LOOKS = 20

Address = tuple[str, int]


class Kernel:
    """A question line to the kernel (sock_diag(7))."""

    def __init__(self) -> None:
        self._line = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG)
        self._line.setblocking(False)

    def close(self) -> None:
        """Ask no more."""
        self._line.close()

    def question(self, local: Address, remote: Address) -> bytes:
        """Return what to ask about the end of a connection that has the local address."""
        body = b"".join(
            (
                _WHAT.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, 0, _ANY_STATE),
                _PORTS.pack(local[1], remote[1]),
                _ADDRESS.pack(socket.inet_aton(local[0])),
                _ADDRESS.pack(socket.inet_aton(remote[0])),
                _NO_INTERFACE,
                _NO_COOKIE,
            )
        )
        return _HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 0, 0) + body

    def unread(self, question: bytes) -> int:
        """Return how many bytes wait at that end, 0 also when it is gone."""
        self._line.send(question)
        # The kernel answers within the call that asks.
        answer = self._line.recv(4096)
        if _HEADER.unpack_from(answer)[1] == _NLMSG_ERROR:
            return 0
        unread: int = _UNREAD.unpack_from(answer, _UNREAD_AT)[0]
        return unread

    async def taken(self, question: bytes) -> None:
        """Return once nothing waits at that end."""
        looks = 0
        while self.unread(question):
            looks += 1
            await asyncio.sleep(0 if looks < _QUICK_LOOKS else 0.0005)
