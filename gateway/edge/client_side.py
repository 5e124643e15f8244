"""The client's side of one exchange: its request body in, one response out, as raw HTTP/1.1.

aiohttp parses requests; responses are written here, because a transparent proxy must keep header lines as
they are, and aiohttp's own writer rewrites, adds and drops some.
"""

import time
from collections.abc import Sequence
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from aiohttp import StreamReader
from aiohttp.web import RequestHandler

from gateway.model import Framing, Line, RequestHead
from gateway.proxy import BodyBroken, BodyTooLarge, ClientLeft
from gateway.web import Answer

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"
_COPIED = 16 * 1024
"""Bytes up to which copying a body behind its head is cheaper than handing over two buffers."""


@lru_cache(maxsize=2)
def _date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()


def bodyless(method: str, status: int) -> bool:
    """Say whether a response never carries a body, whatever its header says (RFC 9112 section 6.3)."""
    return method == "HEAD" or status in {204, 304}


class ClientSide:
    """What the forwarder sees of the client, and what the edge learns of the exchange afterwards."""

    __slots__ = (
        "_body",
        "_chunked",
        "_connection",
        "_continue_due",
        "_drop",
        "_head",
        "_held",
        "_max_request",
        "bytes_in",
        "bytes_out",
        "finished",
        "keep_alive",
        "started",
        "status",
    )

    def __init__(
        self, connection: RequestHandler, head: RequestHead, body: StreamReader, *, keep_alive: bool
    ) -> None:
        self._connection = connection
        self._head = head
        self._body = body
        self._held = b""
        """The head, until there is something to send it with: one write instead of two."""
        self._max_request: int | None = None
        self._chunked = False
        self._drop = False
        self._continue_due = (
            head.version == (1, 1) and b"expect" in head.fields and head.framing is not Framing.NONE
        )
        self.keep_alive = keep_alive
        self.started = False
        self.finished = False
        self.status = 0
        self.bytes_in = 0
        self.bytes_out = 0

    def limit_body(self, max_request: int | None) -> None:
        """Refuse to read more than this many bytes of the request body."""
        self._max_request = max_request

    @property
    def writable(self) -> bool:
        """Whether the client is still there."""
        transport = self._connection.transport
        return transport is not None and not transport.is_closing()

    async def read(self) -> bytes:
        """Return the next bytes of the request body, b"" at its end.

        Raise `BodyTooLarge`, `BodyBroken` when its framing is bad, `ClientLeft`.
        """
        try:
            data = await self._body.readany()
        except ConnectionError as error:
            raise ClientLeft from error
        except Exception as error:
            if not self.writable:
                raise ClientLeft from error
            raise BodyBroken from error
        self._continue_due = False
        self.bytes_in += len(data)
        if self._max_request is not None and self.bytes_in > self._max_request:
            raise BodyTooLarge
        return data

    def continue_(self) -> None:
        """Tell a client that waits for it to send its body; nothing for any other client."""
        transport = self._connection.transport
        if self._continue_due and transport is not None and not self.started and self._body.total_bytes == 0:
            transport.write(_CONTINUE)
        self._continue_due = False

    def start(self, status: int, reason: bytes, lines: Sequence[Line], framing: Framing) -> None:
        """Write the head of the response. Lines go out as they are; framing and Connection are added here."""
        transport = self._connection.transport
        head = self._head
        self.started = True
        self._drop = bodyless(head.method, status)
        if transport is None:
            return
        self.status = status
        # A client that may still be sending its body cannot be trusted to know where the next request starts.
        if self._continue_due or not self._body.is_eof() or self._connection_ends():
            self.keep_alive = False
        parts = [b"HTTP/1.1 %d %s\r\n" % (status, reason)]
        for name, value in lines:
            parts += (name, b": ", value, b"\r\n")
        if framing in {Framing.CHUNKED, Framing.CLOSE} and not self._drop:
            # A body without a length: chunked, or to the end of the connection for HTTP/1.0 (RFC 9112 6.1).
            if head.version == (1, 1):
                self._chunked = True
                parts.append(b"Transfer-Encoding: chunked\r\n")
            else:
                self.keep_alive = False
        if not self.keep_alive:
            parts.append(b"Connection: close\r\n")
        elif head.version == (1, 0):
            parts.append(b"Connection: keep-alive\r\n")
        parts.append(b"\r\n")
        self._held = b"".join(parts)

    def write(self, data: bytes) -> None:
        """Write bytes of the response body; what a HEAD, 204 or 304 must not carry is dropped."""
        if self._drop or not data:
            return
        transport = self._connection.transport
        if transport is None:
            return
        self.bytes_out += len(data)
        held, self._held = self._held, b""
        if self._chunked:
            transport.writelines((held, b"%x\r\n" % len(data), data, b"\r\n"))
        elif not held:
            transport.write(data)
        elif len(data) <= _COPIED:
            transport.write(held + data)
        else:
            transport.writelines((held, data))

    def _flush(self) -> None:
        held, self._held = self._held, b""
        transport = self._connection.transport
        if held and transport is not None:
            transport.write(held)

    async def drain(self) -> None:
        """Wait while the client reads more slowly than we write. Raise `ClientLeft`."""
        connection = self._connection
        if connection.transport is None:
            raise ClientLeft
        if self._held:
            self._flush()
        if connection.writing_paused:
            try:
                await connection._drain_helper()  # noqa: SLF001 - aiohttp's own flow control of this transport
            except ConnectionError as error:
                raise ClientLeft from error
            if connection.transport is None:
                raise ClientLeft

    def finish(self) -> None:
        """End the response cleanly."""
        self.finished = True
        if self._chunked:
            self._held += _LAST_CHUNK
        if self._held:
            self._flush()

    def abort(self) -> None:
        """Cut the connection, so that a truncated body cannot be mistaken for a whole one."""
        self.keep_alive = False
        self._held = b""
        transport = self._connection.transport
        if transport is not None:
            transport.abort()

    def answer(self, answer: Answer) -> None:
        """Write an answer that the gateway makes itself, whole."""
        if not self.writable:
            return
        if answer.close:
            self.keep_alive = False
        # RFC 9110 section 6.6.1: an origin server with a clock sends the date.
        lines = [*answer.lines, (b"Date", _date(int(time.time())))]
        if answer.status not in {204, 304}:
            lines.append((b"Content-Length", b"%d" % len(answer.body)))
        self.start(answer.status, _REASONS.get(answer.status, b""), lines, Framing.LENGTH)
        self.write(answer.body)
        self.finish()

    def _connection_ends(self) -> bool:
        return self._connection._close or self._connection._force_close  # noqa: SLF001 - set by a drain
