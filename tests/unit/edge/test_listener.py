"""All connections together: how many there may be, and how they end."""

import asyncio
import gc

import pytest
from aiohttp import http_parser
from support.listening import EchoDoor, Listening, listening
from support.running import soon

from gateway.edge import connection as connection_file
from gateway.edge import listener as listener_file
from gateway.edge.listener import Listener, ParserMissing
from gateway.settings import load_settings

GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
WAIT = GET.replace(b"/a", b"/wait")
NEVER = GET.replace(b"/a", b"/never")


def only(server: Listening) -> connection_file.Connection:
    (one,) = server.listener.connections
    return one


async def test_one_client_too_many_is_told_so_and_the_place_of_one_that_leaves_is_free() -> None:
    async with listening(max_connections=2) as server:
        first, second, third = [await server.connect() for _ in range(3)]
        third.send(GET)
        assert await third.answers() == ["overloaded"]
        third.close()
        for one in (first, second):
            one.send(GET)
            assert await one.answer() == "/a"
        first.close()
        await soon(lambda: len(server.listener.connections) == 1)
        fourth = await server.connect()
        fourth.send(GET)
        assert await fourth.answer() == "/a"
        assert server.door.diagnoses == ["too many connections"]


async def test_whoever_is_turned_away_may_send_what_it_likes() -> None:
    async with listening(max_connections=1) as server:
        await server.connect()
        one = await server.connect()
        one.send(b"\x16\x03\x01 anything" + b"x" * 1_000_000)
        assert await one.answers() == ["overloaded"]


async def test_whoever_is_turned_away_and_silent_does_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_file, "_SILENT", 0.1)
    async with listening(max_connections=1) as server:
        await server.connect()
        one = await server.connect()
        assert await one.reader.read() == b""
        assert server.door.asked == []


async def test_so_many_that_not_all_can_be_told_are_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_file, "_MOST_UNWANTED", 3)
    async with listening(max_connections=1) as server:
        clients = [await server.connect() for _ in range(8)]
        await soon(lambda: len(server.listener.connections) == 4)
        for one in clients[1:4]:
            one.send(GET)
            assert await one.answers() == ["overloaded"]
        clients[0].send(GET)
        assert await clients[0].answer() == "/a"


async def test_one_address_has_its_own_limit() -> None:
    async with listening(max_connections_per_address=1) as server:
        first, second = await server.connect(), await server.connect()
        second.send(GET)
        assert await second.answers() == ["overloaded"]
        assert server.door.diagnoses == ["too many connections from this address"]
        second.close()
        first.close()
        await soon(lambda: not server.listener.connections)
        third = await server.connect()
        third.send(GET)
        assert await third.answer() == "/a"


async def test_a_drain_gives_idle_clients_a_last_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_file, "_LAST_CALL", 0.2)
    async with listening() as server:
        busy, idle, new = [await server.connect() for _ in range(3)]
        for one in (busy, idle):
            one.send(GET)
            assert await one.answer() == "/a"
        server.listener.drain()
        await asyncio.sleep(0.1)
        busy.send(GET)
        assert await busy.answers() == ["/a"]
        await server.listener.quiet()
        assert await idle.reader.read() == b""
        new.send(GET)
        assert await new.answers() == ["/a"]
        await server.listener.all_heard()


async def test_a_drain_waits_for_the_rest_of_a_head() -> None:
    async with listening() as server:
        client = await server.connect()
        client.send(GET)
        assert await client.answer() == "/a"
        client.send(GET[:20])
        await soon(lambda: not only(server).is_idle)
        server.listener.drain()
        await server.listener.quiet()
        heard = asyncio.ensure_future(server.listener.all_heard())
        await asyncio.sleep(0.01)
        assert not heard.done()
        client.send(GET[20:])
        assert await client.answers() == ["/a"]
        await heard


async def test_what_is_answered_during_a_drain_without_a_word_about_it_has_a_last_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener_file, "_LAST_CALL", 0.2)

    class Streaming(EchoDoor):
        """Has sent its head before the drain begins."""

        async def __call__(self, incoming: connection_file.Incoming) -> bool:
            """Answer, and promise to go on."""
            assert incoming.connection.transport is not None
            incoming.connection.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n")
            await self.go.wait()
            incoming.connection.transport.write(b"x")
            return True

    async with listening() as server:
        server.listener.door = streaming = Streaming()
        client = await server.connect()
        client.send(GET)
        await client.reader.readuntil(b"\r\n\r\n")
        server.listener.drain()
        streaming.go.set()
        assert await client.reader.readexactly(1) == b"x"
        server.listener.door = server.door
        client.send(GET)
        assert await client.answers() == ["/a"]


async def test_the_end_breaks_off_what_is_asked_and_waits_for_nobody() -> None:
    async with listening() as server:
        clients = [await server.connect() for _ in range(4)]
        clients[0].send(NEVER)
        clients[1].send(GET[:10])
        clients[2].send(GET)
        assert await clients[2].answer() == "/a"
        await soon(lambda: server.door.asked == ["/never", "/a"])
        await server.listener.close(within=0.1)
        for one in clients:
            assert await one.answer() is None
        await soon(lambda: not server.listener.connections)


async def test_a_drain_waits_for_a_slow_reader_of_its_last_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_file, "_LAST_CALL", 0.1)
    monkeypatch.setattr(EchoDoor, "BIG", 6_000_000)
    async with listening() as server:
        client = await server.connect(receives=4096)
        client.stop_reading()
        client.send(GET.replace(b"/a", b"/big"))
        await soon(lambda: server.door.asked)
        server.listener.drain()
        parting = asyncio.ensure_future(server.listener.parted())
        client.read_again()
        assert len(await client.answer() or "") == EchoDoor.BIG
        client.close()
        await parting
        assert not server.listener.connections


async def test_an_event_is_told_for_each_connection_that_ends() -> None:
    async with listening(max_connections=2) as server:
        ended: list[None] = []
        server.listener.on_lost = lambda: ended.append(None)
        for _ in range(3):
            await server.connect()
        await soon(lambda: len(server.listener.connections) == 3)
        server.close()
        await soon(lambda: not server.listener.connections)
        assert len(ended) == 3


async def test_an_idle_connection_is_garbage_for_nobody() -> None:
    async with listening() as server:
        client = await server.connect()
        client.send(GET)
        assert await client.answer() == "/a"
        # A task or a future for a client that says nothing is memory for each of ten thousand of them.
        (connection,) = server.listener.connections
        assert connection._task is None
        tasks = [one for one in gc.get_objects() if isinstance(one, asyncio.Task) and not one.done()]
        assert len(tasks) == 1


async def test_the_pure_python_parser_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_parser, "HttpRequestParserPy", http_parser.HttpRequestParser)
    with pytest.raises(ParserMissing, match="C parser"):
        Listener(EchoDoor(), load_settings({}))
