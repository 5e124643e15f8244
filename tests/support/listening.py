"""The clients' listener on a real socket, with a door that answers by the target of a request."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Iterable
from typing import cast

from gateway.edge.connection import Incoming
from gateway.edge.listener import Listener
from gateway.edge.server_tls import ServerTls
from gateway.settings import load_settings


class EchoDoor:
    """Answers with the target. `/wait` is answered once `go` is set, `/big` with `BIG` bytes, `/drop` never
    reads the body, `/never` is never answered."""

    BIG = 300_000

    def __init__(self) -> None:
        self.asked: list[str] = []
        """Targets so far; reasons for what the parser gave up on."""
        self.diagnoses: list[str] = []
        self.broken: list[str] = []
        """Targets whose body broke."""
        self.go = asyncio.Event()

    async def __call__(self, incoming: Incoming) -> bool:
        """Answer, and keep the connection when the client wants it."""
        transport = incoming.connection.transport
        if incoming.flaw is not None:
            self.asked.append(incoming.flaw)
            self.diagnoses.append(incoming.diagnosis)
            answer(transport, incoming.flaw.encode(), close=True)
            return False
        target = incoming.message.path
        self.asked.append(target)
        if target == "/wait":
            await self.go.wait()
        if target == "/never":
            await asyncio.Event().wait()
        close = incoming.message.should_close or incoming.connection.ends or target == "/drop"
        body = target.encode()
        if target != "/drop":
            try:
                while data := await incoming.body.readany():
                    body += data
            except Exception:  # noqa: BLE001 - whatever the listener says
                self.broken.append(target)
                answer(transport, b"broken", close=True)
                return False
        answer(incoming.connection.transport, b"x" * self.BIG if target == "/big" else body, close=close)
        return not close


def answer(transport: asyncio.Transport | None, body: bytes, *, close: bool) -> None:
    """Write one answer."""
    if transport is not None:
        end = b"Connection: close\r\n" if close else b""
        transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%b\r\n%b" % (len(body), end, body))


class Client:
    """One client connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._transport = cast("asyncio.Transport", writer.transport)

    def send(self, data: bytes) -> None:
        """Send bytes in one piece."""
        self.writer.write(data)

    async def send_each(self, pieces: Iterable[bytes]) -> None:
        """Send pieces, each in a segment of its own, read before the next is sent."""
        for piece in pieces:
            self.writer.write(piece)
            # One turn for our write, one for the other side's read.
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    async def answer(self) -> str | None:
        """Return the body of the next answer, None when the connection ends instead."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
        return (await self.reader.readexactly(length)).decode()

    async def answers(self) -> list[str]:
        """Return every answer until the connection ends."""
        found: list[str] = []
        while (one := await self.answer()) is not None:
            found.append(one)
        return found

    def stop_reading(self) -> None:
        """Take nothing from the system, whose buffers fill up."""
        self._transport.pause_reading()

    def read_again(self) -> None:
        """Read as usual."""
        self._transport.resume_reading()

    def close(self) -> None:
        """Leave."""
        self.writer.close()

    def reset(self) -> None:
        """Leave without a word."""
        mine: socket.socket = self.writer.get_extra_info("socket")
        mine.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Listening:
    """A listener at work."""

    def __init__(
        self, port: int, listener: Listener, door: EchoDoor, trust: ssl.SSLContext | None = None
    ) -> None:
        self.port = port
        self.trust = trust
        """How clients secure their connections; None: not at all."""
        self.listener = listener
        self.door = door
        self._stack = contextlib.ExitStack()

    async def connect(self, **how: int) -> Client:
        """Return a new client. `receives`: bytes that its system takes before it reads."""
        own = socket.socket()
        own.setblocking(False)
        if "receives" in how:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, how["receives"])
        await asyncio.get_running_loop().sock_connect(own, ("127.0.0.1", self.port))
        name = None if self.trust is None else "localhost"
        client = Client(*await asyncio.open_connection(sock=own, ssl=self.trust, server_hostname=name))
        self._stack.callback(client.close)
        return client

    def close(self) -> None:
        """End every client."""
        self._stack.close()


@contextlib.asynccontextmanager
async def listening(
    *, tls: ServerTls | None = None, trust: ssl.SSLContext | None = None, **values: object
) -> AsyncIterator[Listening]:
    """Listen for the length of the block, with these settings. With `tls`, clients `trust` it."""
    door = EchoDoor()
    listener = Listener(door, load_settings({}).model_copy(update=values), tls)
    server = await asyncio.get_running_loop().create_server(listener, "127.0.0.1", 0)
    whole = Listening(server.sockets[0].getsockname()[1], listener, door, trust)
    try:
        async with asyncio.timeout(20):
            yield whole
    finally:
        server.close()
        await listener.close(within=0.0)
        whole.close()
