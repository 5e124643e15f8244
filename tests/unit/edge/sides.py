"""As much of a client's side as a request body needs."""

import asyncio
from dataclasses import replace

from aiohttp import StreamReader
from aiohttp.base_protocol import BaseProtocol
from support.heads import HEAD

from gateway.edge.client_side import ClientSide
from gateway.model import Fields, Framing, RequestHead


class Wire(BaseProtocol):
    """As much of a client connection. Whatever comes has come: there is nothing to hold back."""

    def pause_reading(self) -> None: ...

    def resume_reading(self, resume_parser: bool = True) -> None: ...


def sending(media_type: bytes, length: int = 20) -> RequestHead:
    """Return the head of a request with a body."""
    fields = Fields([(b"Content-Type", media_type)])
    return replace(HEAD, method="POST", framing=Framing.LENGTH, content_length=length, fields=fields)


def side(*parts: bytes, ended: bool, head: RequestHead = HEAD) -> ClientSide:
    """Return a client's side of which these parts of a body have come."""
    loop = asyncio.get_running_loop()
    wire = Wire(loop)
    wire.transport = asyncio.Transport()
    body = StreamReader(wire, 2**16, loop=loop)
    for part in parts:
        body.feed_data(part)
    if ended:
        body.feed_eof()
    return ClientSide(wire, head, body, keep_alive=True)  # type: ignore[arg-type] # a part of one is enough
