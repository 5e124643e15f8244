"""Between a gateway and its PostgreSQL: something happens at the very moment of a commit."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from enum import Enum, auto
from typing import Final

from sqlalchemy import make_url

_COMMIT: Final = b"COMMIT"


class Fate(Enum):
    """What becomes of a commit."""

    PASSES = auto()
    CUT_BEFORE = auto()
    """The connection ends, and the server never hears of it."""
    CUT_AFTER = auto()
    """The server commits; the connection ends before anybody hears of that."""


class Commits:
    """A way to a PostgreSQL on this machine on which `decide` is asked about each commit, in a thread of its own."""

    def __init__(self, url: str) -> None:
        self._real = make_url(url)
        self.port = 0
        self.decide: Callable[[], Fate] = lambda: Fate.PASSES
        self.seen: list[Fate] = []
        """What became of the commits."""

    @property
    def url(self) -> str:
        """The database by this way."""
        # No TLS: what passes is read.
        there = self._real.set(host="127.0.0.1", port=self.port).update_query_dict({"sslmode": "disable"})
        return there.render_as_string(hide_password=False)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection to the server and back, until either side or fate ends it."""
        try:
            back, there = await asyncio.open_connection(self._real.host, self._real.port)
        except OSError:
            writer.transport.abort()
            return
        answers = asyncio.create_task(self._answers(back, writer))
        try:
            await self._questions(reader, there, back, answers)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            answers.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await answers
            for end in (writer, there):
                end.transport.abort()

    async def _questions(
        self,
        reader: asyncio.StreamReader,
        there: asyncio.StreamWriter,
        back: asyncio.StreamReader,
        answers: "asyncio.Task[None]",
    ) -> None:
        # The first message has no type (PostgreSQL manual, 54.7 "StartupMessage").
        length = await reader.readexactly(4)
        there.write(length + await reader.readexactly(int.from_bytes(length) - 4))
        while True:
            head = await reader.readexactly(5)
            message = head + await reader.readexactly(int.from_bytes(head[1:]) - 4)
            if head[:1] != b"Q" or not message[5:].startswith(_COMMIT):
                there.write(message)
                continue
            fate = await asyncio.to_thread(self.decide)
            self.seen.append(fate)
            match fate:
                case Fate.PASSES:
                    there.write(message)
                case Fate.CUT_BEFORE:
                    return
                case Fate.CUT_AFTER:
                    answers.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await answers
                    there.write(message)
                    # The answer says that it is done.
                    await back.read(1)
                    return

    async def _answers(self, back: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await back.read(65536):
            writer.write(data)
        writer.close()


@contextlib.contextmanager
def watched_commits(url: str) -> Iterator[Commits]:
    """Lend a way to a database for the length of the block."""
    commits = Commits(url)
    serving = threading.Event()
    loop = asyncio.new_event_loop()
    over = asyncio.Event()
    connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            await commits.serve(reader, writer)
        finally:
            connections.discard(task)

    async def serve() -> None:
        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        commits.port = server.sockets[0].getsockname()[1]
        serving.set()
        await over.wait()
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await asyncio.sleep(0)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    serving.wait()
    try:
        yield commits
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
