"""Messages and connections as bytes, at either end: what a test sends, and what it reads."""

import contextlib
import select
import socket
import ssl
import struct
import time
from dataclasses import dataclass, replace
from typing import Self

SECONDS = 10.0
"""How long a side waits for the other before the test fails."""
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def request(start: bytes, *lines: bytes, body: bytes = b"") -> bytes:
    """Return a request; a Host line comes first unless one is among the lines."""
    if not any(line.lower().startswith(b"host:") for line in lines):
        lines = (b"Host: gw.test", *lines)
    return b"\r\n".join([start, *lines, b"", body])


def response(*lines: bytes, body: bytes = b"", start: bytes = b"HTTP/1.1 200 OK") -> bytes:
    """Return a response with a length."""
    return b"\r\n".join([start, *lines, b"Content-Length: %d" % len(body), b"", body])


class Ended(Exception):
    """The other side closed before what was waited for had come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One request or response as it came."""

    start: bytes
    """The request line or status line."""
    lines: tuple[bytes, ...]
    """The header lines."""
    body: bytes = b""
    """Without chunk framing."""
    raw_body: bytes = b""
    """With it."""
    trailers: tuple[bytes, ...] = ()

    @property
    def status(self) -> int:
        """Status of a response."""
        return int(self.start.split(b" ")[1])

    @property
    def target(self) -> bytes:
        """Target of a request."""
        return self.start.split(b" ")[1]

    @property
    def is_chunked(self) -> bool:
        """Whether the body came in chunks."""
        return self.values("transfer-encoding") == [b"chunked"]

    @property
    def slug(self) -> str:
        """The slug of a problem (RFC 9457), empty for anything else."""
        _, _, rest = self.body.partition(b'"urn:gateway:problem:')
        return rest.partition(b'"')[0].decode()

    def values(self, name: str) -> list[bytes]:
        """Return the values of a field, its name compared without case."""
        fields = [line.partition(b":") for line in self.lines]
        return [value.strip(b" \t") for field, _, value in fields if field.lower() == name.lower().encode()]

    def names(self) -> list[str]:
        """Return the names of the lines in order, in lower case."""
        return [line.partition(b":")[0].decode("latin-1").lower() for line in self.lines]


class Wire:
    """One end of a connection, with what has come and has not been asked for yet."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = b""
        sock.settimeout(SECONDS)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def socket(self) -> socket.socket:
        """The socket below, for what only it can do."""
        return self._socket

    def send(self, data: bytes) -> Self:
        """Send bytes, in one segment as far as TCP allows."""
        self._socket.sendall(data)
        return self

    def send_slowly(self, data: bytes) -> Self:
        """Send each byte in a segment of its own, with time for the gateway to read it alone."""
        for byte in data:
            self._socket.sendall(bytes((byte,)))
            time.sleep(0.0005)
        return self

    def pour(self, data: bytes, *, times: int) -> None:
        """Send again and again until the other side has enough of it; fails when it takes everything."""
        with contextlib.suppress(ConnectionError):
            for _ in range(times):
                self._socket.sendall(data)
            raise AssertionError(f"the gateway took {times * len(data)} bytes")

    def poured(self, data: bytes, *, most: int) -> int:
        """Send again and again until the other side takes no more, and return how many bytes it took."""
        self._socket.setblocking(False)
        count = 0
        while count < most and select.select([], [self._socket], [], 0.1)[1]:
            count += self._socket.send(data)
        self._socket.settimeout(SECONDS)
        return count

    def until(self, mark: bytes) -> bytes:
        """Return everything up to and including a mark. Raises `Ended`."""
        while mark not in self._buffer:
            self._more()
        found, mark, self._buffer = self._buffer.partition(mark)
        return found + mark

    def exactly(self, count: int) -> bytes:
        """Return this many bytes. Raises `Ended`."""
        while len(self._buffer) < count:
            self._more()
        found, self._buffer = self._buffer[:count], self._buffer[count:]
        return found

    def is_reset(self) -> bool:
        """Say whether the other side ends the connection with a reset, and not in order."""
        try:
            return self._socket.recv(1) != b""
        except ConnectionResetError:
            return True

    def rest(self) -> bytes:
        """Return everything until the other side has closed; a reset is an end as well."""
        with contextlib.suppress(Ended):
            while True:
                self._more()
        found, self._buffer = self._buffer, b""
        return found

    def is_quiet(self) -> bool:
        """Say whether nothing, not even an end, has come that was not asked for."""
        return not self._buffer and not select.select([self._socket], [], [], 0)[0]

    def has_ended(self) -> bool:
        """Wait for the end of the connection, and say whether nothing came before it."""
        return self.rest() == b""

    def message(self, *, bodyless: bool = False) -> Message:
        """Return the next message, its body framed as RFC 9112 section 6.3 says. Raises `Ended`.

        `bodyless`: it answers a HEAD request.
        """
        start, *lines = self.until(b"\r\n\r\n")[:-4].split(b"\r\n")
        message = Message(start=start, lines=tuple(lines))
        is_response = start.startswith(b"HTTP/")
        if bodyless or (is_response and (message.status < 200 or message.status in {204, 304})):
            return message
        if message.is_chunked:
            return self._chunks(message)
        lengths = message.values("content-length")
        assert len(lengths) < 2, lengths
        body = self.rest() if is_response and not lengths else self.exactly(int((lengths or [b"0"])[0]))
        return replace(message, body=body, raw_body=body)

    def chunk(self) -> bytes:
        """Return the data of the next chunk, b"" for the last one. Raises `Ended`."""
        size = int(self.until(b"\r\n"), 16)
        return self.exactly(size + 2)[:-2] if size else b""

    def close(self) -> None:
        """Close both directions."""
        self._socket.close()

    def half_close(self) -> None:
        """Say that nothing more will be sent."""
        self._socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close with a TCP reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def finish(self) -> None:
        """Close, and return once the gateway has closed as well, so that no test meets what another left."""
        if self._socket.fileno() < 0:
            return
        with self._socket as sock, contextlib.suppress(ConnectionError, ssl.SSLError):
            with contextlib.suppress(OSError):  # not connected any more
                sock.shutdown(socket.SHUT_WR)
            try:
                while not isinstance(sock, ssl.SSLSocket) and sock.recv(65536):
                    pass
            except TimeoutError:
                raise AssertionError("the gateway keeps a connection whose other end has closed") from None

    def _more(self) -> None:
        try:
            data = self._socket.recv(65536)
        except (ConnectionError, ssl.SSLError) as error:
            raise Ended(self._buffer) from error
        if not data:
            raise Ended(self._buffer)
        self._buffer += data

    def _chunks(self, message: Message) -> Message:
        body = raw = b""
        while True:
            line = self.until(b"\r\n")
            raw += line
            size = int(line.partition(b";")[0], 16)
            if size == 0:
                break
            data = self.exactly(size + 2)
            assert data.endswith(b"\r\n"), data[-8:]
            raw, body = raw + data, body + data[:-2]
        trailers = []
        while (line := self.until(b"\r\n")) != b"\r\n":
            trailers.append(line[:-2])
        return replace(message, body=body, raw_body=raw, trailers=tuple(trailers))
