"""A service that misbehaves as it is told: a program of its own, for it is to be stopped and killed as well.

The path of a request says what is to be done with it: `/.../BEHAVIOUR/MARK/SIZE`. A good answer is
`payload(mark, digest of the request's body, size)` and carries the mark in `X-Mark`, so that whoever asked can
tell its own answer from any other. `X-Digest` tells the digest that the request's body should have.

Every request is written down in a file before it is acted on, so that what arrived twice is found out:
`MARK`, or `MARK wrong` for a body that came whole and is not the one that was announced.

SIGUSR1 stops listening, SIGUSR2 listens again; the end of standard input ends the process.
"""

import asyncio
import base64
import contextlib
import hashlib
import os
import random
import re
import signal
import socket
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

_LONGEST_STALL = 30.0
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
POISON = b"poison"
"""In every byte sequence that no client may ever see."""


def payload(mark: str, digest: str, size: int) -> bytes:
    """Return the body of a good answer: which request it is for, what was received, and `size` bytes."""
    return f"{mark} {digest}\n".encode() + hashlib.shake_128(mark.encode()).digest(size)


def upload(mark: str, size: int) -> bytes:
    """Return the body of a request."""
    return hashlib.shake_128(b"upload " + mark.encode()).digest(size)


def digest_of(body: bytes) -> str:
    """Return what `X-Digest` says of a body."""
    return hashlib.sha256(body).hexdigest()[:16]


@dataclass(slots=True)
class Asked:
    """One request and the connection that it came on."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    head: bytes
    mark: str
    size: int
    digest: str
    """Of the body that was received."""
    dice: random.Random

    @property
    def body(self) -> bytes:
        return payload(self.mark, self.digest, self.size)

    def header(self, name: bytes) -> bytes:
        return _header(self.head, name)

    def head_of_answer(self, *lines: bytes, status: bytes = b"200 OK") -> bytes:
        every = (b"HTTP/1.1 " + status, b"X-Mark: " + self.mark.encode(), *lines, b"", b"")
        return b"\r\n".join(every)

    def sized(self, *lines: bytes, status: bytes = b"200 OK") -> bytes:
        length = b"Content-Length: %d" % len(self.body)
        return self.head_of_answer(length, *lines, status=status)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def pause(self, most: float) -> None:
        await asyncio.sleep(self.dice.uniform(0, most))

    async def stall(self) -> None:
        """Do nothing until the other side gives up."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST_STALL):
                while await self.reader.read(65536):
                    pass

    def arm(self) -> None:
        """Have the connection end with a reset, also when this process is killed."""
        sock = self.writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def reset(self) -> None:
        """Close with a reset."""
        self.arm()
        self.writer.transport.abort()

    def half(self) -> bytes:
        body = self.body
        return body[: self.dice.randrange(len(body))]

    def chunks(self, data: bytes) -> list[bytes]:
        found, at = list[bytes](), 0
        while at < len(data):
            piece = data[at : at + self.dice.randint(1, len(data))]
            at += len(piece)
            found.append(b"%x\r\n%b\r\n" % (len(piece), piece))
        return found


Behaviour = Callable[[Asked], Awaitable[bool]]
"""Answers one request; whether another may follow on the connection."""
BEHAVIOURS: dict[str, Behaviour] = {}
BODY_UNREAD = frozenset({"early", "early_close", "upload_unread", "upload_reset"})
"""Behaviours that do not wait for the body of the request."""


def _behaviour(one: Behaviour) -> Behaviour:
    BEHAVIOURS[one.__name__] = one
    return one


# Answers that arrive whole.


@_behaviour
async def normal(asked: Asked) -> bool:
    await asked.send(asked.sized() + asked.body)
    return True


@_behaviour
async def chunked(asked: Asked) -> bool:
    await asked.send(asked.head_of_answer(b"Transfer-Encoding: chunked"))
    for chunk in asked.chunks(asked.body):
        await asked.send(chunk)
    await asked.send(b"0\r\nX-Trailer: " + asked.mark.encode() + b"\r\n\r\n")
    return True


