"""One client connection: its requests one after the other, its time, and an end that loses nothing.

aiohttp's parser gets one request at a time: what follows is looked at when the answer is written.
So a request is answered whatever comes behind it, answers keep their order, and a client that sends requests
without reading answers has one of them parsed and `READ_AHEAD` bytes waiting, and no more.
"""

import asyncio
import re
import select
import socket
import struct
from enum import Enum
from fcntl import ioctl
from termios import TIOCOUTQ
from typing import TYPE_CHECKING, Final, cast

from aiohttp import StreamReader
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.tcp_helpers import tcp_keepalive
from aiohttp.web_protocol import ERROR, RequestPayloadError

from gateway.edge.extent import Chunked, Counted, Extent
from gateway.edge.flaws import HEAD_TOO_LARGE, TOO_SLOW, Flaw
from gateway.model import ClientCertificate, Reason
from gateway.proxy import Deadline

if TYPE_CHECKING:
    from gateway.edge.head import Block
    from gateway.edge.listener import Listener

READ_AHEAD: Final = 64 * 1024
"""Bytes of a request body, or of later requests, that wait in memory before the client is held up."""
_PIECE: Final = 16 * 1024
"""Bytes that are looked at at once when there may be more than one request."""
_HEAD_END: Final = b"\r\n\r\n"
_EMPTY_LINES: Final = re.compile(rb"(?:\r\n)*")
_LONGEST_LENGTH: Final = 18
"""Digits of a Content-Length that is not refused for its size alone."""
_SILENT: Final = 2.0
"""Seconds for which a client that is turned away may be silent, before there is nothing to tell it."""
_STUCK: Final = 10.0
"""Seconds in which a client must take some of the bytes that are left for it, once there will be no more."""
_COUNT: Final = struct.Struct("i")
_RESET: Final = struct.pack("ii", 1, 0)
"""To linger for no time at all: the system then ends the connection with a reset."""


class _State(Enum):
    IDLE = "nothing of a request has come"
    HEAD = "a part of a head has come"
    ASKED = "a request is with the door"
    STALLED = "answered, and the client does not read"
    UNWANTED = "turned away, and nothing has come"
    SWITCHED = "carries another protocol"
    ENDING = "no more requests"


# Looking a member up in its enum costs ten times what a global does.
_IDLE, _HEAD, _ASKED, _ENDING = _State.IDLE, _State.HEAD, _State.ASKED, _State.ENDING
_READING = (_IDLE, _HEAD)


class Incoming:
    """One parsed request, or the reason why there is none."""

    __slots__ = ("body", "connection", "diagnosis", "flaw", "message")

    def __init__(
        self,
        connection: "Connection",
        message: RawRequestMessage,
        body: StreamReader,
        flaw: Reason | None = None,
        diagnosis: str = "",
    ) -> None:
        self.connection = connection
        self.message = message
        self.body = body
        self.flaw = flaw
        self.diagnosis = diagnosis


