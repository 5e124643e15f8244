"""An upstream that remembers what reached it, whatever became of whoever sent it."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator

LAST_CHUNK = b"0\r\n\r\n"


class Witness:
    """What was received, as request targets, in the order of arrival."""

    def __init__(self) -> None:
        self.targets: list[str] = []
        self.port = 0
        self.heads: list[bytes] = []
        """The same requests with their fields."""
        self.connections: set[asyncio.Transport] = set()

    @property
    def address(self) -> str:
        """Where it listens: `host:port`."""
        return f"127.0.0.1:{self.port}"


class _Connection(asyncio.Protocol):
    def __init__(self, witness: Witness) -> None:
        self._witness = witness
        self._data = b""
        self._body = 0
        self._chunked = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._witness.connections.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._witness.connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._data += data
        while True:
            if self._body:
                taken = min(self._body, len(self._data))
                self._data, self._body = self._data[taken:], self._body - taken
                if self._body:
                    return
                self._answer()
            if self._chunked:
                _, mark, rest = self._data.partition(LAST_CHUNK)
                if not mark:
                    return
                self._data, self._chunked = rest, False
                self._answer()
            head, mark, rest = self._data.partition(b"\r\n\r\n")
            if not mark:
                return
            self._data = rest
            self._witness.heads.append(head)
            self._witness.targets.append(head.split(b" ", 2)[1].decode("latin-1"))
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    self._body = int(line.partition(b":")[2])
                elif line.startswith(b"transfer-encoding:"):
                    self._chunked = True
            if not self._body and not self._chunked:
                self._answer()

    def _answer(self) -> None:
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Type: text/plain\r\n\r\nok\n")


@contextlib.contextmanager
def running_witness() -> Iterator[Witness]:
    """Run one for the length of the block, in a thread of its own. No body in chunks may hold what ends one."""
    witness = Witness()
    serving = threading.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        server = await loop.create_server(lambda: _Connection(witness), "127.0.0.1", 0)
        witness.port = server.sockets[0].getsockname()[1]
        serving.set()
        await over.wait()
        server.close()
        while witness.connections:
            for connection in witness.connections:
                connection.abort()
            await asyncio.sleep(0)

    over = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    serving.wait()
    try:
        yield witness
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()
