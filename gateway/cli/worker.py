"""The life of one worker among several: connections come from the supervisor, reports go there."""

import asyncio
import contextlib
import math
import signal

import uvloop

from gateway.assembly import StartRefused
from gateway.assembly.whole import Gateway, assemble
from gateway.cli.life import (
    answer_the_last,
    close_connections,
    exit_code,
    finish,
    spare_the_collector,
    stop_asked,
    tell_failure,
)
from gateway.cli.start import Start, StartGivenUp
from gateway.config import Snapshot
from gateway.observability import log, set_up_logs
from gateway.settings import Settings
from gateway.workers import Arrivals, Post, Reporter, Standing, tell_refusal, tell_waiting

_NO_MORE_WITHIN = 2.0
"""Seconds for the supervisor to say that nothing comes any more."""
_STRAGGLING = 10.0
"""Seconds for the end itself, after the drain."""


def work(settings: Settings, snapshot: Snapshot, post: Post) -> int:
    """Answer requests until SIGTERM, or until the supervisor is gone; return the exit code."""
    set_up_logs(level=settings.log_level, form=settings.log_format, worker=post.number)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_work(settings, snapshot, post))
    except StartRefused as refused:
        with contextlib.suppress(OSError):
            tell_refusal(post.channel, str(refused))
        return 1
    except StartGivenUp:
        return 0


async def _work(settings: Settings, snapshot: Snapshot, post: Post) -> int:
    stop = stop_asked()
    start = Start(stop, lambda missing: _tell(post, missing))
    async with assemble(settings, snapshot, worker=post.number, patience=start.patience) as gateway:
        arrivals = Arrivals(post.hand, gateway.listener)
        gateway.listener.on_lost = arrivals.ended
        reporter = Reporter(post.channel, lambda: _standing(gateway), gateway.metrics.state)
        gateway.failed.add_done_callback(lambda _: stop.set())
        arrivals.orphaned.add_done_callback(lambda _: stop.set())
        spare_the_collector()
        async with asyncio.TaskGroup() as tasks:
            arriving = tasks.create_task(arrivals.run())
            reporting = tasks.create_task(reporter.run())
            await stop.wait()
            if not tell_failure(gateway) and arrivals.orphaned.done():
                log.error("stopping", error="SupervisorGone", text="the process above this one has ended")
                # Nobody is left to kill this process should it not end by itself.
                signal.alarm(math.ceil(settings.drain_timeout + _STRAGGLING))
            gateway.readiness.draining = True
            reporter.soon()
            await _drain(gateway, arrivals, arriving, settings.drain_timeout)
            reporting.cancel()
        await reporter.last()
    return exit_code(gateway)


async def _tell(post: Post, missing: str) -> None:
    try:
        await tell_waiting(post.channel, missing)
    except OSError:
        raise StartGivenUp from None


def _standing(gateway: Gateway) -> Standing:
    status, body = gateway.readiness.report()
    return Standing(
        status=status, body=body, open=len(gateway.listener.connections), in_flight=gateway.door.in_flight
    )


async def _drain(gateway: Gateway, arrivals: Arrivals, arriving: "asyncio.Task[None]", within: float) -> None:
    """Say `Connection: close` on what is still answered, and end with the last exchange.

    While something runs, connections are still taken: the other workers may be gone. Whoever has been let in
    before this worker left is answered, too.
    """
    arrivals.drain()
    gateway.listener.drain()
    last = answer_the_last(gateway, lambda: arrivals.leave(_NO_MORE_WITHIN))
    await finish(gateway, last, within=within)
    arriving.cancel()
    await close_connections(gateway)
