"""Keep-alive connections to one target: the last one used is used next, so that the others may expire.

State is changed in methods without awaits; what awaits only calls them. A connection counts against
`max_connections` from before it is opened until the event loop has reported its end.
"""

import asyncio
from collections import deque

from gateway.config import PoolRules, Target
from gateway.proxy.connection import Connection
from gateway.proxy.faults import Fault, UpstreamFault


class Pool:
    """The connections to one target."""

    __slots__ = ("_idle", "_is_retired", "_open", "_opening", "_waiting", "authority", "rules", "target")

    def __init__(self, target: Target, rules: PoolRules) -> None:
        self.target = target
        self.authority = target.authority.encode("ascii")
        """What a Host field for this target holds."""
        self.rules = rules
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._opening = 0
        self._is_retired = False
        # Each is given a connection, or None: the right to open one.
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()

    def __repr__(self) -> str:
        return (
            f"Pool({self.target.authority}, open={self.count}, idle={len(self._idle)}, "
            f"waiting={len(self._waiting)})"
        )

    @property
    def count(self) -> int:
        """Connections that are open, being opened, or being closed."""
        return len(self._open) + self._opening

    @property
    def idle(self) -> int:
        """Connections that wait for an exchange."""
        return len(self._idle)

    @property
    def waiting(self) -> int:
        """Exchanges that wait for a connection."""
        return len(self._waiting)

    # State, without awaits.

    def take(self) -> Connection | None:
        """Return an idle connection that is still good, None when there is none."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable():
                return connection
            connection.abort()
        return None

    def give_back(self, connection: Connection) -> None:
        """Take back a connection at the end of its exchange, for the next one in line or for later."""
        if connection.end_exchange():
            self._offer(connection)

    def close(self) -> None:
        """Close every connection, also the busy ones, and turn away whoever waits."""
        stopping = UpstreamFault(Fault.GIVEN_UP, f"{self.target.authority}: the gateway is stopping")
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(stopping)
        self._idle.clear()
        for connection in tuple(self._open):
            connection.fail(stopping)

    def retire(self) -> None:
        """Keep nothing from now on: the configuration no longer names this target."""
        self._is_retired = True
        for connection in self._idle:
            connection.abort()
        self._idle.clear()

    def _offer(self, connection: Connection) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        if self._is_retired:
            connection.abort()
            return
        self._idle.append(connection)
        connection.rest(self.rules.keepalive)

    def _offer_room(self) -> None:
        while self._waiting and self.count < self.rules.max_connections:
            waiter = self._waiting.popleft()
            if not waiter.done():
                self._opening += 1
                waiter.set_result(None)

    def _forget(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._offer_room()

    # I/O.

    async def get(self, within: float) -> Connection:
        """Return a connection, opened or waited for, each within that many seconds.

        Raises `UpstreamFault` with `CONNECT`, `CONNECT_TIMEOUT` or `POOL_FULL`.
        """
        while True:
            connection = self.take()
            if connection is not None:
                return connection
            if self.count < self.rules.max_connections:
                self._opening += 1
            else:
                connection = await self._wait_in_line(within)
                if connection is not None and connection.is_usable():
                    return connection
                if connection is not None:
                    connection.abort()
                    continue
            return await self._connect(within)

    async def _wait_in_line(self, within: float) -> Connection | None:
        """Return a connection, or None with room for a new one already reserved."""
        if len(self._waiting) >= self.rules.max_waiting:
            raise UpstreamFault(Fault.POOL_FULL, f"{self!r}: the line is full")
        waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(within):
                return await waiter
        except BaseException as problem:
            self._leave_line(waiter)
            if isinstance(problem, TimeoutError):
                raise UpstreamFault(Fault.POOL_FULL, f"{self!r}: the line did not move in time") from None
            raise

    def _leave_line(self, waiter: asyncio.Future[Connection | None]) -> None:
        """Pass on what a waiter was given at the very moment it left."""
        if not waiter.done():
            waiter.cancel()
        if waiter in self._waiting:
            self._waiting.remove(waiter)
        if waiter.cancelled() or waiter.exception() is not None:
            return
        connection = waiter.result()
        if connection is None:
            self._opening -= 1
            self._offer_room()
        else:
            self._offer(connection)

    async def _connect(self, within: float) -> Connection:
        """Open a connection into the room that was reserved for it."""
        loop = asyncio.get_running_loop()
        target = self.target
        try:
            async with asyncio.timeout(within):
                _, connection = await loop.create_connection(
                    lambda: Connection(loop), target.host, target.port
                )
        except BaseException as problem:
            self._opening -= 1
            self._offer_room()
            if isinstance(problem, TimeoutError):
                raise UpstreamFault(Fault.CONNECT_TIMEOUT, f"{target.authority}: no answer") from None
            if isinstance(problem, OSError | UnicodeError):
                raise UpstreamFault(Fault.CONNECT, f"{target.authority}: {problem}") from None
            raise
        self._opening -= 1
        if connection.closed:
            self._offer_room()
            raise UpstreamFault(Fault.CONNECT, f"{target.authority}: closed at once")
        self._open.add(connection)
        connection.on_lost = self._forget
        return connection
