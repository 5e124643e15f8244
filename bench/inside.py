"""The whole gateway in this process, over transports in memory: its own cost, without kernel and neighbours.

Everything is real but the sockets: clients and the service behind are functions that are called when bytes
are written to them.
"""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

from bench.load import CONNECTIONS, BenchError
from bench.nginx import BODY_BYTES
from bench.subjects import PASSWORD
from gateway.accounts import AccountRefusal
from gateway.assembly import open_stores
from gateway.assembly.whole import Gateway, assemble
from gateway.config import load_configuration
from gateway.observability import set_up_logs
from gateway.operations import create_user, operator_at_the_command_line
from gateway.settings import Settings, load_settings

_SERVICE = "127.0.0.9"
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\nConnection: keep-alive\r\n\r\n%b"
) % (BODY_BYTES, b"x" * BODY_BYTES)
_ANSWER_SECONDS = 30


class Wire(asyncio.Transport):
    """A transport whose other end is a function."""

    def __init__(self, written: Callable[[bytes], object]) -> None:
        # Both sides of the gateway ask a new connection for its socket: one that is never spoken over.
        self._sockets = socket.socketpair()
        super().__init__({"peername": ("127.0.0.1", 4711), "socket": self._sockets[0]})
        self._written = written
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Hand the bytes over at once."""
        self._written(bytes(data))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Hand the bytes over at once."""
        self._written(b"".join(list_of_data))

    def is_closing(self) -> bool:
        """Whether the gateway has closed it."""
        return self._closing

    def close(self) -> None:
        """End it; nothing is ever left unsent."""
        self._closing = True
        for each in self._sockets:
            each.close()

    def abort(self) -> None:
        """End it."""
        self.close()

    def pause_reading(self) -> None:
        """Go on: nobody writes more than the gateway has asked for."""

    def resume_reading(self) -> None:
        """Go on."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Go on: there is no buffer."""


class MemoryLoop(uvloop.Loop):
    """The production's event loop, but that the service is reached in memory."""

    async def create_connection(  # type: ignore[override] # the loop's own signature has twenty parameters
        self,
        protocol_factory: Callable[[], asyncio.Protocol],
        host: str | None = None,
        port: int | None = None,
        **options: object,
    ) -> tuple[asyncio.BaseTransport, asyncio.Protocol]:
        """Connect with the service: nothing else is reached from here by its address."""
        sock = options.get("sock")
        if isinstance(sock, socket.socket):
            # Somebody has connected it already. The stubs call the transport a protocol.
            return await super().create_connection(protocol_factory, sock=sock)  # type: ignore[return-value]
        if host != _SERVICE:
            raise ConnectionRefusedError(f"{host}:{port}")
        protocol = protocol_factory()
        wire = Wire(self.service(protocol))
        protocol.connection_made(wire)
        return wire, protocol

    def service(self, protocol: asyncio.Protocol) -> Callable[[bytes], object]:
        """Return the service's end of a connection: what is called with the bytes that it gets. It answers
        whatever comes, at once."""
        return lambda _: self.call_soon(protocol.data_received, _ANSWER)


class Client:
    """A client's connection, in memory."""

    def __init__(self, gateway: Gateway, answered: Callable[[bytes], None]) -> None:
        protocol = gateway.listener()
        if not isinstance(protocol, asyncio.Protocol):
            raise BenchError("the gateway's connections take no bytes without a buffer")
        self._protocol = protocol
        self._wire = Wire(answered)
        self._protocol.connection_made(self._wire)

    def send(self, request: bytes) -> None:
        """Send bytes in the next turn of the event loop, as a socket would."""
        asyncio.get_running_loop().call_soon(self._protocol.data_received, request)

    def leave(self) -> None:
        """Close the connection."""
        self._wire.close()
        self._protocol.connection_lost(None)


class Crowd:
    """`CONNECTIONS` clients that send one request after the other, each waiting for its answers."""

    def __init__(
        self, gateway: Gateway, requests: Iterator[bytes], *, status: int, patient: bool = False
    ) -> None:
        """`patient`: answers may come in several pieces."""
        self._patient = patient
        self._next = requests.__next__
        self._expected = b"HTTP/1.1 %d " % status
        self._left = 0
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._clients = [self._client(gateway) for _ in range(CONNECTIONS)]

    async def ask(self, count: int) -> None:
        """Have `count` requests answered.

        Raise `BenchError` when an answer has another status, `TimeoutError` when one does not come.
        """
        self._left = count
        self._done = asyncio.get_running_loop().create_future()
        for client in self._clients:
            client.send(self._next())
        async with asyncio.timeout(_ANSWER_SECONDS):
            await self._done

    def leave(self) -> None:
        """Close every connection."""
        for client in self._clients:
            client.leave()

    def _client(self, gateway: Gateway) -> Client:
        def answered(data: bytes) -> None:
            if not data.startswith(self._expected):
                if not self._done.done():
                    self._done.set_exception(BenchError(f"{self._expected!r} was expected: {data[:200]!r}"))
                return
            self._left -= 1
            if self._left >= CONNECTIONS:
                client.send(self._next())
            elif self._left == 0:
                self._done.set_result(None)

        client = Client(gateway, whole(answered) if self._patient else answered)
        return client


