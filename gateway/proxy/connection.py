"""One HTTP/1.1 connection to an upstream, which carries one exchange at a time.

Bytes are pulled: the forwarder asks for the head and then for the body, and what has not been asked for is
bounded by `HIGH_WATER`, after which the socket is not read. One timer per connection compares the clock with
a deadline that the exchange moves on, so that no read or write pays for a timer of its own.
"""

import asyncio
import contextlib
import os
import select
from collections.abc import Callable
from typing import Final, cast

from gateway.config import Timeouts
from gateway.model import Line
from gateway.proxy.deadline import Deadline
from gateway.proxy.faults import Fault, UpstreamFault
from gateway.proxy.response import ResponseBroken, ResponseHead, ResponseReader

HIGH_WATER: Final = 65_536
"""Bytes that may wait in one direction before the sender is held back."""

_JOINED_AT_MOST: Final = 16_384


class Connection(asyncio.Protocol):
    """A connection. `idle` until `send_head`, then busy until `end_exchange`."""

    __slots__ = (
        "__weakref__",
        "_chunked",
        "_deadline",
        "_drainer",
        "_ended",
        "_loop",
        "_on_stall",
        "_poller",
        "_problem",
        "_reader",
        "_reading_held",
        "_timeouts",
        "_transport",
        "_unsent",
        "_waiter",
        "_writing_held",
        "busy",
        "closed",
        "exchanges",
        "interim",
        "on_lost",
        "uploading",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._poller = select.poll()
        self._reader = ResponseReader()
        self._timeouts: Timeouts | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._drainer: asyncio.Future[None] | None = None
        self._problem: Exception | None = None
        self._on_stall: Callable[[], None] | None = None
        self._unsent: bytes | None = None
        self._chunked = False
        self._ended = False
        self._reading_held = False
        self._writing_held = False
        self._deadline = Deadline(loop)
        self.busy = False
        self.closed = False
        self.exchanges = 0
        """How many exchanges it has begun to carry."""
        self.uploading = False
        """Whether the request is not complete yet."""
        self.on_lost: Callable[[Connection], None] | None = None
        self.interim: Callable[[int, bytes, list[Line]], None] | None = None
        """Called with the status, reason and lines of each interim response of this exchange, at once."""

    def __repr__(self) -> str:
        state = "closed" if self.closed else "busy" if self.busy else "idle"
        return f"Connection({state}, exchanges={self.exchanges})"

    # What the pool asks.

    def is_usable(self) -> bool:
        """Say whether an idle connection may carry another exchange.

        Asks the socket, not only the loop: the upstream's close, or bytes that nobody asked for, may have
        arrived without the loop having seen them yet.
        """
        transport = self._transport
        return (
            transport is not None
            and not (self.closed or self.busy or self._ended or transport.is_closing())
            and not self._poller.poll(0)
        )

    def rest(self, keepalive: float) -> None:
        """Be idle for at most `keepalive` seconds, then close."""
        self._expect_within(keepalive)

    def abort(self) -> None:
        """Close at once. What has not been sent is lost."""
        self._ended = True
        if self._transport is not None:
            self._transport.abort()

    # One exchange.

    def send_head(
        self,
        head: bytes,
        *,
        bodiless: bool,
        body: bool,
        chunked: bool,
        timeouts: Timeouts,
        switching: bool = False,
    ) -> None:
        """Begin an exchange. `bodiless`: the answer will have no body, because this is a HEAD; `body`: a
        request body follows, ended by `end_body`; `switching`: a 101 is an answer that was asked for."""
        self.busy = True
        self.exchanges += 1
        self.uploading = body
        self._timeouts = timeouts
        self._chunked = chunked
        self._reader.begin(bodiless=bodiless, switching=switching)
        if not body:
            self._write(head)
            self._expect_within(timeouts.response)
        else:
            # The first bytes of the body go in the same write when they are here already.
            self._unsent = head
            self._expect_within(timeouts.idle)

    def flush(self) -> None:
        """Send the head if it still waits for the first bytes of the body."""
        head, self._unsent = self._unsent, None
        if head is not None:
            self._write(head)

    def send(self, data: bytes) -> None:
        """Send bytes of the request body."""
        head, self._unsent = self._unsent, None
        pieces = [data] if head is None else [head, data]
        if self._chunked:
            pieces[-1:] = [b"%x\r\n" % len(data), data, b"\r\n"]
        if len(pieces) == 1:
            self._write(data)
        elif len(data) <= _JOINED_AT_MOST:
            self._write(b"".join(pieces))
        elif self._transport is not None and not self._transport.is_closing():
            self._transport.writelines(pieces)
        if self._timeouts is not None:
            self._expect_within(self._timeouts.idle)

    def end_body(self) -> None:
        """End the request body."""
        self.flush()
        if self._chunked:
            self._write(b"0\r\n\r\n")
        self.uploading = False
        if self._reader.head is None and self._timeouts is not None:
            self._expect_within(self._timeouts.response)

    async def drained(self) -> None:
        """Return once the upstream has taken enough of what was sent. Raises like `head`."""
        while self._writing_held and self._problem is None:
            self._drainer = self._loop.create_future()
            try:
                await self._drainer
            finally:
                self._drainer = None
        if self._problem is not None:
            raise self._problem

    async def head(self) -> ResponseHead:
        """Return the head of the response.

        Raises `UpstreamFault`, or what `fail` was given.
        """
        reader = self._reader
        while reader.head is None:
            if self._problem is not None:
                raise self._problem
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return reader.head

    async def body(self) -> bytes:
        """Return the body bytes that have arrived, waiting for some; b"" at the end. Raises like `head`."""
        reader = self._reader
        while True:
            data = self.body_so_far()
            if self._timeouts is not None:
                self._expect_within(self._timeouts.idle)
            if data:
                return data
            if reader.complete:
                return b""
            if self._problem is not None:
                raise self._problem
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def body_so_far(self) -> bytes:
        """Return the body bytes that have arrived, b"" when there are none."""
        data = self._reader.take()
        if self._reading_held and self._transport is not None and not self._transport.is_closing():
            self._reading_held = False
            self._transport.resume_reading()
        return data

    @property
    def complete(self) -> bool:
        """Whether the whole response has arrived."""
        return self._reader.complete

    @property
    def trailers(self) -> list[Line]:
        """The lines behind the last chunk of a response that is complete."""
        return self._reader.trailers

    @property
    def problem(self) -> Exception | None:
        """What ended the exchange early."""
        return self._problem

    def begin_body(self, *, on_stall: Callable[[], None]) -> None:
        """Count the idle time from here on, and say what interrupts the wait for a client that has stopped
        reading."""
        self._on_stall = on_stall
        if self._timeouts is not None:
            self._expect_within(self._timeouts.idle)

    def fail(self, problem: Exception) -> None:
        """End the exchange with a problem, which `head`, `body` and `drained` raise."""
        if self._problem is None:
            self._problem = problem
        self.abort()
        self._wake()
        if self._drainer is not None and not self._drainer.done():
            self._drainer.set_result(None)

    def detach(self) -> tuple[asyncio.Transport, bytes]:
        """Give away the transport of a connection that has switched protocols (101), and the bytes that came
        behind the head.

        The transport is not being read, and has no timer. Whoever takes it sets a protocol of its own,
        resumes reading, and calls `connection_lost` of this one when the transport has ended, so that the
        pool learns of it. Raises `UpstreamFault` when the connection has ended by then.
        """
        transport = self._transport
        if self._problem is not None:
            raise self._problem
        if transport is None or transport.is_closing():
            raise UpstreamFault(Fault.RESPONSE_HEAD, "the connection was closed after its 101")
        self._transport = None
        self._reader.drop()
        self._deadline.stop()
        return transport, self._reader.behind

    def end_exchange(self) -> bool:
        """End the exchange, whole or not; say whether the connection may carry another. If not, close it."""
        again = (
            self._reader.complete
            and self._reader.reusable
            and not (self.uploading or self._ended or self._reading_held or self._problem is not None)
        )
        self.busy = False
        self.uploading = False
        self._unsent = None
        self._on_stall = None
        self.interim = None
        if not again:
            # A failure holds the frames that it came through, and those hold this connection: left alone, all
            # of it would wait for the garbage collector, with what was not taken of the body.
            self._problem = None
            self._reader.forget()
            self._deadline.stop()
            self.abort()
        return again

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        # The transports of uvloop do not descend from asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=HIGH_WATER)
        self._poller.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        """Take bytes of the response; bytes that nobody asked for end the connection."""
        if not self.busy or self._transport is None:
            self.abort()
            return
        reader = self._reader
        try:
            reader.feed(data)
        except ResponseBroken as broken:
            self.fail(UpstreamFault(self._reading_fault(), str(broken)))
            return
        if reader.interims:
            self._pass_on_interims()
        if (
            (reader.buffered >= HIGH_WATER or reader.switched)
            and not self._reading_held
            and not self._transport.is_closing()
        ):
            self._reading_held = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """Take the upstream's end: nobody half-closes an HTTP connection that is still of use."""
        self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end of the connection, whoever wanted it."""
        if exc is not None and self.uploading and not self._ended:
            self._read_last_words()
        if exc is None and not self._ended:
            # The end of TLS was not told: whoever sits on the wire can end a connection, too (RFC 9112
            # section 9.8).
            exc = ConnectionAbortedError("TLS was not ended")
        self._end(exc)
        self.closed = True
        self._writing_held = False
        if self._drainer is not None and not self._drainer.done():
            self._drainer.set_result(None)
        self._reader.drop()
        self._transport = None
        if self._on_stall is None:
            self._deadline.stop()
        if self.on_lost is not None:
            self.on_lost(self)

    def pause_writing(self) -> None:
        """Hold the upload back."""
        self._writing_held = True

    def resume_writing(self) -> None:
        """Let the upload go on."""
        self._writing_held = False
        if self._timeouts is not None and self.uploading:
            self._expect_within(self._timeouts.idle)
        if self._drainer is not None and not self._drainer.done():
            self._drainer.set_result(None)

    # Below: private.

    def _pass_on_interims(self) -> None:
        interims, self._reader.interims = self._reader.interims, []
        if self.interim is not None:
            for status, reason, lines in interims:
                self.interim(status, reason, lines)

    def _read_last_words(self) -> None:
        """Read the answer of an upstream that did not want the body to its end, and reset the connection.

        The loop gave up because it could not write, and closes the socket only behind `connection_lost`. What
        was encrypted cannot be read any more.
        """
        transport = self._transport
        if transport is None or transport.get_extra_info("sslcontext") is not None:
            return
        number = transport.get_extra_info("socket").fileno()
        with contextlib.suppress(OSError):
            while self._reader.buffered < HIGH_WATER and (data := os.read(number, HIGH_WATER)):
                self.data_received(data)

    def _end(self, exc: Exception | None = None) -> None:
        if not self._ended and self.busy and self._problem is None:
            try:
                self._reader.eof(exc)
            except ResponseBroken as broken:
                self._problem = UpstreamFault(self._reading_fault(), str(broken))
        self._ended = True
        self._wake()

    def _reading_fault(self) -> Fault:
        if self._reader.head is not None:
            return Fault.RESPONSE_BODY_UPSTREAM
        return Fault.REQUEST_BODY_UPSTREAM if self.uploading else Fault.RESPONSE_HEAD

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _write(self, data: bytes) -> None:
        # A transport that is closing would only warn; the end of the connection is told elsewhere.
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _expect_within(self, seconds: float) -> None:
        self._deadline.within(seconds, self._time_is_up)

    def _time_is_up(self) -> None:
        if self.busy:
            self._time_out()
        else:
            self.abort()

    def _time_out(self) -> None:
        """Blame whoever the exchange is waiting for: the client, when that lets neither side go on."""
        has_begun = self._reader.head is not None
        if has_begun and self._waiter is None:
            # Also when the connection has ended meanwhile: only the client can still be waited for.
            self._give_up(Fault.RESPONSE_BODY_CLIENT, "the client stopped reading the response body")
            if self._on_stall is not None:
                self._on_stall()
        elif self.uploading and self._writing_held:
            self._give_up(Fault.REQUEST_BODY_TIMEOUT, "the upstream stopped reading the request body")
        elif self.uploading:
            self._give_up(Fault.REQUEST_BODY_CLIENT, "the client stopped sending the request body")
        elif has_begun:
            self._give_up(Fault.RESPONSE_BODY_UPSTREAM, "the response body stopped coming")
        else:
            self._give_up(Fault.RESPONSE_HEAD_TIMEOUT, "no response within the time allowed")

    def _give_up(self, fault: Fault, diagnosis: str) -> None:
        self.fail(UpstreamFault(fault, diagnosis))
