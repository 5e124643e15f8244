"""An upstream that keeps every byte, reads requests as strictly as the RFC allows, and lies where it is told."""

import asyncio
import re
import socket
import struct
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha1

_HEAD = re.compile(
    rb"(?P<method>[!#$%&'*+.^_`|~0-9A-Za-z-]+) (?P<target>/[!-\"$-~]*) HTTP/1\.1\r\n"
    rb"(?P<lines>(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[ \t]*[^\x00-\x08\x0a-\x1f\x7f]*\r\n)+)\r\n"
)
_NAMED = re.compile(r"\\r\\nX-Request-Id: ([0-9a-f-]{36})")
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,17}")
_CHUNK = re.compile(rb"([0-9a-f]{1,8})\r\n")

LAST = b"Connection: close\r\n\r\n"
"""The end of the harmless request that follows each attack: a tunnel that has carried it has carried all."""

Line = tuple[bytes, bytes]


@dataclass(slots=True, eq=False)
class Asked:
    """One request as an upstream got it."""

    connection: int
    method: bytes
    target: bytes
    lines: list[Line]
    head: bytes = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    complete: bool = False

    def values(self, name: bytes) -> list[bytes]:
        """Return the values of a field, its name given in lower case."""
        return [value for other, value in self.lines if other.lower() == name]

    @property
    def request_id(self) -> str:
        """The id that the gateway gave it."""
        return (self.values(b"x-request-id") or [b""])[0].decode("latin-1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What an upstream does once it has been asked."""

    pieces: Sequence[bytes] = field(repr=False)
    then: str = "keep"
    """`keep` the connection, `close` or `reset` it."""
    early: bool = False
    """Answer as soon as the head is there, and never mind the body."""
    late: bytes = field(default=b"", repr=False)
    """Sent a moment after the answer, when nobody has asked for anything."""
    endless: bytes = field(default=b"", repr=False)
    """Sent again and again until the gateway has had enough."""
    pause: float = 0.0
    """Seconds between two pieces; without a pause, each is still a segment of its own."""
    reusable: bool = True
    """Whether the gateway may send another request on the same connection."""


def honest(asked: Asked) -> bytes:
    """Return an answer that belongs to one request and to no other."""
    body = b"honest " + asked.request_id.encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(body)
    return head if asked.method == b"HEAD" else head + body


class Recorder:
    """A listening socket, all that it was asked, and what was wrong with how it was asked."""

    def __init__(self, scripts: Mapping[bytes, Script]) -> None:
        self.scripts = scripts
        """By path: what is not listed gets an honest answer."""
        self.asked: list[Asked] = []
        self.wrongs: list[tuple[str, str]] = []
        """By request id: what a strict reader objects to."""
        self.connections = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**20, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no longer, and end what runs."""
        assert self._server is not None
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        conversation = Conversation(self, reader, writer, self.connections)
        try:
            while await conversation.one():
                pass
        except (EOFError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self._tasks.discard(task)


class Conversation:
    """One connection that the gateway made."""

    def __init__(
        self, recorder: Recorder, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        self._recorder = recorder
        self._reader = reader
        self._writer = writer
        self._number = number
        self._spoilt: Asked | None = None

    async def one(self) -> bool:
        """Take one request and answer it; say whether another may follow."""
        head = await self._until(b"\r\n\r\n")
        found = _HEAD.fullmatch(head)
        if found is None:
            return self._object(None, f"not a request: {head!r}")
        lines = [
            (name, value.strip(b" \t"))
            for name, _, value in (line.partition(b":") for line in found["lines"].split(b"\r\n")[:-1])
        ]
        asked = Asked(self._number, found["method"], found["target"], lines, head)
        self._recorder.asked.append(asked)
        if self._spoilt is not None:
            self._object(self._spoilt, f"{asked.target!r} was sent on the connection that this one spoilt")
        script = self._recorder.scripts.get(asked.target.partition(b"?")[0])
        if script is not None and script.early:
            await self._play(script)
        if script is None and asked.values(b"upgrade"):
            await self._switch(asked)
            return False
        if not await self._body(asked):
            return False
        asked.complete = True
        if script is None:
            self._writer.write(honest(asked))
            return True
        if not script.early:
            await self._play(script)
        if not script.reusable:
            self._spoilt = asked
        return script.then == "keep"

    async def _body(self, asked: Asked) -> bool:
        lengths, codings = asked.values(b"content-length"), asked.values(b"transfer-encoding")
        if len(asked.values(b"host")) != 1:
            return self._object(asked, "not one Host")
        if codings:
            if codings != [b"chunked"] or lengths:
                return self._object(asked, f"framing: {codings} and {lengths}")
            return await self._chunks(asked)
        if lengths:
            if len(lengths) > 1 or _LENGTH.fullmatch(lengths[0]) is None:
                return self._object(asked, f"framing: {lengths}")
            asked.body = await self._reader.readexactly(int(lengths[0]))
        return True

    async def _chunks(self, asked: Asked) -> bool:
        while True:
            line = await self._until(b"\r\n")
            found = _CHUNK.fullmatch(line)
            if found is None:
                return self._object(asked, f"chunk size {line!r}")
            size = int(found[1], 16)
            data = await self._reader.readexactly(size + 2)
            if data[-2:] != b"\r\n":
                return self._object(asked, f"after a chunk or in place of its trailers: {data[-2:]!r}")
            asked.body += data[:-2]
            if size == 0:
                return True

    async def _switch(self, asked: Asked) -> None:
        """Agree to WebSocket, and keep what comes then."""
        key = b"".join(asked.values(b"sec-websocket-key"))
        accept = b64encode(
            sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", usedforsecurity=False).digest()
        )
        self._write(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        asked.complete = True
        while LAST not in asked.body and (data := await self._reader.read(65536)):
            asked.body += data

    async def _until(self, mark: bytes) -> bytes:
        try:
            return await self._reader.readuntil(mark)
        except asyncio.IncompleteReadError as end:
            if end.partial and mark == b"\r\n\r\n":
                self._object(None, f"left over: {end.partial!r}")
            raise

    async def _play(self, script: Script) -> None:
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in script.pieces:
            self._write(piece)
            await asyncio.sleep(script.pause)
        while script.endless:
            self._write(script.endless)
            await self._writer.drain()
            await asyncio.sleep(0)
        if script.late:
            await asyncio.sleep(0.03)
            self._write(script.late)
        if script.then == "reset":
            await self._writer.drain()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._writer.transport.abort()
        elif script.then == "stall":
            await self._reader.read()

    def _write(self, data: bytes) -> None:
        if self._writer.transport.is_closing():
            raise ConnectionResetError
        self._writer.write(data)

    def _object(self, asked: Asked | None, what: str) -> bool:
        named = _NAMED.search(what) if asked is None else None
        request_id = asked.request_id if asked is not None else "" if named is None else named[1]
        self._recorder.wrongs.append((request_id, what))
        return False
