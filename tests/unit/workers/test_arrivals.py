"""Connections that the supervisor accepted are connections of the worker like any other."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from gateway.workers import Arrivals
from gateway.workers.hand import DRAINING, LEAVING, Hand


class Echo(asyncio.Protocol):
    """Answers whatever comes, and notes its connection."""

    def __init__(self, worker: "Worker") -> None:
        self.worker = worker
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.worker.made.append(self)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.worker.arrivals.ended()


class Worker:
    """Both ends of a hand in one process."""

    def __init__(self) -> None:
        self.hand = Hand()
        self.made: list[Echo] = []
        self.arrivals = Arrivals(self.hand.theirs, lambda: Echo(self))

    async def until(self, *, connections: int) -> None:
        """Wait until the supervisor's side knows of so many connections, none waiting."""
        async with asyncio.timeout(5):
            while (self.hand.open, self.hand.waiting) != (connections, 0):
                await asyncio.sleep(0.001)
                self.hand.hear()

    async def has_made(self, connections: int) -> None:
        """Wait until so many connections have come."""
        async with asyncio.timeout(5):
            while len(self.made) < connections:
                await asyncio.sleep(0.001)


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    async with at_work(Worker()) as made:
        yield made


@contextlib.asynccontextmanager
async def at_work(made: Worker) -> AsyncIterator[Worker]:
    """Have a worker take connections for the length of the block."""
    running = asyncio.create_task(made.arrivals.run())
    try:
        yield made
    finally:
        for one in made.made:
            one.transport.abort()
        await asyncio.sleep(0)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        made.hand.close()


async def connect(listener: socket.socket) -> tuple[socket.socket, socket.socket]:
    """Return both sides of a connection, as a client and as the supervisor have them."""
    listener.settimeout(0.0)
    client = socket.socket(listener.family)
    client.settimeout(0.0)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, listener.getsockname())
    accepted, _ = await loop.sock_accept(listener)
    return client, accepted


def tcp() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


async def test_a_tcp_connection_has_its_peer_and_is_not_delayed(worker: Worker) -> None:
    loop = asyncio.get_running_loop()
    with tcp() as listener:
        client, accepted = await connect(listener)
        with client:
            assert worker.hand.give(accepted)
            await loop.sock_sendall(client, b"hello")
            assert await loop.sock_recv(client, 10) == b"hello"
            transport = worker.made[0].transport
            assert transport.get_extra_info("peername") == client.getsockname()
            assert transport.get_extra_info("sockname") == listener.getsockname()
            inner = transport.get_extra_info("socket")
            assert inner.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


async def test_a_tcp_connection_of_version_6_has_its_peer(worker: Worker) -> None:
    with socket.socket(socket.AF_INET6) as listener:
        listener.bind(("::1", 0))
        listener.listen()
        client, accepted = await connect(listener)
        with client:
            worker.hand.give(accepted)
            await worker.has_made(1)
            assert worker.made[0].transport.get_extra_info("peername")[0] == "::1"


async def test_a_unix_connection_has_no_address(worker: Worker, tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "listener"))
        listener.listen()
        client, accepted = await connect(listener)
        with client:
            worker.hand.give(accepted)
            await loop.sock_sendall(client, b"hello")
            assert await loop.sock_recv(client, 10) == b"hello"
            assert not worker.made[0].transport.get_extra_info("peername")


async def test_the_supervisor_learns_what_was_taken_and_what_has_ended(worker: Worker) -> None:
    with tcp() as listener:
        clients = []
        for _ in range(100):
            client, accepted = await connect(listener)
            clients.append(client)
            assert worker.hand.give(accepted)
        await worker.until(connections=100)
        for one in clients[:60]:
            one.close()
        await worker.until(connections=40)
        for one in clients:
            one.close()
        await worker.until(connections=0)


async def test_a_client_that_has_left_already_is_counted_as_ended(worker: Worker) -> None:
    with tcp() as listener:
        for _ in range(20):
            client, accepted = await connect(listener)
            # A reset, so that even asking for the peer's address fails.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()
            worker.hand.give(accepted)
        await worker.until(connections=0)


async def test_a_closed_connection_ends_for_its_client(worker: Worker) -> None:
    loop = asyncio.get_running_loop()
    with tcp() as listener:
        client, accepted = await connect(listener)
        with client:
            worker.hand.give(accepted)
            await worker.has_made(1)
            worker.made[0].transport.close()
            async with asyncio.timeout(1):
                assert await loop.sock_recv(client, 10) == b""


async def test_moods_are_told(worker: Worker) -> None:
    worker.arrivals.drain()
    async with asyncio.timeout(1):
        while worker.hand.mood != DRAINING:
            await asyncio.sleep(0.001)
            worker.hand.hear()


async def test_who_leaves_gets_what_was_on_its_way_first(worker: Worker) -> None:
    with tcp() as listener:
        leaving = asyncio.create_task(worker.arrivals.leave(5))
        async with asyncio.timeout(1):
            while worker.hand.mood != LEAVING:
                await asyncio.sleep(0.001)
                worker.hand.hear()
        client, accepted = await connect(listener)
        with client:
            worker.hand.give(accepted)
            worker.hand.say_no_more()
            async with asyncio.timeout(1):
                await leaving
            await worker.has_made(1)
            await worker.until(connections=1)


async def test_who_leaves_does_not_wait_for_ever_for_a_supervisor_that_is_stuck(worker: Worker) -> None:
    async with asyncio.timeout(1):
        await worker.arrivals.leave(0.05)


async def test_a_worker_notices_that_the_supervisor_is_gone(worker: Worker) -> None:
    with tcp() as listener:
        client, accepted = await connect(listener)
        with client:
            worker.hand.give(accepted)
            worker.hand.ours.close()
            async with asyncio.timeout(1):
                await worker.arrivals.orphaned
            # What was on its way has come before.
            await worker.has_made(1)
            async with asyncio.timeout(1):
                await worker.arrivals.leave(5)


async def test_a_supervisor_that_reads_nothing_is_told_the_newest_later(worker: Worker) -> None:
    with tcp() as listener:
        client, accepted = await connect(listener)
        with client:
            worker.hand.give(accepted)
            await worker.has_made(1)
            for _ in range(2000):
                worker.arrivals._tell()
            worker.made[0].transport.abort()
            await asyncio.sleep(0.02)
            await worker.until(connections=0)


async def test_connections_wait_while_too_many_files_are_open() -> None:
    made = Worker()
    with tcp() as listener, contextlib.ExitStack() as stack:
        for _ in range(6):
            client, accepted = await connect(listener)
            stack.enter_context(client)
            assert made.hand.give(accepted)
        # The lowest numbers that are free are those of the connections that come next.
        free = [os.dup(0) for _ in range(3)]
        for number in free:
            os.close(number)
        made.arrivals = Arrivals(made.hand.theirs, lambda: Echo(made), highest=max(free) + 1)
        async with at_work(made) as worker:
            await worker.has_made(3)
            await asyncio.sleep(0.3)
            worker.hand.hear()
            assert (worker.hand.open, worker.hand.waiting, len(worker.made)) == (6, 3, 3)
            for echo in worker.made:
                echo.transport.abort()
            await worker.has_made(6)
