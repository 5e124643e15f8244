"""A client's connection that has been told 101: nothing of what was sent is lost, and nothing is left behind."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser
from hypothesis import event, given
from hypothesis import strategies as st
from support.heads import HEAD
from support.tunnels import End, end, frame, reset

from gateway.edge.connection import READ_AHEAD, Connection, Incoming
from gateway.edge.listener import Listener
from gateway.edge.upgraded import take_over
from gateway.model import Fields, wants_websocket, websocket_flaw
from gateway.proxy import ClientLeft, Fault
from gateway.proxy.tunnel import Ended, Tunnel
from gateway.settings import Settings

HANDSHAKE = (
    b"GET /feed HTTP/1.1\r\nHost: gw\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
ANSWER = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
EARLY = frame(2, b"GET / HTTP/1.1\r\n\r\n", mask=b"abcd") + frame(1, b"early", mask=b"\0\0\0\0")


class Switching:
    """A door that leads every request into a tunnel."""

    def __init__(self, upstream: End) -> None:
        self.upstream = upstream
        self.ended: list[Ended] = []
        self.entered = asyncio.Event()
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def __call__(self, incoming: Incoming) -> bool:
        self.entered.set()
        await self.may_go_on.wait()
        transport = incoming.connection.transport
        assert incoming.flaw is None
        assert transport is not None
        transport.write(ANSWER)
        tunnel = Tunnel(take_over(incoming.connection), self.upstream.near, b"", idle=5)
        self.ended.append(await tunnel.carry())
        return False


class Served:
    """A listener with one client, and an upstream behind it."""

    def __init__(
        self, listener: Listener, door: Switching, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.listener = listener
        self.door = door
        self.reader = reader
        self.writer = writer

    async def gone(self) -> Ended:
        """Wait until the listener has nothing left of the client; return how its tunnel ended."""
        async with asyncio.timeout(5):
            while self.listener.connections:
                await asyncio.sleep(0.002)
        return self.door.ended[0]


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[Served]:
    before = asyncio.all_tasks()
    upstream = await end()
    door = Switching(upstream)
    listener = Listener(door, settings)
    server = await asyncio.get_running_loop().create_server(listener, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        yield Served(listener, door, reader, writer)
    finally:
        writer.close()
        upstream.writer.close()
        await listener.close(within=1)
        server.close()
        await asyncio.sleep(0)
    assert asyncio.all_tasks() <= before


@pytest.fixture
def settings() -> Settings:
    settings = Settings.model_validate({"public_url": "http://gw", "header_timeout": 0.2})
    return settings.model_copy(update={"keepalive_timeout": 0.2})


def pieces(cuts: Sequence[int]) -> list[bytes]:
    text = HANDSHAKE + EARLY
    return [text[begin:stop] for begin, stop in pairwise([0, *cuts, len(text)])]


SIZE = len(HANDSHAKE)


@pytest.mark.parametrize(
    "cuts",
    [
        (),
        (SIZE,),
        (SIZE - 1,),
        (SIZE + 1,),
        (SIZE - 2, SIZE + 3),
        (5, SIZE, SIZE + 24),
        tuple(range(1, SIZE + len(EARLY))),
    ],
    ids=["whole", "at the head's end", "before", "behind", "around", "thrice", "each byte"],
)
async def test_what_comes_behind_the_handshake_is_delivered_however_it_is_cut(
    cuts: tuple[int, ...], settings: Settings
) -> None:
    # Byte by byte takes long on a busy machine, and how long is not what is asked.
    patient = settings.model_copy(update={"header_timeout": 10.0})
    async with served(patient) as one:
        for piece in pieces(cuts):
            one.writer.write(piece)
            await asyncio.sleep(0.001)
        assert await one.door.upstream.receive(len(EARLY)) == EARLY
        one.writer.write(b"and more")
        assert await one.door.upstream.receive(8) == b"and more"
        assert await one.reader.readexactly(len(ANSWER)) == ANSWER


async def test_what_comes_while_the_upstream_is_asked_is_delivered(settings: Settings) -> None:
    async with served(settings) as one:
        one.door.may_go_on.clear()
        one.writer.write(HANDSHAKE + EARLY[:10])
        await one.door.entered.wait()
        one.writer.write(EARLY[10:])
        # More than is held in memory: reading stops, and goes on in the tunnel.
        flood = bytes(300_000)
        one.writer.write(flood)
        await asyncio.sleep(0.02)
        one.door.may_go_on.set()
        assert await one.door.upstream.receive(len(EARLY)) == EARLY
        assert await one.door.upstream.receive(len(flood)) == flood


async def test_no_timer_of_the_listener_ends_it(settings: Settings) -> None:
    async with served(settings) as one:
        one.writer.write(HANDSHAKE)
        await one.reader.readexactly(len(ANSWER))
        await asyncio.sleep(0.5)
        one.door.upstream.send(b"still here")
        assert await one.reader.readexactly(10) == b"still here"


async def test_it_counts_until_its_end_and_the_task_says_how_it_ended(settings: Settings) -> None:
    async with served(settings) as one:
        one.writer.write(HANDSHAKE + b"12345")
        await one.door.upstream.receive(5)
        assert len(one.listener.connections) == 1
        reset(one.writer)
        assert (await one.door.upstream.rest()) == b""
        ended = await one.gone()
        assert (ended.bytes_in, ended.fault) == (5, Fault.CLIENT_LEFT)


async def test_a_client_may_end_its_sending_and_still_listen(settings: Settings) -> None:
    async with served(settings) as one:
        one.writer.write(HANDSHAKE + b"done")
        one.writer.write_eof()
        assert await one.door.upstream.rest() == b"done"
        one.door.upstream.send(b"heard")
        one.door.upstream.end_sending()
        assert (await one.reader.read()).endswith(b"heard")
        assert (await one.gone()).fault is None


async def test_a_listener_that_closes_cuts_it(settings: Settings) -> None:
    async with served(settings) as one:
        one.writer.write(HANDSHAKE)
        await one.reader.readexactly(len(ANSWER))
        await one.listener.close(within=1)
        assert await one.reader.read() == b""
        assert await one.door.upstream.rest() == b""
        assert not one.listener.connections


SPACES = st.sampled_from(("", " ", "\t", "  "))
WORDS = st.sampled_from(
    ("upgrade", "Upgrade", "keep-alive", "close", "TE", "", "upgrades", "upgrade x", "up")
)
CONNECTION = st.lists(st.tuples(SPACES, WORDS, SPACES), max_size=3).map(
    lambda parts: ",".join("".join(part) for part in parts)
)
UPGRADE = st.sampled_from(
    ("websocket", "WebSocket", " websocket\t", "websocket,", "h2c", "websocket, h2c", "")
)


@given(st.lists(CONNECTION, min_size=1, max_size=2), st.lists(UPGRADE, min_size=1, max_size=2))
def test_whatever_is_let_through_the_parser_keeps_the_bytes_behind(
    connections: list[str], upgrades: list[str]
) -> None:
    lines = [f"Connection: {value}" for value in connections] + [f"Upgrade: {value}" for value in upgrades]
    text = HANDSHAKE.replace(
        b"Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket", "\r\n".join(lines).encode()
    )
    loop = asyncio.new_event_loop()
    loop.close()
    parser = HttpRequestParser(BaseProtocol(loop), loop, READ_AHEAD, max_msg_queue_size=1)
    message, _ = parser.feed_data(text + EARLY)[0][0]
    fields = Fields(message.raw_headers)
    if wants_websocket(fields, message.version) and not websocket_flaw(replace(HEAD, fields=fields)):
        event("let through")
        assert message.upgrade
        parser.message_consumed()
        parser.set_upgraded(True)
        assert parser.feed_data(b"")[2] == EARLY


async def test_a_client_that_has_left_cannot_be_taken_over(settings: Settings) -> None:
    async with served(settings) as one:
        connection = one.listener()
        assert isinstance(connection, Connection)
        with pytest.raises(ClientLeft):
            take_over(connection)