@_behaviour
async def until_close(asked: Asked) -> bool:
    await asked.send(asked.head_of_answer() + asked.body)
    return False


@_behaviour
async def trickle(asked: Asked) -> bool:
    every = asked.sized() + asked.body
    for at in range(len(every)):
        await asked.send(every[at : at + 1])
        await asked.pause(0.004)
    return True


@_behaviour
async def pausing(asked: Asked) -> bool:
    await asked.pause(0.2)
    await asked.send(asked.sized())
    await asked.pause(0.2)
    half = len(asked.half())
    await asked.send(asked.body[:half])
    await asked.pause(0.2)
    await asked.send(asked.body[half:])
    return True


@_behaviour
async def leaving(asked: Asked) -> bool:
    """Close a connection that was meant to be used again."""
    await asked.send(asked.sized() + asked.body)
    await asked.pause(0.02)
    return False


@_behaviour
async def goodbye(asked: Asked) -> bool:
    await asked.send(asked.sized(b"Connection: close") + asked.body)
    return False


@_behaviour
async def interims(asked: Asked) -> bool:
    for status in (b"102 Processing", b"103 Early Hints", b"100 Continue", b"103 Early Hints"):
        await asked.send(b"HTTP/1.1 " + status + b"\r\nX-Mark: " + asked.mark.encode() + b"\r\n\r\n")
    await asked.send(asked.sized() + asked.body)
    return True


@_behaviour
async def unavailable(asked: Asked) -> bool:
    await asked.send(asked.sized(status=b"503 Service Unavailable") + asked.body)
    return True


@_behaviour
async def nothing(asked: Asked) -> bool:
    await asked.send(asked.head_of_answer(status=b"204 No Content"))
    return True


@_behaviour
async def bodiless(asked: Asked) -> bool:
    """Answer a HEAD."""
    await asked.send(asked.sized())
    return True


@_behaviour
async def surplus(asked: Asked) -> bool:
    """Send more than the length says: at once, what looks like the answer to the next request; or a little
    later, when that next request may be on its way, what does not look like an answer."""
    if asked.dice.random() < 0.5:
        wrong = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(POISON), POISON)
        await asked.send(asked.sized() + asked.body + wrong)
    else:
        await asked.send(asked.sized() + asked.body)
        await asked.pause(0.01)
        await asked.send(POISON)
    return True


# Answers before the body of the request has been read.


@_behaviour
async def early(asked: Asked) -> bool:
    await asked.send(asked.sized() + asked.body)
    await asked.stall()
    return False


@_behaviour
async def early_close(asked: Asked) -> bool:
    await asked.send(asked.sized(b"Connection: close") + asked.body)
    await asked.pause(0.02)
    return False


@_behaviour
async def upload_unread(asked: Asked) -> bool:
    """Never read the body; what fits into the buffers on the way is small beside it."""
    asked.writer.transport.pause_reading()  # type: ignore[attr-defined] # a transport that also reads
    await asyncio.sleep(4)
    return False


@_behaviour
async def upload_reset(asked: Asked) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.05):
            await asked.reader.read(asked.dice.randint(1, 65536))
    asked.reset()
    return False


# Answers that never arrive whole.


@_behaviour
async def silent(asked: Asked) -> bool:
    await asked.stall()
    return False


@_behaviour
async def half_head(asked: Asked) -> bool:
    every = asked.sized()
    await asked.send(every[: asked.dice.randint(1, len(every) - 1)])
    await asked.stall()
    return False


@_behaviour
async def stalled(asked: Asked) -> bool:
    await asked.send(asked.sized() + asked.half())
    await asked.stall()
    return False


@_behaviour
async def hang_up(asked: Asked) -> bool:
    return False


@_behaviour
async def reset_at_once(asked: Asked) -> bool:
    asked.reset()
    return False


