"""Upstreams for tests: raw sockets that may stall, lie, trickle, reset and vanish."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TypedDict, Unpack

from gateway.config import (
    BalanceKind,
    CircuitRules,
    ForwardRules,
    HealthRules,
    OutlierRules,
    PoolRules,
    Retries,
    Rewrite,
    Target,
    Timeouts,
    TlsRules,
    Upstream,
)
from gateway.policy import Attribute


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request, byte for byte."""

    head: bytes
    body: bytes = b""
    """Without chunk framing."""
    raw_body: bytes = b""

    @property
    def request_line(self) -> bytes:
        return self.head.split(b"\r\n", 1)[0]

    @property
    def lines(self) -> list[tuple[bytes, bytes]]:
        return [
            (name, value.strip(b" "))
            for name, _, value in (line.partition(b":") for line in self.head.split(b"\r\n")[1:] if line)
        ]

    def values(self, name: bytes) -> list[bytes]:
        """Return the values of a field, its name compared without case."""
        return [value for other, value in self.lines if other.lower() == name.lower()]


@dataclass(slots=True)
class Peer:
    """One connection that the gateway made."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    upstream: "RawUpstream"
    number: int
    """Counts connections from 1."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when its behaviour has ended, which a closed connection brings about."""

    async def request(self) -> Received:
        """Read one request, body included. Raises `EOFError` when the gateway closed instead."""
        head = await self.head()
        request = Received(head=head)
        if request.values(b"transfer-encoding"):
            body, raw = await self._chunks()
        else:
            body = raw = await self.reader.readexactly(int((request.values(b"content-length") or [b"0"])[0]))
        request = Received(head=head, body=body, raw_body=raw)
        self.upstream.received.append(request)
        return request

    async def head(self) -> bytes:
        """Read the head of a request, without its empty line."""
        return (await self.reader.readuntil(b"\r\n\r\n"))[:-4]

    async def _chunks(self) -> tuple[bytes, bytes]:
        body = raw = b""
        while True:
            line = await self.reader.readuntil(b"\r\n")
            data = await self.reader.readexactly(int(line, 16) + 2)
            raw += line + data
            body += data[:-2]
            if int(line, 16) == 0:
                return body, raw

    def send(self, data: bytes) -> None:
        """Send bytes as they are. Raises `ConnectionError` when the gateway has closed."""
        if self.writer.transport.is_closing():
            raise ConnectionResetError
        self.writer.write(data)

    async def send_all(self, data: bytes) -> None:
        """Send bytes, and return once the kernel has nearly all of them."""
        self.send(data)
        await self.writer.drain()

    def close(self) -> None:
        """Close after what was sent."""
        self.writer.close()

    def reset(self) -> None:
        """Close with a TCP reset."""
        if self.writer.transport.is_closing():
            return
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def closed(self) -> bytes:
        """Wait until the gateway has closed the connection; return what it sent before."""
        try:
            return await self.reader.read()
        except ConnectionError:
            return b""


Behaviour = Callable[[Peer], Awaitable[None]]


@dataclass(slots=True)
class RawUpstream:
    """A listening socket on loopback with a behaviour for each connection."""

    host: str
    """Address, or the path of a unix socket."""
    port: int = 0
    scheme: str = "http"
    server: asyncio.Server | None = None
    received: list[Received] = field(default_factory=list)
    """Requests that were read whole."""
    peers: list[Peer] = field(default_factory=list)

    @property
    def target(self) -> Target:
        return self.target_at(self.port)

    def target_at(self, port: int, host: str | None = None) -> Target:
        """Return a target on another port, or by another name."""
        return Target(scheme=self.scheme, host=host or self.host, port=port)

    def weighted(self, weight: int) -> Target:
        """Return the target with a weight."""
        return Target(scheme=self.scheme, host=self.host, port=self.port, weight=weight)

    def close(self) -> None:
        """Listen no longer: connections are refused from now on."""
        assert self.server is not None
        self.server.close()

    @property
    def connections(self) -> int:
        """How many connections were made so far."""
        return len(self.peers)


