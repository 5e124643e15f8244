"""The clients' listener: makes a connection of each client, with what all of them share."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Collection
from typing import Final, Protocol

from aiohttp import http_parser
from aiohttp.http_parser import HttpRequestParser

from gateway.edge.admission import Admission
from gateway.edge.connection import READ_AHEAD, Connection, Incoming
from gateway.edge.flaws import Flaw, flaw_of
from gateway.edge.server_tls import ServerTls
from gateway.edge.tls import TlsLayer
from gateway.observability import log
from gateway.settings import Settings

_MOST_FIELDS: Final = 256
"""Header lines of one request."""
_REQUEST_LINE: Final = 64
"""Bytes of a request line besides its target."""
_MOST_UNWANTED: Final = 256
"""Clients beyond the limit that are told so. Whoever comes on top of them is cut off without a word, or the
refused would be as many as the limit is there to prevent."""
_LINGER: Final = 2.0
"""Seconds for which the bytes of a client that has had its last answer are thrown away."""
_LAST_CALL: Final = 1.0
"""Seconds for which an idle connection is kept in a drain: a client that uses it again in this time is told
to close it with an answer, and none of its requests meets a closed door."""
_SAID_EVERY: Final = 10.0
"""Seconds between two log lines about the same."""


class ParserMissing(Exception):
    """aiohttp runs without its C parser, whose strictness the gateway depends on."""


class Door(Protocol):
    """Whoever answers requests."""

    async def __call__(self, incoming: Incoming) -> bool:
        """Answer one request and say whether the connection may be used again. Never raises, but for
        cancellation: the client left, or a drain ran out of time."""


class Listener:
    """Makes connections, counts them and what they are doing, and ends them."""

    def __init__(self, door: Door, settings: Settings, tls: ServerTls | None = None) -> None:
        """Without `tls`, connections are plain."""
        if HttpRequestParser is http_parser.HttpRequestParserPy:
            message = (
                "aiohttp runs without its C parser; unset AIOHTTP_NO_EXTENSIONS or install a binary wheel"
            )
            raise ParserMissing(message)
        self.door = door
        self.header_timeout = settings.header_timeout
        self.keepalive_timeout = settings.keepalive_timeout
        self.largest_head = settings.max_target_bytes + settings.max_header_bytes + _REQUEST_LINE
        """Bytes of one head as it comes, with all its line ends."""
        self.linger = _LINGER
        self.draining = False
        """Whether every answer is the last of its connection."""
        self.on_lost: Callable[[], None] | None = None
        """Called for each connection that has ended."""
        self.silent = 0
        """Connections that ended without a request."""
        self.interim = 0
        """Interim answers (1xx) that were sent."""
        self.handshakes: Counter[str] = Counter()
        """Handshakes of TLS by how they ended."""
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._admission = Admission(settings)
        self._connections: set[Connection] = set()
        self._changed: asyncio.Event | None = None
        self._new = 0
        """Connections that have not sent a request yet."""
        self._said = float("-inf")
        self._longest_target = settings.max_target_bytes
        # The parser's complaint tells the two limits apart only by their size.
        same = settings.max_header_bytes == settings.max_target_bytes
        self._largest_field = settings.max_header_bytes + same

    def __call__(self) -> asyncio.BaseProtocol:
        """Return the protocol of a new connection."""
        connection = Connection(self, self._loop)
        if self._tls is None:
            return connection
        return TlsLayer(connection, self._tls.context, self.handshakes)

    @property
    def connections(self) -> Collection[Connection]:
        """The connections that have not ended."""
        return self._connections

    # What connections tell and ask.

    def parser(self, connection: Connection) -> HttpRequestParser:
        """Return a parser that stops behind each request."""
        return HttpRequestParser(
            connection,
            self._loop,
            READ_AHEAD,
            max_line_size=self._longest_target,
            max_field_size=self._largest_field,
            max_headers=_MOST_FIELDS,
            auto_decompress=False,
            max_msg_queue_size=1,
        )

    def flaw_of(self, error: Exception) -> Flaw:
        """Return what is wrong with a request that the parser gave up on."""
        return flaw_of(error, longest_target=self._longest_target)

    def arrived(self, connection: Connection) -> Flaw | None:
        """Note a connection, and say why it is one too many."""
        self._connections.add(connection)
        self._new += 1
        return self._admission.enter(connection.peer)

    @property
    def is_overrun(self) -> bool:
        """Whether so many clients are being turned away that more of them get no answer."""
        overrun = len(self._connections) - self._admission.admitted > _MOST_UNWANTED
        if overrun and self._loop.time() - self._said >= _SAID_EVERY:
            self._said = self._loop.time()
            log.warning("connections_cut_off", open=len(self._connections))
        return overrun

    def heard(self) -> None:
        """Note that a connection has sent its first request, or never will."""
        self._new -= 1
        self.note_change()

    def lost(self, connection: Connection, *, admitted: bool) -> None:
        """Note that a connection is no more."""
        if connection.is_new:
            connection.is_new = False
            self.silent += 1
            self.heard()
        if admitted:
            self._admission.leave(connection.peer)
        if self.on_lost is not None:
            self.on_lost()

    def gone(self, connection: Connection) -> None:
        """Note that a connection and what it asked for have ended."""
        self._connections.discard(connection)
        self.note_change()

    def note_change(self) -> None:
        """Note that something has changed that the end may wait for."""
        if self._changed is not None:
            self._changed.set()

    # The end.

    def drain(self) -> None:
        """Make every answer the last of its connection, and idle connections end soon."""
        self.draining = True
        self.keepalive_timeout = min(self.keepalive_timeout, _LAST_CALL)
        self.linger = min(self.linger, _LAST_CALL)
        for connection in self._connections:
            connection.retire_within(_LAST_CALL)

    async def quiet(self) -> None:
        """Return when no connection is idle any more that has been used."""
        await self._until(lambda: not any(one.is_idle and not one.is_new for one in self._connections))

    async def all_heard(self) -> None:
        """Return when every client that has connected has sent a request, every one that has begun another
        has sent all of its head, or they have left."""
        await self._until(lambda: not self._new and not any(one.is_begun for one in self._connections))

    async def parted(self) -> None:
        """Return when every client has what it was sent last, and has closed or had the time to."""
        await self._until(lambda: not any(one.is_ending for one in self._connections))

    async def close(self, *, within: float) -> None:
        """End every connection. What is left to send gets so many seconds."""
        for connection in list(self._connections):
            connection.end()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._until(lambda: not self._connections)
        for connection in self._connections:
            connection.cut()

    async def _until(self, holds: Callable[[], bool]) -> None:
        self._changed = changed = asyncio.Event()
        while not holds():
            changed.clear()
            await changed.wait()
