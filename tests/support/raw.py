"""Bytes on a socket, for what no client library would send."""

import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self


@dataclass(frozen=True, slots=True)
class RawReply:
    """One response as it came."""

    status: int
    head: bytes
    body: bytes = field(repr=False)

    def header(self, name: str) -> str | None:
        """Return the first value of a field."""
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.decode("latin-1").lower() == name.lower():
                return value.strip().decode("latin-1")
        return None


class Raw:
    """One client connection."""

    def __init__(self, port: int, *, timeout: float = 10.0) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout)
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes in one segment, as far as TCP allows."""
        self._socket.sendall(data)

    def send_split(self, pieces: Iterable[bytes], *, pause: float = 0.002) -> None:
        """Send each piece in a segment of its own; stops when the other side has closed."""
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for piece in pieces:
                self._socket.sendall(piece)
                time.sleep(pause)
        except OSError:
            return

    def half_close(self) -> None:
        """Say that nothing more will be sent."""
        self._socket.shutdown(socket.SHUT_WR)

    def receive(self) -> bytes:
        """Return the next bytes, b"" at the end; a reset counts as the end."""
        try:
            return self._socket.recv(65536)
        except ConnectionError:
            return b""

    def until(self, mark: bytes) -> bytes:
        """Return everything up to and including a mark."""
        while mark not in self._buffer:
            data = self.receive()
            if not data:
                break
            self._buffer += data
        found, mark_, self._buffer = self._buffer.partition(mark)
        return found + mark_

    def reply(self, *, head_only: bool = False) -> RawReply | None:
        """Return the next response, None when the connection ends without one."""
        head = self.until(b"\r\n\r\n")
        if not head:
            return None
        status = int(head.split(b" ", 2)[1])
        reply = RawReply(status, head, b"")
        if head_only or status in {204, 304} or 100 <= status < 200:
            return reply
        length = reply.header("content-length")
        if length is not None:
            while len(self._buffer) < int(length):
                data = self.receive()
                if not data:
                    break
                self._buffer += data
            body, self._buffer = self._buffer[: int(length)], self._buffer[int(length) :]
        elif reply.header("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.until(b"\r\n").strip() or b"0", 16):
                while len(self._buffer) < size + 2:
                    self._buffer += self.receive()
                body, self._buffer = body + self._buffer[:size], self._buffer[size + 2 :]
            self.until(b"\r\n")
        else:
            body = self.rest()
        return RawReply(status, head, body)

    def rest(self) -> bytes:
        """Return everything until the connection ends."""
        while data := self.receive():
            self._buffer += data
        found, self._buffer = self._buffer, b""
        return found

    def is_closed(self) -> bool:
        """Say whether the other side closes within the time-out."""
        try:
            return self._buffer == b"" and self.receive() == b""
        except TimeoutError:
            return False