class Connection(BaseProtocol):
    """A client's connection. `transport` is None once it has ended."""

    __slots__ = (
        "__weakref__",
        "_admitted",
        "_body",
        "_deadline",
        "_extent",
        "_flaw",
        "_head_bytes",
        "_head_tail",
        "_held",
        "_listener",
        "_state",
        "_task",
        "_unsent",
        "block",
        "certificate",
        "ends_answer",
        "is_new",
        "peer",
    )

    def __init__(self, listener: "Listener", loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._listener = listener
        self._state = _IDLE
        self._task: asyncio.Task[None] | None = None
        self._body: StreamReader | None = None
        self._extent: Extent | None = None
        """How far the body reaches, None when there is none."""
        self._held: bytearray | None = None
        """Bytes behind the request that is being answered."""
        self._head_bytes = 0
        self._head_tail = b""
        """The last bytes of a part of a head: its end may be cut, too."""
        self._flaw: Flaw | None = None
        """Why nothing is read any more."""
        self._deadline = Deadline(loop)
        self._unsent = 0
        self._admitted = False
        self.block: Block | None = None
        """What the header lines of its last request say."""
        self.certificate: ClientCertificate | None = None
        """What the client has proved to hold, once TLS is agreed."""
        self.ends_answer = False
        """The end of the connection is the end of the answer, too."""
        self.is_new = True
        """No request has come yet."""
        self.peer = ""
        """Address of the client, empty for a unix socket."""

    @property
    def ends(self) -> bool:
        """Whether the next answer is the last."""
        return self._listener.draining

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request, and none has begun to come."""
        return self._state is _IDLE

    @property
    def is_begun(self) -> bool:
        """Whether a part of a request's head has come, and not the rest."""
        return self._state is _HEAD

    @property
    def is_ending(self) -> bool:
        """Whether it carries no more requests, and its client has not closed it yet."""
        return self._state is _ENDING and self.transport is not None

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection, unless there are too many, or nobody can say whose it is."""
        # uvloop has switched the delay of small segments off.
        self.transport = cast("asyncio.Transport", transport)
        # Read once, here, and kept. Of a client that has reset its connection the system gives what it sent,
        # and not its address: it would count as a unix socket, whose forwarding fields may be trusted.
        peername = transport.get_extra_info("peername")
        if isinstance(peername, tuple):
            # A socket that takes clients of both kinds shows those of IPv4 as mapped addresses.
            self.peer = peername[0].removeprefix("::ffff:")
        self._flaw = self._listener.arrived(self)
        self._admitted = self._flaw is None
        if peername is None or (self._flaw is not None and self._listener.is_overrun):
            self.transport.abort()
        elif self._flaw is not None:
            self._state = _State.UNWANTED
            self._expect_within(_SILENT)
        else:
            tcp_keepalive(self.transport)
            self._expect_within(self._listener.header_timeout)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Take the end of the connection: what is being answered ends, too."""
        is_switched = self._state is _State.SWITCHED
        self._state = _ENDING
        self._deadline.stop()
        body, task = self._body, self._task
        if body is not None and not body.is_eof():
            body.set_exception(exc or ConnectionResetError("the client left"))
        super().connection_lost(exc)
        self._parser = self._held = None
        self._listener.lost(self, admitted=self._admitted)
        if task is None:
            self._listener.gone(self)
            return
        task.add_done_callback(lambda _: self._listener.gone(self))
        if not is_switched:
            task.cancel()

    def note_interim(self) -> None:
        """Note that the client is sent an interim answer."""
        self._listener.interim += 1

    def data_received(self, data: bytes) -> None:
        """Take bytes from the client."""
        state = self._state
        if state is _ASKED:
            body = self._body
            if body is not None and not body.is_eof():
                self._hold(self._read_body(body, data))
            elif self._flaw is None:
                self._hold(data)
        elif state is _IDLE or state is _HEAD:
            if len(data) > _PIECE:
                self._hold(data)
                self._read_held()
            elif rest := self._read_head(data):
                self._hold(rest)
                self._read_held()
        elif state is _State.STALLED:
            self._hold(data)
        elif state is _State.UNWANTED and self._flaw is not None:
            self._refuse(self._flaw)

    def eof_received(self) -> bool:
        """Take the client's end: one that half-closes has left. Say whether it gets what is left for it."""
        transport = self.transport
        if self._state is _ASKED:
            self.cut()
        elif transport is not None and transport.get_write_buffer_size():
            # Somebody has to look after it: it may take nothing, for ever.
            if self._state is not _ENDING:
                self._end()
            return True
        return False

    def resume_writing(self) -> None:
        """Let answers go on."""
        super().resume_writing()
        if self._state is _State.STALLED:
            self._next()

    # For whoever answers.

    def let_go(self) -> bytes:
        """Read nothing more, and return what the client has sent behind its request, which asked for an
        upgrade and has no body.

        For whoever has written the 101, and puts another protocol in this one's place: from here on it must
        be told `connection_lost`, and nothing else. The task of the door is not cancelled then.
        """
        self._state = _State.SWITCHED
        self._upgraded = True
        self._parser = None
        held, self._held = bytes(self._held or b""), None
        if self._buffer_paused:
            self._resume_reading_for_buffer()
        return held

    def cut(self) -> None:
        """End the connection at once, so that an answer that was broken off cannot pass for whole."""
        transport = self.transport
        if transport is None:
            return
        if self.ends_answer and self.peer:
            # An orderly end would be the end of the answer: only a reset says that it is not.
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()

    def end(self) -> None:
        """End the connection when it carries nothing; break off what is being answered."""
        if self._task is not None:
            self._task.cancel()
        elif self._state is not _ENDING and self.transport is not None:
            self._end()

    def retire_within(self, seconds: float) -> None:
        """End the connection unless a request begins to come within so many seconds; at once, when its client
        does not even read."""
        if self._state is _State.STALLED:
            self._end()
        elif self._state is _IDLE and not self.is_new:
            self._expect_within(seconds)

    # Reading.

    def _read_head(self, data: bytes) -> bytes:
        """Read a head, or a part of one; return what comes behind it."""
        if self._state is _IDLE and data.startswith(b"\r\n"):
            # Line ends before a request are none of it (RFC 9112 section 2.2).
            data = data[_EMPTY_LINES.match(data).end() :]  # type: ignore[union-attr] # it matches anything
        tail = self._head_tail
        end = (tail + data).find(_HEAD_END)
        reach = len(data) if end < 0 else end + len(_HEAD_END) - len(tail)
        parser = self._parser
        if parser is None:
            parser = self._parser = self._listener.parser(self)
        head = data if reach == len(data) else data[:reach]
        try:
            messages = parser.feed_data(head)[0]
        except Exception as error:  # noqa: BLE001 - whatever the parser stumbles over, the client is answered
            self._refuse(self._listener.flaw_of(error))
            return b""
        self._head_bytes += reach
        if self._head_bytes > self._listener.largest_head:
            self._refuse(HEAD_TOO_LARGE)
            return b""
        if messages:
            message, body = messages[0]
            self._head_bytes, self._head_tail = 0, b""
            self._extent = None if body is EMPTY_PAYLOAD else _extent_of(message)
            self._ask(Incoming(self, message, body))
        elif self._state is _IDLE and not head.strip(b"\r\n"):
            self._head_bytes = 0
        else:
            self._wait_for_the_rest(head)
        return data[reach:]

    def _wait_for_the_rest(self, head: bytes) -> None:
        if self._state is _IDLE:
            self._state = _HEAD
            self._expect_within(self._listener.header_timeout)
        self._head_tail = (self._head_tail + head)[1 - len(_HEAD_END) :]

    def _read_body(self, body: StreamReader, data: bytes) -> bytes:
        """Read bytes of a body; return what comes behind it."""
        parser, extent = self._parser, self._extent
        if parser is None or extent is None or self._flaw is not None:
            return b""
        try:
            reach = extent.reach(data)
        except ValueError:
            # The parser stumbles over it, too, and knows what to call it.
            reach = len(data)
        try:
            parser.feed_data(data[:reach])
        except Exception as error:  # noqa: BLE001 - as in `_read_head`
            self._break(body, self._listener.flaw_of(error))
        else:
            if extent.is_padded:
                self._break(body, (Reason.MALFORMED_REQUEST, "chunks that carry next to nothing"))
        return data[reach:]

    def _break(self, body: StreamReader, flaw: Flaw) -> None:
        """Tell whoever reads a body that it is broken, and read nothing more."""
        self._flaw = flaw
        if body.exception() is None:
            error = RequestPayloadError(flaw[1])
            body.set_exception(error)
            # The end of a chunk may just have woken a reader: it finds no bytes, and waits again without
            # another look.
            self._loop.call_soon(body.set_exception, error)

    def _hold(self, data: bytes) -> None:
        if not data:
            return
        if self._held is None:
            self._held = bytearray()
        self._held += data
        if len(self._held) >= READ_AHEAD and not self._buffer_paused:
            self._pause_reading_for_buffer()

    def _read_held(self) -> None:
        """Read what was held up, as far as the next request goes."""
        while (held := self._held) is not None and self._state in _READING:
            piece = bytes(held[:_PIECE])
            del held[:_PIECE]
            held[:0] = self._read_head(piece)
            if not held:
                self._held = None
        body = self._body
        if self._held is not None and body is not None and not body.is_eof():
            data, self._held = bytes(self._held), None
            self._hold(self._read_body(body, data))
        if self._buffer_paused and len(self._held or b"") < READ_AHEAD:
            self._resume_reading_for_buffer()

    # Answering.

    def _refuse(self, flaw: Flaw) -> None:
        self._flaw = flaw
        self._ask(Incoming(self, ERROR, EMPTY_PAYLOAD, *flaw))

    def _ask(self, incoming: Incoming) -> None:
        self._state = _ASKED
        self._deadline.lift()
        self._body = incoming.body
        if self.is_new:
            self.is_new = False
            self._listener.heard()
        self._task = self._loop.create_task(self._answer(incoming))

    async def _answer(self, incoming: Incoming) -> None:
        try:
            keep_alive = await self._listener.door(incoming)
        except BaseException:
            # Broken off.
            self._task = None
            self.cut()
            raise
        self._task = None
        if self.transport is None:
            return
        self._body, body = None, incoming.body
        if keep_alive and self._flaw is None and body.is_eof():
            self._next()
        else:
            self._end()

    def _next(self) -> None:
        """Wait for the next request, or begin with it when it is here already."""
        if self._paused:
            self._state = _State.STALLED
            self._expect_within(self._listener.keepalive_timeout)
            if self.ends:
                self._end()
            return
        extent, self._extent = self._extent, None
        if extent is not None and not extent.is_over:
            # The parser sees the end of the body elsewhere than we do.
            self._end()
            return
        self._state = _IDLE
        self._expect_within(self._listener.keepalive_timeout)
        if extent is not None and extent.is_chunked:
            # It keeps the last trailer, for the next request.
            self._parser = None
        elif self._parser is not None:
            self._parser.message_consumed()
        if self._held is not None:
            self._read_held()

    # The end.

    def _end(self) -> None:
        """Send what is left, end our side, and close when the client has ended its own.

        Closing at once would reset the connection of a client that is still sending, and what it has not read
        yet would be lost (RFC 9112 section 9.6).
        """
        transport = self.transport
        self._state, self._parser, self._held = _ENDING, None, None
        self._listener.note_change()
        if transport is None or transport.is_closing():
            return
        self._reading_paused = self._buffer_paused = False
        transport.resume_reading()
        if transport.can_write_eof():
            transport.write_eof()
        self._unsent = _unsent(transport)
        self._expect_within(self._listener.linger)

    def _end_later(self, transport: asyncio.Transport) -> None:
        """Close for good, unless the client still takes what is left for it."""
        before, self._unsent = self._unsent, _unsent(transport)
        if not self._unsent:
            transport.close()
        elif self._unsent < before:
            self._expect_within(_STUCK)
        else:
            self.cut()

    # Time.

    def _expect_within(self, seconds: float) -> None:
        self._deadline.within(seconds, self._time_is_up)

    def _time_is_up(self) -> None:
        transport = self.transport
        if transport is None:
            return
        if self._state is _HEAD:
            self._refuse(TOO_SLOW)
        elif self._state is _ENDING:
            self._end_later(transport)
        elif self._state is _State.STALLED:
            transport.abort()
        elif _has_bytes(transport):
            # They came in this very turn of the loop, and are read in it.
            self._expect_within(_SILENT)
        elif self.is_new:
            transport.close()
        else:
            self._end()


def _extent_of(message: RawRequestMessage) -> Extent:
    if message.chunked:
        return Chunked()
    length = message.headers.get("Content-Length", "")
    # Any other length is refused by whoever reads the head, and its body is not read.
    return Counted(int(length) if length.isdecimal() and len(length) <= _LONGEST_LENGTH else 0)


def _has_bytes(transport: asyncio.Transport) -> bool:
    poller = select.poll()
    poller.register(_descriptor(transport), select.POLLIN)
    return bool(poller.poll(0))


def _unsent(transport: asyncio.Transport) -> int:
    """Return how many bytes wait for a client that is too slow for the system's buffer; 0 when none do.

    What the system has is part of it: it asks for more only when a third of its buffer is free.
    """
    waiting = transport.get_write_buffer_size()
    if not waiting:
        return 0
    try:
        told = ioctl(_descriptor(transport), TIOCOUTQ, bytes(_COUNT.size))
    except OSError:
        return waiting
    taken: int = _COUNT.unpack(told)[0]
    return waiting + taken


def _descriptor(transport: asyncio.Transport) -> int:
    number: int = transport.get_extra_info("socket").fileno()
    return number
