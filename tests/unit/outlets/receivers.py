"""Real servers that outlets send to."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Self

from aiohttp import web
from support.certificates import KeyPair


@dataclass
class SyslogServer:
    """Takes syslog with octet counting, as RFC 6587 says."""

    messages: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    _server: asyncio.Server | None = None
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    @classmethod
    @asynccontextmanager
    async def running(cls, tls: ssl.SSLContext | None = None, *, port: int = 0) -> AsyncIterator[Self]:
        """Serve while the block lasts."""
        one = cls()
        one._server = await asyncio.start_server(one._serve, "127.0.0.1", port, ssl=tls)
        one.port = one._server.sockets[0].getsockname()[1]
        try:
            yield one
        finally:
            await one.cut()
            one._server.close()
            await one._server.wait_closed()

    async def cut(self) -> None:
        """Cut all connections."""
        for writer in self._writers:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()
        self._writers.clear()

    async def hear(self, count: int) -> list[bytes]:
        """Return the messages once there are so many."""
        async with asyncio.timeout(5):
            while len(self.messages) < count:
                await asyncio.sleep(0.002)
        return self.messages

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        try:
            while True:
                length = int(await reader.readuntil(b" "))
                self.messages.append(await reader.readexactly(length))
        except (asyncio.IncompleteReadError, OSError):
            writer.close()


def server_tls(pair: KeyPair, *, client_ca: str | None = None) -> ssl.SSLContext:
    """Return what a server shows, and whose certificates it asks for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    if client_ca is not None:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@dataclass
class Posted:
    """One request that a webhook was sent."""

    path: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[Posted], Awaitable[web.StreamResponse]]


@dataclass
class Webhook:
    """An endpoint that answers as it is told."""

    posted: list[Posted] = field(default_factory=list)
    answer: Answer | None = None
    url: str = ""
    connections: set[object] = field(default_factory=set)

    @classmethod
    @asynccontextmanager
    async def running(cls, tls: ssl.SSLContext | None = None) -> AsyncIterator[Self]:
        """Serve while the block lasts."""
        one = cls()
        application = web.Application(client_max_size=1 << 26)
        application.router.add_post("/{path:.*}", one._serve)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        port = runner.addresses[0][1]
        one.url = f"http{'' if tls is None else 's'}://127.0.0.1:{port}/in"
        try:
            yield one
        finally:
            await runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.connections.add(request.transport)
        posted = Posted(request.path_qs, dict(request.headers), await request.read())
        self.posted.append(posted)
        return web.Response(status=204) if self.answer is None else await self.answer(posted)
