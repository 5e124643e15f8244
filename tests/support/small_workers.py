"""A supervisor with workers that do next to nothing, as a program of its own: forks stay out of the tests.

Prints a JSON line when it serves, `{"port": ..., "pids": [...]}`. A worker answers each connection with its
number and closes it. Run with the number of workers and a way to misbehave: none, stubborn, crashing,
refusing, orphaning.
"""

import asyncio
import ctypes
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence

from gateway.workers import Arrivals, Desk, Post, Reporter, Standing, Supervisor, WorkerRefused, tell_refusal
from gateway.workers import supervisor as supervisor_file

DRAIN_SECONDS = 0.2


class Answer(asyncio.Protocol):
    """Says a word and closes."""

    def __init__(self, word: bytes) -> None:
        self.word = word
        self.arrivals: Arrivals

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self.word)
        transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.arrivals.ended()


def work(post: Post, manner: str) -> int:
    """One worker, behaving as it is told."""
    if post.number == 2 and manner == "crashing":
        return 3
    if post.number == 2 and manner == "refusing":
        tell_refusal(post.channel, "the second worker does not want to")
        return 1
    return asyncio.run(_work(post, manner))


async def _work(post: Post, manner: str) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, (lambda: None) if manner == "stubborn" else stop.set)

    def made() -> Answer:
        protocol = Answer(b"%d" % post.number)
        protocol.arrivals = arrivals
        return protocol

    arrivals = Arrivals(post.hand, made)
    arrivals.orphaned.add_done_callback(lambda _: stop.set())
    standing = Standing(
        status=200, body={"status": "ready", "failed": {}, "degraded": {}}, open=0, in_flight=0
    )
    reporter = Reporter(post.channel, lambda: standing, lambda: {"worker": post.number})
    if manner == "orphaning":
        _leave_an_orphan()
    async with asyncio.TaskGroup() as tasks:
        works = [tasks.create_task(arrivals.run()), tasks.create_task(reporter.run())]
        await stop.wait()
        await arrivals.leave(1)
        for one in works:
            one.cancel()
    return 0


def _leave_an_orphan() -> None:
    """Have a process whose parent ends before it does."""
    child = os.fork()
    if child == 0:
        if os.fork() == 0:
            time.sleep(0.1)
        os._exit(7)
    os.waitpid(child, 0)


def operate(feed: socket.socket) -> int:
    """Read the feed to its end."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    feed.settimeout(None)
    while feed.recv(65536):
        pass
    return 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(workers: int, manner: str) -> None:
    """Run until SIGTERM."""
    listener = socket.socket()
    listener.settimeout(0.0)
    listener.bind(("127.0.0.1", 0))

    def serving(pids: Sequence[int]) -> None:
        listener.listen(2048)
        _say(json.dumps({"port": listener.getsockname()[1], "pids": list(pids)}))

    if manner == "stubborn":
        supervisor_file._STRAGGLERS = 0.3  # type: ignore[misc] # nobody waits eight seconds for a test
    if manner == "orphaning":
        # PR_SET_CHILD_SUBREAPER: orphans below come to this process, as they do to the first of a container.
        ctypes.CDLL(None).prctl(36, 1)
    supervisor = Supervisor(
        listeners=[listener],
        workers=workers,
        work=lambda post: work(post, manner),
        desk=Desk(operate, []),
        remember=lambda last: last,
        drain_timeout=DRAIN_SECONDS,
        on_serving=serving,
    )
    try:
        supervisor.run()
    except WorkerRefused as refused:
        _say(f"refused: {refused}")
        sys.exit(2)
    _say("ended")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
