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

from gateway.edge.connection import Connection
from gateway.edge.upgraded import take_over
from gateway.model import Framing, Line, RequestHead
from gateway.pipeline import PAGE_FIELDS
from gateway.proxy import BodyBroken, BodyTooLarge, ClientLeft, Switched
from gateway.web import Answer

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
_LAST_CHUNK = b"0\r\n\r\n"
_CONTINUE = 100
_SWITCHING = 101
_UPGRADE_REQUIRED = 426
# Looking up a member of an enum costs as much as ten of these (Python 3.11).
_CHUNKED, _CLOSE, _NO_BODY = Framing.CHUNKED, Framing.CLOSE, Framing.NONE
_COPIED = 16 * 1024
"""Bytes up to which copying a body behind its head is cheaper than handing over two buffers."""


@lru_cache(maxsize=2)
def _date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()


def _lines(lines: Sequence[Line]) -> bytes:
    return b"".join([b"%b: %b\r\n" % line for line in lines])


def _head(status: int, reason: bytes, lines: Sequence[Line], end: bytes) -> bytes:
    return b"HTTP/1.1 %d %b\r\n%b%b" % (status, reason, _lines(lines), end)


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
        "_expects",
        "_head",
        "_held",
        "_max_request",
        "_pages",
        "bytes_in",
        "bytes_out",
        "keep_alive",
        "started",
        "status",
    )

    def __init__(
        self, connection: Connection, head: RequestHead, body: StreamReader, *, keep_alive: bool
    ) -> None:
        self._connection = connection
        self._head = head
        self._body = body
        self._held = b""
        """The head, until there is something to send it with: one write instead of two."""
        self._max_request: int | None = None
        self._pages: tuple[Line, ...] = ()
        self._chunked = False
        self._drop = False
        # An HTTP/1.0 client's expectation is ignored (RFC 9110 section 10.1.1).
        self._expects = self._continue_due = (
            b"expect" in head.fields and head.version == (1, 1) and head.framing is not _NO_BODY
        )
        self.keep_alive = keep_alive
        self.started = False
        self.status = 0
        self.bytes_in = 0
        self.bytes_out = 0

    def limit_body(self, max_request: int | None) -> None:
        """Refuse to read more than this many bytes of the request body."""
        self._max_request = max_request

    def tell_pages(self, lines: tuple[Line, ...]) -> None:
        """Have the answer say this about pages of other origins, whatever else it says about them."""
        self._pages = lines

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
        if self._continue_due:
            self.interim(_CONTINUE, b"Continue", ())

    def interim(self, status: int, reason: bytes, lines: Sequence[Line]) -> None:
        """Write the head of an interim response; nothing for an HTTP/1.0 client, or once the answer has
        begun. A client that waits for a 100 gets one, however many come."""
        transport = self._connection.transport
        if transport is None or self.started or self._head.version == (1, 0):
            return
        if status == _CONTINUE and self._expects:
            is_due = self._continue_due and self._body.total_bytes == 0
            self._continue_due = False
            if not is_due:
                return
        self._connection.note_interim()
        transport.write(_head(status, reason, lines, b"\r\n"))

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
        if self._continue_due or not self._body.is_eof() or self._connection.ends:
            self.keep_alive = False
        if self._pages:
            lines = [line for line in lines if line[0].lower() not in PAGE_FIELDS]
            lines += self._pages
        parts = [b"HTTP/1.1 %d %b" % (status, reason), *map(b": ".join, lines)]
        if status == _UPGRADE_REQUIRED and any(name.lower() == b"upgrade" for name, _ in lines):
            # RFC 9110 section 7.8: whoever sends Upgrade names it in Connection.
            parts.append(b"Connection: Upgrade")
        if (framing is _CHUNKED or framing is _CLOSE) and not self._drop:
            # A body without a length: chunked, or to the end of the connection for HTTP/1.0 (RFC 9112 6.1).
            if head.version == (1, 1):
                self._chunked = True
                parts.append(b"Transfer-Encoding: chunked")
            else:
                self.keep_alive = False
                self._connection.ends_answer = True
        if not self.keep_alive:
            parts.append(b"Connection: close")
        elif head.version == (1, 0):
            parts.append(b"Connection: keep-alive")
        parts.append(b"\r\n")
        self._held = b"\r\n".join(parts)

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

    def finish(self, trailers: Sequence[Line] = ()) -> None:
        """End the response cleanly, with trailers where it is chunked."""
        if self._chunked:
            self._held += _LAST_CHUNK if not trailers else b"0\r\n" + _lines(trailers) + b"\r\n"
        if self._held:
            self._flush()

    def switch(self, reason: bytes, lines: Sequence[Line]) -> Switched:
        """Write a 101 with these lines, and let go of the connection. Raise `ClientLeft`."""
        transport = self._connection.transport
        if transport is None:
            raise ClientLeft
        self.started = True
        self.keep_alive = False
        self.status = _SWITCHING
        transport.write(_head(_SWITCHING, reason, lines, b"Connection: Upgrade\r\n\r\n"))
        return take_over(self._connection)

    def abort(self) -> None:
        """Cut the connection, so that a truncated body cannot be mistaken for a whole one."""
        self.keep_alive = False
        self._held = b""
        connection = self._connection
        # Whoever waits for the client learns it first, and not from the cancellation that follows.
        waiter, connection._drain_waiter = connection._drain_waiter, None  # noqa: SLF001
        if waiter is not None and not waiter.done():
            waiter.set_exception(ConnectionAbortedError())
        connection.cut()

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
