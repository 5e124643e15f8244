"""The body of a request that is decrypted: all of it, as it came, and then as the upstream gets it."""

import asyncio
from typing import Final, Protocol

from gateway.proxy.downstream import Downstream
from gateway.proxy.faults import Fault, UpstreamFault
from gateway.proxy.held import Held

_PIECE: Final = 65_536


class BodySource(Protocol):
    """Where the bytes of a request body come from."""

    async def read(self) -> bytes:
        """Return the next bytes, b"" at the end."""


class PlainBody:
    """A request body that was decrypted, handed out piece by piece and forgotten when it is gone."""

    __slots__ = ("_at", "_data", "_held")

    def __init__(self, data: bytes, held: Held) -> None:
        """`held` is what it counts as; given back with the last piece."""
        self._data = data
        self._held = held
        self._at = 0

    async def read(self) -> bytes:
        """Return the next bytes, b"" at the end."""
        piece = self._data[self._at : self._at + _PIECE]
        self._at += len(piece)
        if self._at >= len(self._data):
            self._data = b""
            self._held.give_back()
        return piece


async def read_all(client: Downstream, idle: float, held: Held) -> bytes:
    """Return all of the body that a client sends, which is `held` from here on; its next byte may take `idle`
    seconds. Raise what reading from it raises, and `UpstreamFault`."""
    client.continue_()
    body = bytearray()
    try:
        while True:
            async with asyncio.timeout(idle):
                data = await client.read()
            if not data:
                return bytes(body)
            held.take(len(data))
            body += data
    except TimeoutError:
        pass
    raise UpstreamFault(Fault.REQUEST_BODY_CLIENT, "the client stopped sending the request body")
