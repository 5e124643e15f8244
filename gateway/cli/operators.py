"""The life of the process that speaks for several workers: one health, one readiness, one view of metrics."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Sequence

import uvloop
from aiohttp import web

from gateway.admin import operators_application
from gateway.observability import MetricsState, families, merged_state, set_up_logs, state_of
from gateway.settings import Settings
from gateway.web import merged_report
from gateway.workers import Inbox, Roll


def operate(settings: Settings, listeners: Sequence[socket.socket], feed: socket.socket) -> int:
    """Answer operators for as long as the supervisor tells of the workers; return the exit code."""
    set_up_logs(level=settings.log_level, form=settings.log_format)
    for number in (signal.SIGTERM, signal.SIGINT):
        # Sent to the whole group, they are for the workers; operators are answered until those have gone.
        signal.signal(number, signal.SIG_IGN)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_operate(listeners, feed))
    return 0


async def _operate(listeners: Sequence[socket.socket], feed: socket.socket) -> None:
    roll, whole, over = Roll(), asyncio.Event(), asyncio.Event()
    inbox = Inbox(feed)
    loop = asyncio.get_running_loop()

    def hear() -> None:
        for line in inbox.read():
            roll.hear(line)
        if roll.is_whole:
            whole.set()
        if inbox.over:
            loop.remove_reader(feed)
            whole.set()
            over.set()

    def readiness() -> tuple[int, dict[str, object]]:
        status, body = merged_report(roll.reports(), draining=roll.draining)
        return status, body | {"workers": roll.details()}

    def metrics() -> MetricsState:
        own = state_of({families.WORKERS: roll.running, families.WORKER_RESTARTS: roll.endings})
        return merged_state([*roll.metrics(), own])

    application = operators_application(
        readiness=readiness, metrics=metrics, is_alive=lambda: not roll.is_stuck
    )
    loop.add_reader(feed, hear)
    # Sums must not fall: who asks a process that has just come back waits until it knows everything.
    await whole.wait()
    async with answering(application, listeners):
        await over.wait()


@contextlib.asynccontextmanager
async def answering(application: web.Application, listeners: Sequence[socket.socket]) -> AsyncIterator[None]:
    """Answer operators on listening sockets for the length of the block."""
    runner = web.AppRunner(application, access_log=None, keepalive_timeout=75, shutdown_timeout=1)
    await runner.setup()
    try:
        for listener in listeners:
            await web.SockSite(runner, listener).start()
        yield
    finally:
        await runner.cleanup()