@_behaviour
async def reset_in_head(asked: Asked) -> bool:
    every = asked.sized()
    await asked.send(every[: asked.dice.randint(1, len(every) - 1)])
    await asked.pause(0.01)
    asked.reset()
    return False


@_behaviour
async def reset_in_body(asked: Asked) -> bool:
    await asked.send(asked.sized() + asked.half())
    await asked.pause(0.01)
    asked.reset()
    return False


@_behaviour
async def too_little(asked: Asked) -> bool:
    await asked.send(asked.sized() + asked.half())
    return False


@_behaviour
async def two_lengths(asked: Asked) -> bool:
    more = b"Content-Length: %d" % (len(asked.body) + asked.dice.choice((-1, 1)))
    await asked.send(asked.sized(more) + asked.body)
    await asked.stall()
    return False


@_behaviour
async def two_framings(asked: Asked) -> bool:
    await asked.send(
        asked.sized(b"Transfer-Encoding: chunked") + b"".join(asked.chunks(asked.body)) + b"0\r\n\r\n"
    )
    await asked.stall()
    return False


@_behaviour
async def chunks_cut(asked: Asked) -> bool:
    every = b"".join(asked.chunks(asked.body)) + b"0\r\n\r\n"
    await asked.send(asked.head_of_answer(b"Transfer-Encoding: chunked"))
    await asked.send(every[: asked.dice.randrange(len(every) - 1)])
    return False


@_behaviour
async def reset_without_length(asked: Asked) -> bool:
    """Break off a body that ends with its connection: only the reset says that it is not whole. A unix socket
    knows no reset."""
    if asked.writer.get_extra_info("socket").family == socket.AF_UNIX:
        return await chunks_cut(asked)
    asked.arm()
    await asked.send(asked.head_of_answer() + asked.half())
    await asked.pause(0.01)
    asked.reset()
    return False


@_behaviour
async def chunks_broken(asked: Asked) -> bool:
    every = asked.chunks(asked.body)
    every.insert(
        asked.dice.randint(0, len(every)), asked.dice.choice((b"zz\r\n", b"-1\r\n", b"\r\n", b"5;\r\nab\r\n"))
    )
    await asked.send(asked.head_of_answer(b"Transfer-Encoding: chunked") + b"".join(every) + b"0\r\n\r\n")
    await asked.stall()
    return False


@_behaviour
async def garbage(asked: Asked) -> bool:
    await asked.send(asked.dice.randbytes(asked.dice.randint(1, 2000)) + b"\r\n\r\n" + POISON)
    if asked.dice.random() < 0.5:
        await asked.stall()
    return False


@_behaviour
async def flood(asked: Asked) -> bool:
    """Send interim responses without end."""
    one = b"HTTP/1.1 103 Early Hints\r\nLink: </%b>\r\n\r\n" % (b"x" * 200)
    for _ in range(4000):
        await asked.send(one * 4)
    return False


@_behaviour
async def huge_head(asked: Asked) -> bool:
    for at in range(2000):
        await asked.send((b"HTTP/1.1 200 OK\r\n" if not at else b"") + b"X-%d: %b\r\n" % (at, b"x" * 200))
    await asked.send(b"Content-Length: 6\r\n\r\n" + POISON)
    return False


@_behaviour
async def switched(asked: Asked) -> bool:
    """Change the protocol although nobody asked for it."""
    await asked.send(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n" + POISON
    )
    await asked.stall()
    return False


# WebSockets.


@_behaviour
async def ws_echo(asked: Asked) -> bool:
    await asked.send(_accepted(asked))
    async for opcode, text in _frames(asked.reader):
        await asked.send(bytes([0x80 | opcode]) + _length(len(text)) + text)
        if opcode == 8:
            break
    return False


@_behaviour
async def ws_reset(asked: Asked) -> bool:
    await asked.send(_accepted(asked))
    async for opcode, text in _frames(asked.reader):
        await asked.send(bytes([0x80 | opcode]) + _length(len(text)) + text)
        if opcode == 8 or asked.dice.random() < 0.4:
            asked.reset()
            break
    return False


