"""What stands between a gateway and a Redis, or in its place: a tap on the wire, and a server that misbehaves."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import hiredis

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

GREETING = {b"CLIENT": b"+OK\r\n", b"HELLO": b"-ERR unknown command 'HELLO'\r\n", b"PING": b"+PONG\r\n"}
"""How a server of old answers what a connection begins with."""


@asynccontextmanager
async def serving(
    handler: Handler, *, tls: ssl.SSLContext | None = None, port: int = 0
) -> AsyncIterator[int]:
    """Serve TCP connections on loopback and lend the port; at the end nothing of them is left."""
    open_now: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_now.add(task)
        try:
            await handler(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            open_now.discard(task)
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", port, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tuple(open_now):
            task.cancel()
        while open_now:
            await asyncio.sleep(0)


async def commands(reader: asyncio.StreamReader) -> AsyncIterator[list[bytes]]:
    """Yield what a client sends, one command at a time."""
    parser = hiredis.Reader()
    while data := await reader.read(65536):
        parser.feed(data)
        while (command := parser.gets()) is not False:
            yield command


def answering(answers: dict[bytes, bytes]) -> Handler:
    """Answer each command by its name; a name without an answer gets none."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for command in commands(reader):
            writer.write({**GREETING, **answers}.get(command[0], b""))

    return handler


def forwarding(to: str | tuple[str, int], *, seen: Callable[[bytes], None] = lambda data: None) -> Handler:
    """Pass bytes both ways; `seen` hears what one read of the client's side gave."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if isinstance(to, str):
            to_reader, to_writer = await asyncio.open_unix_connection(to)
        else:
            to_reader, to_writer = await asyncio.open_connection(*to)

        async def answers() -> None:
            while data := await to_reader.read(65536):
                writer.write(data)
            writer.close()

        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(answers())
                while data := await reader.read(65536):
                    seen(data)
                    to_writer.write(data)
                to_writer.close()
        finally:
            to_writer.close()

    return handler
