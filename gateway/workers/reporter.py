"""What a worker tells of itself: how it stands when that changes and every second, what it has counted every
second."""

import asyncio
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import orjson

METRICS: Final = b'{"metrics":'
"""How a line with metrics begins, so that the supervisor passes it on unread."""
REFUSED: Final = b'{"refused":'
"""How the line begins of a process that cannot start."""
WAITING: Final = b'{"waiting":'
"""How the line begins of a process that cannot start yet."""
_LOOK: Final = 0.2
_EVERY: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a worker stands."""

    status: int
    """Status of its `/readyz`."""
    body: Mapping[str, object]
    """Body of its `/readyz`."""
    open: int
    """Connections."""
    in_flight: int
    """Requests."""


class Reporter:
    """Tells the supervisor how this worker stands. The other end is an `Inbox`."""

    def __init__(
        self, channel: socket.socket, standing: Callable[[], Standing], metrics: Callable[[], object]
    ) -> None:
        """`metrics` gives the state of the metrics, as JSON knows it."""
        self._channel = channel
        self._standing = standing
        self._metrics = metrics
        self._changed = asyncio.Event()
        self._is_whole = True
        """No line was broken off in the middle."""

    def soon(self) -> None:
        """Tell at once what has changed."""
        self._changed.set()

    async def run(self) -> None:
        """Tell until the supervisor is gone, then wait to be cancelled."""
        loop = asyncio.get_running_loop()
        known: Standing | None = None
        due = 0.0
        while True:
            standing = self._standing()
            now = loop.time()
            is_due = now >= due or self._changed.is_set()
            if is_due or known != standing:
                self._changed.clear()
                line = orjson.dumps(standing) + b"\n"
                known = standing
                if is_due:
                    due = now + _EVERY
                    line += self.metrics_line()
                if not await self._send(line):
                    await loop.create_future()
            try:
                async with asyncio.timeout(_LOOK):
                    await self._changed.wait()
            except TimeoutError:
                pass

    def metrics_line(self) -> bytes:
        """Return the line that says what has been counted."""
        return METRICS + orjson.dumps(self._metrics()) + b"}\n"

    async def last(self) -> None:
        """Tell once more what has been counted; the process ends."""
        if self._is_whole:
            await self._send(self.metrics_line())

    async def _send(self, data: bytes) -> bool:
        self._is_whole = False
        try:
            await asyncio.get_running_loop().sock_sendall(self._channel, data)
        except OSError:
            return False
        self._is_whole = True
        return True


def tell_refusal(channel: socket.socket, text: str) -> None:
    """Tell the supervisor why this process cannot start."""
    channel.settimeout(None)
    channel.sendall(REFUSED + orjson.dumps(text) + b"}\n")


async def tell_waiting(channel: socket.socket, text: str) -> None:
    """Tell the supervisor what this process waits for at its start. Raise `OSError` when it is gone."""
    await asyncio.get_running_loop().sock_sendall(channel, WAITING + orjson.dumps(text) + b"}\n")
