"""A worker's end of the way on which connections reach it; the other end is `Hand`."""

import asyncio
import os
import resource
import socket
from collections.abc import Callable
from typing import Final

import structlog

from gateway.workers.hand import DRAINING, LEAVING, NO_MORE, TOLD, receive

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("gateway.workers")

_AT_ONCE: Final = 32
"""Connections that are taken in one turn of the loop: a flood of them leaves time for requests."""
_AGAIN: Final = 0.05
"""Seconds after which a supervisor that took no message is told again."""
_SPARE: Final = 64
"""Open files that connections leave to the rest: upstreams, stores, the spool."""
_FULL_PAUSE: Final = 0.2
"""Seconds without taking connections when there are too many open files."""
_SAID_EVERY: Final = 10.0
"""Seconds between two log lines that say so."""


class Arrivals:
    """Makes connections of this loop out of those that the supervisor gives, and tells it when they end."""

    def __init__(
        self,
        hand: socket.socket,
        protocol: Callable[[], asyncio.BaseProtocol],
        *,
        highest: int | None = None,
    ) -> None:
        """`protocol` makes the protocol of one connection. Whoever makes it calls `ended` once for each
        connection that was made. Beyond the descriptor `highest`, None for what the limit on open files
        leaves, no more connections are taken: they wait, or another worker takes them."""
        self._hand = hand
        self._highest = _highest() if highest is None else highest
        self._said = float("-inf")
        self._pausing: asyncio.TimerHandle | None = None
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._taken = self._ended = self._mood = 0
        self._telling: asyncio.Handle | None = None
        self._group: asyncio.TaskGroup | None = None
        self._no_more = self._loop.create_future()
        self.orphaned = self._loop.create_future()
        """Done when the supervisor is gone."""

    async def run(self) -> None:
        """Take connections until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._loop.add_reader(self._hand, self._take)
                await self._loop.create_future()
        finally:
            self._group = None
            self._loop.remove_reader(self._hand)
            for handle in (self._telling, self._pausing):
                if handle is not None:
                    handle.cancel()

    def ended(self) -> None:
        """Note that a connection has ended. The supervisor is told at the end of the turn."""
        self._ended += 1
        self._tell_soon()

    def drain(self) -> None:
        """Ask the supervisor to give connections to others, as long as there are any."""
        self._mood = DRAINING
        self._tell_soon()

    async def leave(self, within: float) -> None:
        """Ask for the end of connections and return when none comes any more, or after so many seconds."""
        self._mood = LEAVING
        self._tell_soon()
        await asyncio.wait({self._no_more, self.orphaned}, timeout=within, return_when="FIRST_COMPLETED")

    def _take(self) -> None:
        for _ in range(_AT_ONCE):
            if self._is_full():
                self._pause()
                return
            try:
                message, connection = receive(self._hand)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                message, connection = b"", None
            if not message:
                self._loop.remove_reader(self._hand)
                if not self.orphaned.done():
                    self.orphaned.set_result(None)
                return
            if message == NO_MORE:
                if not self._no_more.done():
                    self._no_more.set_result(None)
                continue
            self._taken += 1
            self._tell_soon()
            if connection is not None:
                self._begin(connection)
            else:
                # A thread has opened the last file that this process may: the system closed the connection.
                self._ended += 1
                _log.error("connection_lost", reason="too many open files")

    def _pause(self) -> None:
        """Take nothing for a while; what is left in the queue is still anybody's."""
        now = self._loop.time()
        if now - self._said >= _SAID_EVERY:
            self._said = now
            _log.error("connections_wait", reason="too many open files", highest=self._highest)
        self._loop.remove_reader(self._hand)
        self._pausing = self._loop.call_later(_FULL_PAUSE, self._loop.add_reader, self._hand, self._take)

    def _is_full(self) -> bool:
        """Say so before it is too late: a connection that finds no room is lost. Takes a microsecond."""
        try:
            # The system gives the lowest number that is free.
            number = os.dup(self._hand.fileno())
        except OSError:
            return True
        os.close(number)
        return number >= self._highest

    def _begin(self, connection: socket.socket) -> None:
        group = self._group
        if group is None:
            connection.close()
            self._ended += 1
        else:
            group.create_task(self._adopt(connection))

    async def _adopt(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection)
        except OSError:
            # The client has left already.
            connection.close()
            self.ended()

    def _tell_soon(self) -> None:
        if self._telling is None:
            self._telling = self._loop.call_soon(self._tell)

    def _tell(self) -> None:
        self._telling = None
        try:
            self._hand.send(TOLD.pack(self._taken, self._ended, self._mood))
        except (BlockingIOError, InterruptedError):
            self._telling = self._loop.call_later(_AGAIN, self._tell)
        except OSError:
            # The supervisor is gone; reading says so too.
            return


def _highest() -> int:
    """Return the highest descriptor that a connection may have."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return limit - min(_SPARE, limit // 4)
