"""One connection, at the moments that real sockets seldom reach."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from gateway.config import Timeouts
from gateway.proxy.connection import HIGH_WATER, Connection
from gateway.proxy.faults import Fault, UpstreamFault

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Wire(asyncio.Transport):
    """A transport that only notes what is asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.ours, self.theirs = socket.socketpair()
        self.sent = b""
        self.held = False
        self.open = True

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self.ours if name == "socket" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def is_closing(self) -> bool:
        return not self.open

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert self.open
        self.sent += data

    def pause_reading(self) -> None:
        assert not self.held
        self.held = True

    def resume_reading(self) -> None:
        assert self.held
        self.held = False

    def is_reading(self) -> bool:
        return not self.held

    def abort(self) -> None:
        self.open = False


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    wire.ours.close()
    wire.theirs.close()


async def connected(wire: Wire) -> Connection:
    connection = Connection(asyncio.get_running_loop())
    connection.connection_made(wire)
    return connection


def ask(connection: Connection, *, body: bool = False, idle: float = 5) -> None:
    timeouts = Timeouts(connect=5, response=5, idle=idle)
    connection.send_head(HEAD, bodiless=False, body=body, chunked=False, timeouts=timeouts)


def answer(size: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size


async def test_a_whole_response_above_the_high_water_leaves_the_connection_reading(wire: Wire) -> None:
    connection = await connected(wire)
    ask(connection)
    connection.data_received(answer(HIGH_WATER))
    assert not wire.is_reading()
    await connection.head()
    assert len(connection.body_so_far()) == HIGH_WATER
    assert wire.is_reading()
    assert connection.end_exchange()
    connection.connection_lost(None)


async def test_a_connection_that_is_held_back_is_not_used_again(wire: Wire) -> None:
    connection = await connected(wire)
    ask(connection)
    connection.data_received(answer(HIGH_WATER))
    assert not connection.end_exchange()
    assert not wire.open
    connection.connection_lost(None)


async def test_bytes_that_lie_in_the_socket_make_it_unusable(wire: Wire) -> None:
    connection = await connected(wire)
    assert connection.is_usable()
    wire.theirs.send(b"x")
    assert not connection.is_usable()
    connection.connection_lost(None)


async def test_bytes_that_nobody_asked_for_close_it(wire: Wire) -> None:
    connection = await connected(wire)
    connection.data_received(answer(0))
    assert not wire.open
    assert not connection.is_usable()
    connection.connection_lost(None)


async def test_the_head_waits_for_the_first_bytes_of_the_body_until_it_is_flushed(wire: Wire) -> None:
    connection = await connected(wire)
    ask(connection, body=True)
    assert wire.sent == b""
    connection.flush()
    assert wire.sent == HEAD
    connection.send(b"abc")
    connection.flush()
    assert wire.sent == HEAD + b"abc"
    connection.end_body()
    assert wire.sent == HEAD + b"abc"
    connection.connection_lost(None)


async def test_nothing_is_written_to_a_connection_that_has_ended(wire: Wire) -> None:
    connection = await connected(wire)
    ask(connection, body=True)
    connection.abort()
    connection.send(b"abc")
    connection.send(b"x" * 100_000)
    connection.end_body()
    assert wire.sent == b""
    connection.connection_lost(None)


async def test_its_end_wakes_an_upload_that_is_held_back(wire: Wire) -> None:
    connection = await connected(wire)
    ask(connection, body=True)
    connection.pause_writing()
    held = asyncio.ensure_future(connection.drained())
    await asyncio.sleep(0)
    connection.data_received(answer(0))
    connection.connection_lost(None)
    await held
    assert connection.complete


async def test_an_earlier_deadline_moves_the_timer(wire: Wire) -> None:
    connection = await connected(wire)
    connection.rest(60)
    connection.rest(0.01)
    while wire.open:
        await asyncio.sleep(0.005)
    connection.connection_lost(None)


async def test_a_later_deadline_is_waited_for(wire: Wire) -> None:
    connection = await connected(wire)
    connection.rest(0.01)
    connection.rest(0.1)
    begun = asyncio.get_running_loop().time()
    while wire.open:
        await asyncio.sleep(0.005)
    assert asyncio.get_running_loop().time() - begun > 0.09
    connection.connection_lost(None)


SWITCHING = b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


def ask_to_switch(connection: Connection) -> None:
    timeouts = Timeouts(connect=5, response=5, idle=5)
    connection.send_head(HEAD, bodiless=False, body=False, chunked=False, timeouts=timeouts, switching=True)


async def test_a_connection_that_has_switched_is_given_away_with_what_came_behind(wire: Wire) -> None:
    connection = await connected(wire)
    ask_to_switch(connection)
    connection.data_received(SWITCHING + b"frame")
    assert (await connection.head()).status == 101
    assert not wire.is_reading()
    # A transport that had more at hand when it was told to wait.
    connection.data_received(b"s")
    assert connection.detach() == (wire, b"frames")
    assert not connection.end_exchange()
    assert wire.open
    lost: list[Connection] = []
    connection.on_lost = lost.append
    connection.connection_lost(None)
    assert lost == [connection]
    assert connection.closed


async def test_a_connection_that_ended_with_its_101_is_not_given_away(wire: Wire) -> None:
    connection = await connected(wire)
    ask_to_switch(connection)
    connection.data_received(SWITCHING)
    connection.connection_lost(None)
    with pytest.raises(UpstreamFault, match="101"):
        connection.detach()


async def test_interim_responses_are_told_before_the_head_is(wire: Wire) -> None:
    connection = await connected(wire)
    ask(connection)
    told: list[int] = []
    connection.interim = lambda status, reason, lines: told.append(status)
    connection.data_received(b"HTTP/1.1 103 A\r\n\r\nHTTP/1.1 102 B\r\n\r\n" + answer(0))
    assert told == [103, 102]
    assert connection.end_exchange()
    ask(connection)
    connection.data_received(b"HTTP/1.1 103 A\r\n\r\n")
    assert told == [103, 102]
    connection.abort()


async def test_the_last_words_of_an_upstream_that_reset_the_connection_are_heard(wire: Wire) -> None:
    connection = await connected(wire)
    ask(connection, body=True)
    wire.ours.setblocking(False)
    wire.theirs.send(b"HTTP/1.1 103 A\r\n\r\nHTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nwhy?")
    connection.connection_lost(BrokenPipeError("nobody reads"))
    assert (await connection.head()).status == 413
    assert await connection.body() == b"why?"
    assert connection.complete
    assert not connection.end_exchange()


async def test_without_last_words_it_is_the_upstream_that_broke_off(wire: Wire) -> None:
    connection = await connected(wire)
    ask(connection, body=True)
    wire.ours.setblocking(False)
    connection.connection_lost(BrokenPipeError("nobody reads"))
    with pytest.raises(UpstreamFault, match="nobody reads") as caught:
        await connection.head()
    assert caught.value.fault is Fault.REQUEST_BODY_UPSTREAM


async def test_a_body_that_ends_with_the_connection_ends_with_its_close_and_with_nothing_else(
    wire: Wire,
) -> None:
    for problem in (None, ConnectionResetError("reset")):
        connection = await connected(wire)
        ask(connection)
        connection.data_received(b"HTTP/1.1 200 OK\r\n\r\nabc")
        if problem is None:
            connection.eof_received()
        connection.connection_lost(problem)
        assert await connection.body() == b"abc"
        assert connection.complete is (problem is None)
        assert (connection.problem is None) is (problem is None)