@asynccontextmanager
async def upstream_that(
    behaviour: Behaviour, host: str = "127.0.0.1", *, port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[RawUpstream]:
    """Run an upstream; a host with a slash is the path of a unix socket.

    What its behaviour raises, other than for a connection that ended, fails the test.
    """
    problems: list[BaseException] = []
    tasks: set[asyncio.Task[None]] = set()
    is_unix = "/" in host
    upstream = RawUpstream(host=host, scheme="unix" if is_unix else "http" if tls is None else "https")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        peer = Peer(reader, writer, upstream, number=len(upstream.peers) + 1)
        upstream.peers.append(peer)
        try:
            await behaviour(peer)
        except (EOFError, ConnectionError, asyncio.CancelledError):
            pass
        except Exception as problem:  # noqa: BLE001 - told to the test below
            problems.append(problem)
        finally:
            writer.close()
            tasks.discard(task)
            peer.gone.set()

    if is_unix:
        upstream.server = server = await asyncio.start_unix_server(serve, host, limit=2**20)
    else:
        upstream.server = server = await asyncio.start_server(serve, host, port, limit=2**20, ssl=tls)
        upstream.port = server.sockets[0].getsockname()[1]
    try:
        yield upstream
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(tuple(tasks))
        await asyncio.sleep(0)
    if problems:
        raise problems[0]


def answering(*responses: bytes, close: bool = False) -> Behaviour:
    """Answer each request of a connection with the next response, the last one again and again."""

    async def behave(peer: Peer) -> None:
        for response in responses:
            await peer.request()
            peer.send(response)
        while not close:
            await peer.request()
            peer.send(responses[-1])

    return behave


def ok(body: bytes = b"hello", *lines: bytes) -> bytes:
    """Return a plain response."""
    head = b"\r\n".join([b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *lines])
    return head + b"\r\n\r\n" + body


@contextmanager
def full_backlog() -> Iterator[Target]:
    """Offer a target that neither refuses nor accepts: its queue of connections is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            knocking = stack.enter_context(socket.socket())
            knocking.setblocking(False)
            knocking.connect_ex(listener.getsockname())
        yield Target(scheme="http", host="127.0.0.1", port=listener.getsockname()[1])


def unused_port() -> int:
    """Return a port that refuses connections."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def rules(
    *,
    host: str = "preserve",
    identity: str = "none",
    pass_credentials: bool = False,
    remove_request: tuple[str, ...] = (),
    remove_response: tuple[str, ...] = ("server", "x-powered-by"),
    set_request: tuple[tuple[str, str], ...] = (),
    set_response: tuple[tuple[str, str], ...] = (),
    binds_request: bool = False,
) -> ForwardRules:
    """Return forwarding rules; only what a test is about need be named."""
    return ForwardRules(
        host=host,
        identity=identity,
        pass_credentials=pass_credentials,
        remove_request_headers=remove_request,
        remove_response_headers=remove_response,
        set_request_headers=set_request,
        set_response_headers=set_response,
        binds_request=binds_request,
    )


class Settings(TypedDict, total=False):
    """What a test may say about an upstream; durations in seconds."""

    connect: float
    response: float
    idle: float
    retries: int
    budget: float
    max_connections: int
    max_waiting: int
    keepalive: float
    forward: ForwardRules
    retry_on: Collection[str]
    balance: BalanceKind
    hash_by: Attribute | None
    tls: TlsRules
    health: HealthRules | None
    outlier: OutlierRules | None
    circuit: CircuitRules | None
    rewrite: Rewrite | None
    paths: Collection[str]


def upstream_of(*targets: Target, **settings: Unpack[Settings]) -> Upstream:
    """Return an upstream with the given targets."""
    return Upstream(
        id="orders",
        targets=targets,
        timeouts=Timeouts(
            connect=settings.get("connect", 5),
            response=settings.get("response", 5),
            idle=settings.get("idle", 5),
        ),
        retries=Retries(
            max=settings.get("retries", 1),
            on=frozenset(settings.get("retry_on", {"connect_failure"})),
            budget=settings.get("budget", 1),
        ),
        pool=PoolRules(
            max_connections=settings.get("max_connections", 20),
            max_waiting=settings.get("max_waiting", 20),
            keepalive=settings.get("keepalive", 30),
        ),
        forward=settings.get("forward") or rules(),
        max_request=None,
        balance=settings.get("balance", "round_robin"),
        hash_by=settings.get("hash_by"),
        tls=settings.get("tls") or TlsRules(),
        health=settings.get("health"),
        outlier=settings.get("outlier"),
        circuit=settings.get("circuit"),
        rewrite=settings.get("rewrite"),
        paths=frozenset(settings.get("paths", ())),
    )
