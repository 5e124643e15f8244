"""A tunnel between two real connections, without the gateway around it; and frames to send through it."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from support.certificates import KeyPair

from gateway.proxy import Switched
from gateway.proxy.tunnel import Ended, Tunnel

TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9


def frame(opcode: int, payload: bytes = b"", *, mask: bytes = b"", fin: bool = True) -> bytes:
    """Return one frame, masked as a client's is when it is given four bytes of mask."""
    size = len(payload)
    form, extended = (
        (size, b"") if size < 126 else (126, size.to_bytes(2)) if size < 65536 else (127, size.to_bytes(8))
    )
    if mask:
        payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return bytes([0x80 * fin | opcode, 0x80 * bool(mask) | form]) + extended + mask + payload


def unmasked(text: bytes) -> bytes:
    """Return a short masked frame as it would be without its mask."""
    size = text[1] & 0x7F
    assert text[1] & 0x80
    assert size < 126
    mask, payload = text[2:6], text[6:]
    return bytes([text[0], size]) + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


class Former(asyncio.Protocol):
    """Whoever had a transport before the tunnel."""

    def __init__(self) -> None:
        self.told: list[Exception | None] = []
        """What it was told about the end of its connection, each time."""

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append(exc)


@dataclass(slots=True)
class End:
    """The far end of one of the two connections, and the near one."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    near: asyncio.Transport
    former: Former

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)

    async def receive(self, size: int) -> bytes:
        """Return exactly so many bytes."""
        return await self.reader.readexactly(size)

    async def rest(self) -> bytes:
        """Return everything until the connection ends, in whichever way."""
        try:
            return await self.reader.read()
        except ConnectionError:
            return b""

    def stop_reading(self) -> None:
        """Leave what comes to the system, whose buffers are small."""
        cast("asyncio.Transport", self.writer.transport).pause_reading()

    def read_again(self) -> None:
        """Take what comes."""
        cast("asyncio.Transport", self.writer.transport).resume_reading()

    def end_sending(self) -> None:
        """Say that nothing more will be sent."""
        self.writer.write_eof()

    def reset(self) -> None:
        """Close with a TCP reset."""
        reset(self.writer)


def reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection with a TCP reset."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _sockets() -> tuple[socket.socket, socket.socket]:
    # Small buffers: what a side is behind should show soon.
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as far:
        for sock in (listener, far):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        far.connect(listener.getsockname())
        near, _ = listener.accept()
        return far.dup(), near


async def end() -> End:
    """Return a connection whose near end a tunnel may have."""
    far, near = _sockets()
    loop = asyncio.get_running_loop()
    transport, former = await loop.create_connection(Former, sock=near)
    reader, writer = await asyncio.open_connection(sock=far)
    return End(reader, writer, transport, former)


async def tls_end(pair: KeyPair, authority: Path) -> End:
    """Return a connection with TLS, whose near end is the client's."""
    far, near = _sockets()
    loop = asyncio.get_running_loop()
    ours = ssl.create_default_context(cafile=str(authority))
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    theirs.load_cert_chain(pair.certificate, pair.key)
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    (transport, former), (far_transport, _) = await asyncio.gather(
        loop.create_connection(Former, sock=near, ssl=ours, server_hostname="localhost"),
        loop.connect_accepted_socket(lambda: protocol, far, ssl=theirs),
    )
    return End(reader, asyncio.StreamWriter(far_transport, protocol, reader, loop), transport, former)


class Bridge:
    """A client, an upstream, and the tunnel between them."""

    def __init__(self, client: End, upstream: End, tunnel: Tunnel) -> None:
        self.client = client
        self.upstream = upstream
        self.tunnel = tunnel
        self.carrying: asyncio.Future[Ended] = asyncio.ensure_future(tunnel.carry())

    async def ended(self) -> Ended:
        """Return how it ended, once it has: both sockets are closed and told of exactly once."""
        ended = await self.carrying
        assert len(self.client.former.told) == len(self.upstream.former.told) == 1
        assert self.client.near.is_closing()
        assert self.upstream.near.is_closing()
        return ended


@asynccontextmanager
async def bridge(
    *,
    idle: float = 10,
    client_first: bytes = b"",
    upstream_first: bytes = b"",
    upstream: End | None = None,
) -> AsyncIterator[Bridge]:
    """Run a tunnel; afterwards no task may be left."""
    before = asyncio.all_tasks()
    client = await end()
    upstream = upstream or await end()
    switched = Switched(client.near, client_first, is_slow=False)
    between = Bridge(client, upstream, Tunnel(switched, upstream.near, upstream_first, idle=idle))
    await asyncio.sleep(0)
    try:
        yield between
    finally:
        between.carrying.cancel()
        await asyncio.wait([between.carrying])
        for one in (client, upstream):
            one.writer.close()
        await asyncio.sleep(0)
    assert asyncio.all_tasks() <= before
