"""Keep-alive connections to one target: the last one used is used next, so that the others may expire.

State is changed in methods without awaits; what awaits only calls them. A connection counts against
`max_connections` from before it is opened until the event loop has reported its end.
"""

from gateway.config import PoolRules, Target
from gateway.proxy.connection import Connection
from gateway.proxy.dial import Dial
from gateway.proxy.faults import UpstreamFault
from gateway.proxy.line import Line


class Pool:
    """The connections to one target, which serves the line of its upstream."""

    __slots__ = (
        "_addresses",
        "_closed_by",
        "_idle",
        "_is_choosy",
        "_keeps",
        "_line",
        "_lost",
        "_opening",
        "_waiters",
        "authority",
        "rules",
        "target",
    )

    def __init__(self, target: Target, rules: PoolRules, line: "Line[Pool]") -> None:
        self.target = target
        self.authority = target.authority.encode("ascii")
        """What a Host field for this target holds."""
        self.rules = rules
        self._line = line
        self._waiters = line.waiters
        self._idle: list[Connection] = []
        self._opening = 0
        # Every open connection, and the address that it leads to.
        self._addresses: dict[Connection, str] = {}
        self._lost: set[Connection] = set()
        self._keeps = True
        self._is_choosy = False
        """Whether there is anything to ask before a connection is used again."""
        self._closed_by: UpstreamFault | None = None

    def __repr__(self) -> str:
        return f"Pool({self.target.name}, open={self.count}, idle={len(self._idle)})"

    @property
    def count(self) -> int:
        """Connections that are open, being opened, or being closed."""
        return len(self._addresses) + self._opening

    @property
    def idle(self) -> int:
        """Connections that wait for an exchange."""
        return len(self._idle)

    @property
    def busy(self) -> int:
        """Connections that carry an exchange, or are being opened or closed."""
        return len(self._addresses) + self._opening - len(self._idle)

    # State, without awaits.

    def take(self) -> Connection | None:
        """Return an idle connection that is still good, None when there is none."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable():
                return connection
            connection.abort()
        return None

    def reserve(self) -> bool:
        """Reserve room for a connection, which `open` then fills; False when there is none."""
        if len(self._addresses) + self._opening >= self.rules.max_connections:
            return False
        self._opening += 1
        return True

    def take_back(self, connection: Connection | None) -> None:
        """Take what somebody in line was given and did not use: a connection, or the room for one."""
        if connection is None:
            self._opening -= 1
            self.offer_room()
        elif connection.is_usable():
            self.offer(connection)
        else:
            connection.abort()

    def offer_room(self) -> None:
        """Give the room that there is to whoever waits."""
        while self._keeps and self._waiters and self.reserve():
            if not self._line.serve(self, None):
                self._opening -= 1
                return

    def keep_nothing(self) -> None:
        """Close what is idle, and every other connection at the end of its exchange, until `keep_again`."""
        self._keeps = False
        self._choose()
        for connection in self._idle:
            connection.abort()
        self._idle.clear()

    def keep_again(self) -> None:
        """Be used again."""
        self._keeps = True
        self._choose()
        self.offer_room()

    def adopt(self, rules: PoolRules) -> None:
        """Go over to other rules. Connections that are too many now are closed when their exchange has
        ended."""
        self.rules = rules
        self._choose()

    def follow(self, addresses: frozenset[str]) -> None:
        """Use no connection again that leads to any other address."""
        self._lost = {one for one, address in self._addresses.items() if address not in addresses}
        self._choose()
        for connection in self._lost.intersection(self._idle):
            self._idle.remove(connection)
            connection.abort()

    def close(self, fault: UpstreamFault) -> None:
        """Close every connection for good, also the busy ones, whose exchanges fail, and those that are being
        opened."""
        self._closed_by = fault
        self._idle.clear()
        for connection in tuple(self._addresses):
            connection.fail(fault)

    def offer(self, connection: Connection) -> None:
        """Take a connection that may carry another exchange, for the next one in line or for later."""
        if self._is_choosy and not self._may_keep(connection):
            connection.abort()
            return
        if self._waiters and self._line.serve(self, connection):
            return
        self._idle.append(connection)
        connection.rest(self.rules.keepalive)

    def _choose(self) -> None:
        self._is_choosy = bool(self._lost) or not self._keeps or self.count > self.rules.max_connections

    def _may_keep(self, connection: Connection) -> bool:
        return self._keeps and connection not in self._lost and self.count <= self.rules.max_connections

    def _forget(self, connection: Connection) -> None:
        self._addresses.pop(connection, None)
        self._lost.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if self._waiters:
            self.offer_room()

    # I/O.

    async def open(self, dial: Dial, within: float) -> Connection:
        """Open a connection into the room that was reserved for it, which is free again when that fails.

        Raises `UpstreamFault` with `CONNECT`, `CONNECT_TIMEOUT` or `TLS`, or what it was closed with.
        """
        try:
            connection, address = await dial.open(self.target, within)
        except BaseException:
            self._opening -= 1
            self.offer_room()
            raise
        self._opening -= 1
        self._addresses[connection] = address
        connection.on_lost = self._forget
        if self._closed_by is not None:
            connection.abort()
            raise self._closed_by
        return connection
