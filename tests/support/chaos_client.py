"""A client that reads answers strictly, and tells a whole one from one that was cut."""

import asyncio
import contextlib
import re
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Self

_LONGEST_HEAD = 2**18
_HEAD = re.compile(rb"HTTP/1\.1 (\d\d\d) [^\r\n]*\r\n((?:[!-9;-~]+: ?[^\r\n]*\r\n)*)\r\n")


class Wrong(Exception):
    """What was received is something that no client may ever receive."""


class End(Enum):
    """How far an answer came."""

    WHOLE = "whole"
    CUT = "cut"
    """The connection ended before the answer did, and the answer's framing shows it."""
    NONE = "none"
    """The connection ended before a byte of the answer."""


@dataclass(slots=True)
class Reply:
    """One answer."""

    end: End
    status: int = 0
    fields: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)

    @property
    def closes(self) -> bool:
        """Whether nothing more may be expected on the connection."""
        return self.end is not End.WHOLE or self.fields.get("connection", "").lower() == "close"


@dataclass(slots=True)
class Line:
    """One connection to the gateway."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    pace: float = 0.0
    """Seconds between two reads of a body, for a client that is slow."""
    told: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when an interim 100 has come."""

    @classmethod
    async def open(cls, port: int, *, receives: int | None = None) -> Self:
        """Connect. `receives`: bytes that the system takes before they are read."""
        own = socket.socket()
        own.setblocking(False)
        if receives is not None:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
        await asyncio.get_running_loop().sock_connect(own, ("127.0.0.1", port))
        return cls(
            *await asyncio.open_connection(sock=own, limit=_LONGEST_HEAD if receives is None else receives)
        )

    async def send(self, data: bytes) -> bool:
        """Send, and say whether the other side still took it."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except ConnectionError:
            return False
        return not self.writer.transport.is_closing()

    async def reply(self, *, bodiless: bool = False) -> Reply:
        """Return the next answer. Raise `Wrong`."""
        while True:
            try:
                head = await self.reader.readuntil(b"\r\n\r\n")
            except asyncio.LimitOverrunError as overrun:
                raise Wrong("a head that does not end") from overrun
            except asyncio.IncompleteReadError as short:
                return Reply(End.CUT if short.partial else End.NONE)
            except ConnectionError:
                return Reply(End.NONE)
            found = _HEAD.fullmatch(head)
            if found is None:
                raise Wrong(f"no head of an answer: {head[:200]!r}")
            status = int(found[1])
            fields: dict[str, str] = {}
            for line in found[2].decode("latin-1").split("\r\n")[:-1]:
                name, _, value = line.partition(":")
                if name.lower() in {"content-length", "transfer-encoding", "x-mark"} & fields.keys():
                    raise Wrong(f"{name} twice: {head[:400]!r}")
                fields[name.lower()] = value.strip()
            if status == 100:
                self.told.set()
            if status >= 200 or status == 101:
                break
        reply = Reply(End.WHOLE, status, fields)
        if bodiless or status in {101, 204, 304}:
            return reply
        try:
            reply.body, is_whole = await self._body(fields)
        except ConnectionError:
            is_whole = False
        if not is_whole:
            reply.end = End.CUT
        return reply

    async def _body(self, fields: Mapping[str, str]) -> tuple[bytes, bool]:
        length, coding = fields.get("content-length"), fields.get("transfer-encoding")
        if (length is None) == (coding is None):
            raise Wrong(f"an answer must have one framing: {fields}")
        if length is not None:
            return await self._read(int(length))
        if coding != "chunked":
            raise Wrong(f"a transfer coding that was not asked for: {coding}")
        parts: list[bytes] = []
        while True:
            line = await self._line()
            if line is None:
                return b"".join(parts), False
            if not re.fullmatch(rb"[0-9a-f]+", line):
                raise Wrong(f"no size of a chunk: {line[:100]!r}")
            if not int(line, 16):
                break
            data, is_whole = await self._read(int(line, 16))
            parts.append(data)
            if not is_whole or (end := await self._line()) is None:
                return b"".join(parts), False
            if end:
                raise Wrong(f"a chunk that is longer than its size: {end[:100]!r}")
        while (line := await self._line()) is not None:
            if not line:
                return b"".join(parts), True
        return b"".join(parts), False

    async def _line(self) -> bytes | None:
        try:
            return (await self.reader.readuntil(b"\r\n"))[:-2]
        except asyncio.IncompleteReadError:
            return None

    async def _read(self, size: int) -> tuple[bytes, bool]:
        parts: list[bytes] = []
        while size:
            data = await self.reader.read(min(size, 65536))
            if not data:
                return b"".join(parts), False
            parts.append(data)
            size -= len(data)
            if self.pace:
                await asyncio.sleep(self.pace)
        return b"".join(parts), True

    async def at_end(self) -> None:
        """Wait until the other side has closed. Raise `Wrong` when it sends something instead."""
        with contextlib.suppress(ConnectionError):
            if data := await self.reader.read(200):
                raise Wrong(f"bytes that nobody asked for: {data!r}")

    def close(self) -> None:
        """Leave."""
        self.writer.close()

    def reset(self) -> None:
        """Leave without a word."""
        own = self.writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()