@_behaviour
async def ws_silent(asked: Asked) -> bool:
    await asked.send(_accepted(asked))
    await asked.stall()
    return False


@_behaviour
async def ws_wrong(asked: Asked) -> bool:
    """Accept another handshake than the one that was asked for."""
    await asked.send(_accepted(asked, key=b"AAAAAAAAAAAAAAAAAAAAAA=="))
    await asked.stall()
    return False


@_behaviour
async def ws_refused(asked: Asked) -> bool:
    await asked.send(asked.sized(status=b"409 Conflict") + asked.body)
    return True


def _accepted(asked: Asked, key: bytes | None = None) -> bytes:
    key = asked.header(b"sec-websocket-key") if key is None else key
    accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
    return asked.head_of_answer(
        b"Connection: Upgrade",
        b"Upgrade: websocket",
        b"Sec-WebSocket-Accept: " + accept,
        status=b"101 Switching Protocols",
    )


async def _frames(reader: asyncio.StreamReader) -> AsyncIterator[tuple[int, bytes]]:
    while True:
        first, second = await reader.readexactly(2)
        size = second & 0x7F
        if size == 126:
            size = int.from_bytes(await reader.readexactly(2))
        mask = await reader.readexactly(4)
        text = await reader.readexactly(size)
        whole = int.from_bytes(text) ^ int.from_bytes((mask * (size // 4 + 1))[:size])
        yield first & 0x0F, whole.to_bytes(size)


def _length(size: int) -> bytes:
    return bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2)


# The service around it.


def _header(head: bytes, name: bytes) -> bytes:
    found = re.search(rb"(?im)^" + re.escape(name) + rb":[ \t]*(.*?)[ \t]*\r?$", head)
    return found[1] if found else b""


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    if not _header(head, b"transfer-encoding"):
        return await reader.readexactly(int(_header(head, b"content-length") or 0))
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return body


class Service:
    """Listens, and answers. `book` is where requests are written down."""

    def __init__(self, listen: str, book: Path, seed: str) -> None:
        self._listen = listen
        self._book = os.open(book, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._dice = random.Random(seed)
        self._server: asyncio.Server | None = None
        self._changes: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until the end of standard input."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, self._close)
        loop.add_signal_handler(signal.SIGUSR2, lambda: self._changes.add(loop.create_task(self._open())))
        await self._open()
        await loop.run_in_executor(None, sys.stdin.buffer.read)
        os._exit(0)

    async def _open(self) -> None:
        if self._server is not None:
            return
        if self._listen.startswith("unix:"):
            path = self._listen.removeprefix("unix:")
            Path(path).unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(self._serve, path, limit=2**18)
        else:
            host, _, port = self._listen.rpartition(":")
            self._server = await asyncio.start_server(self._serve, host, int(port), limit=2**18)

    def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(EOFError, ConnectionError):
            while await self._exchange(reader, writer):
                pass
        writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split(b" ", 2)[1].decode()
        if path.endswith("/healthz"):
            return await self._health(writer)
        behaviour, mark, size = path.rsplit("/", 3)[1:]
        os.write(self._book, mark.encode() + b"\n")
        body = b""
        if behaviour not in BODY_UNREAD:
            body = await _body(reader, head)
            announced = _header(head, b"x-digest").decode()
            if announced and digest_of(body) != announced:
                os.write(self._book, mark.encode() + b" wrong\n")
        asked = Asked(reader, writer, head, mark, int(size), digest_of(body), random.Random(mark))
        return await BEHAVIOURS[behaviour](asked)

    async def _health(self, writer: asyncio.StreamWriter) -> bool:
        chance = self._dice.random()
        if chance < 0.05:
            await asyncio.sleep(1)
        status = b"500 No" if chance > 0.95 else b"200 OK"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        return True


if __name__ == "__main__":
    asyncio.run(Service(sys.argv[1], Path(sys.argv[2]), sys.argv[3]).run())
