"""aiohttp's low-level server with our door: no router, no framework middleware, no response writer.

The parser's own errors are answered and recorded like every other refusal: aiohttp would send them, with the
offending bytes, before any handler runs.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Protocol, cast

from aiohttp import StreamReader, http_parser, web
from aiohttp.http_exceptions import BadHttpMethod, LineTooLong
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage
from aiohttp.web_protocol import ERROR, RequestPayloadError

from gateway.model import Reason
from gateway.settings import Settings

_MOST_FIELDS = 256
"""Header lines of one request."""
_LINGER = 2.0
"""Seconds for which the rest of a refused body is taken, so that the client reads the answer."""
_READ_AHEAD = 64 * 1024
"""Bytes of a request body that wait in memory for a slow upstream, before the client is held up."""


class ParserMissing(Exception):
    """aiohttp runs without its C parser, whose strictness the gateway depends on."""


class Incoming:
    """One parsed request, or the reason why the parser gave up."""

    __slots__ = ("body", "connection", "flaw", "message")

    def __init__(
        self, connection: "Connection", message: RawRequestMessage, body: StreamReader, flaw: Reason | None
    ) -> None:
        self.connection = connection
        self.message = message
        self.body = body
        self.flaw = flaw

    def _cancel(self, error: BaseException) -> None:
        """The client left: whoever reads the body learns it. Called by aiohttp, as the next."""
        self.body.set_exception(error)


class Door(Protocol):
    """Whoever answers requests."""

    async def __call__(self, incoming: Incoming) -> bool:
        """Answer one request and say whether the connection may be used again. Never raises, but for
        cancellation: the client left, or a drain ran out of time."""


class Connection(web.RequestHandler):
    """One client connection: aiohttp's parser, flow control and timers, with a loop of our own.

    aiohttp's loop makes a task, a response writer and a request object for each request, none of which a
    proxy that writes raw responses has a use for: 10.9 us a request against 14.4.
    """

    is_new = True
    """No request has come yet."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection, or drop it when nobody can say whose it is."""
        super().connection_made(transport)
        # Read once, here, and kept. Of a client that has reset its connection the system gives what it sent,
        # and not its address: it would count as a unix socket, whose forwarding fields may be trusted.
        if self.peername is None:
            cast("asyncio.Transport", transport).abort()

    def data_received(self, data: bytes) -> None:
        """Take bytes from the client. A body that turns out to be broken ends for whoever reads it."""
        super().data_received(data)
        if self._messages and not isinstance(self._messages[-1][0], RawRequestMessage):
            self._break_body()

    def _break_body(self) -> None:
        """Tell the request whose body the parser gave up on.

        aiohttp queues the parser's error as a request of its own and leaves the body waiting; the error
        belongs to the body when there is one that has not ended.
        """
        messages, current = self._messages, cast("Incoming | None", self._current_request)
        body = messages[-2][1] if len(messages) > 1 else None if current is None else current.body
        if body is not None and not body.is_eof() and body.exception() is None:
            messages.pop()
            body.set_exception(RequestPayloadError("the body is broken"))

    async def start(self) -> None:
        """Answer the requests of this connection, one after the other, until one ends it."""
        loop = self._loop
        door = cast("Door", self._request_handler)
        while not self._force_close:
            if not self._messages:
                self._waiter = loop.create_future()
                try:
                    await self._waiter
                finally:
                    self._waiter = None
            if self.is_new:
                self.is_new = False
                if self._manager is not None:
                    cast("Listener", self._manager).heard()
            message, body = self._messages.popleft()
            if self._parser is not None:
                self._parser.message_consumed()
            if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
                self._resume_reading_if_drained()
            if isinstance(message, RawRequestMessage):
                incoming = Incoming(self, message, body, None)
            else:
                incoming = Incoming(self, ERROR, body, self._reason(message.exc))
            self._current_request = cast(web.BaseRequest, incoming)
            self._request_in_progress = True
            try:
                keep_alive = await door(incoming)
            finally:
                self._current_request = None
                self._request_in_progress = False
                if self._handler_waiter is not None:
                    self._handler_waiter.set_result(None)
            self._keepalive = keep_alive
            if not body.is_eof() and not self._force_close:
                await self._linger(body)
                break
            if not keep_alive or self._close or self._force_close:
                break
            self._next_keepalive_close_time = loop.time() + self._keepalive_timeout
            if self._keepalive_handle is None:
                self._keepalive_handle = loop.call_at(
                    self._next_keepalive_close_time, self._process_keepalive
                )
        if not self._force_close:
            self._task_handler = None
            if self.transport is not None:
                self.transport.close()

    async def _linger(self, body: StreamReader) -> None:
        """Take what the client still sends for a while, so that it reads our answer before a reset."""
        with contextlib.suppress(TimeoutError, Exception):
            async with asyncio.timeout(self._lingering_time):
                while not body.is_eof():
                    await body.readany()

    def _reason(self, error: BaseException) -> Reason:
        if isinstance(error, LineTooLong):
            # aiohttp tells the target's limit from the fields' only by its size.
            over_target = str(self.max_line_size) in str(error)
            return Reason.URI_TOO_LONG if over_target else Reason.HEADERS_TOO_LARGE
        if isinstance(error, BadHttpMethod):
            return Reason.NOT_IMPLEMENTED
        if "Too many headers" in str(error):
            return Reason.HEADERS_TOO_LARGE
        return Reason.MALFORMED_REQUEST


class Listener(web.Server):
    """Makes connections and counts what they are doing."""

    def __init__(self, door: Door, settings: Settings) -> None:
        if HttpRequestParser is http_parser.HttpRequestParserPy:
            message = (
                "aiohttp runs without its C parser; unset AIOHTTP_NO_EXTENSIONS or install a binary wheel"
            )
            raise ParserMissing(message)
        super().__init__(
            cast("Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]", door),
            handler_cancellation=True,
        )
        self.on_lost: Callable[[], None] | None = None
        """Called for each connection that has ended."""
        self._new = 0
        """Connections that have not sent a request yet."""
        self._all_heard = asyncio.Event()
        self._settings = settings
        # aiohttp tells the two limits apart only by their size; see `Connection._reason`.
        same = settings.max_header_bytes == settings.max_target_bytes
        self._field_limit = settings.max_header_bytes + same

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Note a connection. Called by aiohttp."""
        super().connection_made(handler, transport)
        self._new += 1

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """Note the end of a connection. Called by aiohttp."""
        super().connection_lost(handler, exc)
        if cast("Connection", handler).is_new:
            self.heard()
        if self.on_lost is not None:
            self.on_lost()

    def heard(self) -> None:
        """Note that a connection has sent its first request, or never will."""
        self._new -= 1
        if not self._new:
            self._all_heard.set()

    async def all_heard(self) -> None:
        """Return when every client that has connected has sent a request, or left."""
        if self._new:
            self._all_heard.clear()
            await self._all_heard.wait()

    def __call__(self) -> web.RequestHandler:
        """Return the protocol of a new connection."""
        return Connection(
            self,
            loop=self._loop,
            keepalive_timeout=self._settings.keepalive_timeout,
            max_line_size=self._settings.max_target_bytes,
            max_field_size=self._field_limit,
            max_headers=_MOST_FIELDS,
            lingering_time=_LINGER,
            auto_decompress=False,
            access_log=None,  # type: ignore[arg-type] # aiohttp's own way to have none
            read_bufsize=_READ_AHEAD,
        )