def whole(answered: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """Return what takes the pieces of answers, and calls this with each answer whose length is known."""
    pieces: list[bytes] = []
    left = 0

    def piece(data: bytes) -> None:
        nonlocal left
        left = left or _length(data)
        left -= len(data)
        pieces.append(data)
        if left <= 0:
            left = 0
            all_of_it = b"".join(pieces)
            pieces.clear()
            answered(all_of_it)

    return piece


def _length(beginning: bytes) -> int:
    """Return how many bytes an answer has that begins with these, its whole head among them."""
    head, _, _ = beginning.partition(b"\r\n\r\n")
    _, field, value = head.lower().partition(b"\r\ncontent-length:")
    return len(head) + 4 + int(value.partition(b"\r\n")[0]) if field else len(beginning)


class Inside:
    """The running gateway, to be asked."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def ask(self, request: bytes) -> bytes:
        """Return the answer to one request. Raise `TimeoutError`."""
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        client = Client(self._gateway, whole(answered.set_result))
        try:
            client.send(request)
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await answered
        finally:
            client.leave()

    @contextlib.contextmanager
    def crowd(self, requests: Iterator[bytes], *, status: int, patient: bool = False) -> Iterator[Crowd]:
        """Connect clients that will send requests, and expect this status. `patient`: answers may come in
        several pieces."""
        crowd = Crowd(self._gateway, requests, status=status, patient=patient)
        try:
            yield crowd
        finally:
            crowd.leave()

    async def log_in(self, username: str) -> str:
        """Return an access token. Raise `BenchError` when there is none."""
        body = json.dumps({"username": username, "password": PASSWORD}).encode()
        answer = await self.ask(
            request("POST", "/gateway/v1/auth/login", (b"Content-Type: application/json",), body)
        )
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise BenchError(f"the bench's user could not log in: {answer[:200]!r}")
        return str(json.loads(answer.partition(b"\r\n\r\n")[2])["access_token"])


def request(method: str, path: str, lines: Sequence[bytes] = (), body: bytes = b"") -> bytes:
    """Return the bytes of a request as a plain client sends them."""
    head = [
        f"{method} {path} HTTP/1.1".encode(),
        b"Host: 127.0.0.1:8000",
        b"User-Agent: bench",
        b"Accept: */*",
        *lines,
    ]
    if body:
        head.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(head) + b"\r\n\r\n" + body


@contextlib.contextmanager
def fresh_settings() -> Iterator[Settings]:
    """Give settings with a data directory that lasts as long as the block."""
    with TemporaryDirectory(prefix="gateway-bench-") as folder:
        yield load_settings({"GATEWAY_DATA_DIR": str(Path(folder, "data")), "GATEWAY_LOG_LEVEL": "warning"})


@contextlib.asynccontextmanager
async def inside(
    settings: Settings, *, roles: Sequence[str], policies: Path | None = None
) -> AsyncIterator[Inside]:
    """Run the gateway with the bench's own two files, or other `policies`, and for each role a user of the
    same name.

    Must run on a `MemoryLoop`. Raise `BenchError` when it cannot be set up.
    """
    here = Path(__file__).parent
    set_up_logs(level=settings.log_level, form=settings.log_format)
    loaded = load_configuration(
        policies or here / "policies.yaml",
        here / "upstreams.yaml",
        environ={"BENCH_UPSTREAM": f"{_SERVICE}:80"},
    )
    if loaded.snapshot is None:
        raise BenchError(f"the bench's own files do not hold: {loaded.findings}")
    async with open_stores(settings) as stores:
        for role in roles:
            made = await create_user(
                stores.registrar,
                username=role,
                email=None,
                password=PASSWORD,
                roles=frozenset({role}),
                min_length=1,
                operator=operator_at_the_command_line(),
            )
            if isinstance(made, AccountRefusal):
                raise BenchError(f"the bench's user could not be made: {made}")
    async with assemble(settings, loaded.snapshot) as gateway:
        yield Inside(gateway)
