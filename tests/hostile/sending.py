"""Sends attacks: each from an address of its own, in one segment, split at line ends, or byte by byte.

The address is the mark by which the requests that upstreams got and the records of the trail are found again.
It is outside of the bytes, so that what no parser understands can be followed as well.
"""

import asyncio
import errno
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field

from hostile.taken import Kernel

AFTER = b"GET /open/after HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
"""What a client sends behind each attack. Where an attack must end the connection, nobody may ever see it."""
BEFORE = b"GET /open/before HTTP/1.1\r\nHost: localhost\r\n\r\n"
"""What a client may send in front."""
ALIVE = b"GET /open/alive HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
WAYS = ("whole", "lines", "bytes")
"""How bytes are cut into segments."""
SHORT = 300
"""Bytes up to which an attack is sent byte by byte."""
PATIENCE = 8.0
"""Seconds after which a client gives up."""
AT_ONCE = 32

_GONE = frozenset({errno.EPIPE, errno.ECONNRESET, errno.ESHUTDOWN, errno.ENOTCONN})


@dataclass(slots=True)
class Shot:
    """What came of sending something once."""

    source: str
    sent: bytes = field(repr=False)
    client: str = ""
    """Whose address must be on record: the source, but for what comes through a proxy."""
    got: bytes = field(default=b"", repr=False)
    reset: bool = False
    """Whether the connection ended with a reset: then answers may be lost."""
    ended: bool = False
    """Whether the gateway ended the connection before the client gave up."""
    answered_after: float = 0.0
    """Seconds between the last byte that was sent and the last that was received."""
    ended_after: float = 0.0
    alive: bytes = field(default=b"", repr=False)
    """What a plain request on a fresh connection was answered right after."""


def sources() -> Iterator[str]:
    """Return addresses of this machine, each once."""
    for number in range(255 * 250):
        yield f"127.20.{number // 250}.{number % 250 + 1}"


def pieces(data: bytes, way: str) -> list[bytes]:
    """Return the segments in which bytes are sent in one of `WAYS`."""
    if way == "whole":
        return [data]
    if way == "lines":
        return [line for line in data.replace(b"\r\n", b"\r\n\x00CUT").split(b"\x00CUT") if line]
    return [data[at : at + 1] for at in range(len(data))]


async def shoot(
    port: int,
    source: str,
    segments: Sequence[bytes],
    *,
    kernel: Kernel,
    pause: float = 0.0,
    hangs_up: bool = False,
    waits: bool = False,
) -> Shot:
    """Send segments on a connection from an address, and wait until the gateway ends it.

    Each segment but the last is read by itself. `waits`: the first one is answered before the second is sent.
    """
    loop = asyncio.get_running_loop()
    shot = Shot(source, b"".join(segments))
    with socket.socket() as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.bind((source, 0))
        await loop.sock_connect(sock, ("127.0.0.1", port))
        question = kernel.question(("127.0.0.1", port), sock.getsockname())
        last = time.monotonic()
        times = [last]
        receiving = loop.create_task(_receive(sock, shot, times))
        try:
            for number, segment in enumerate(segments, start=1):
                await loop.sock_sendall(sock, segment)
                while waits and number == 1 and not (shot.got or receiving.done()):
                    await asyncio.sleep(0)
                if number < len(segments):
                    await asyncio.sleep(pause)
                    await kernel.taken(question)
                if receiving.done():
                    break
            last = time.monotonic()
            if hangs_up:
                sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            if error.errno not in _GONE:
                raise
            last = time.monotonic()
            shot.reset = True
        try:
            async with asyncio.timeout(PATIENCE):
                await receiving
            shot.ended = True
        except TimeoutError:
            pass
        shot.answered_after = max(0.0, times[-1] - last)
        shot.ended_after = max(0.0, time.monotonic() - last)
    return shot


async def _receive(sock: socket.socket, shot: Shot, times: list[float]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        try:
            data = await loop.sock_recv(sock, 262144)
        except OSError as error:
            if error.errno not in _GONE:
                raise
            shot.reset = True
            return
        if not data:
            return
        shot.got += data
        times.append(time.monotonic())


async def volley(shots: list[Callable[[], Awaitable[None]]]) -> None:
    """Carry out all of them, `AT_ONCE` at a time."""
    waiting = iter(shots)

    async def gunner() -> None:
        for each in waiting:
            await each()

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(gunner())
