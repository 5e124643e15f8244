"""What the life of every process has in common that answers clients: told to stop, drained, ended."""

import asyncio
import gc
import signal
from collections.abc import Awaitable

from gateway.assembly.whole import Gateway
from gateway.observability import log


def stop_asked() -> asyncio.Event:
    """Return what is set when SIGTERM or SIGINT comes."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def spare_the_collector() -> None:
    """Leave what the start has made out of every later collection, and collect more rarely.

    Requests make many objects and next to no cycles: with Python's own thresholds 8 % of the CPU goes into
    looking for them, and a full collection over all that was imported stops the loop for a tenth of a second.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def tell_failure(gateway: Gateway) -> bool:
    """Say so when a task that keeps the gateway honest (revocations, shipping) has ended: it ends because of
    it, and a new process helps."""
    if not gateway.failed.done():
        return False
    error = gateway.failed.exception()
    log.error("stopping", error=type(error).__name__, text=str(error), exc_info=error)
    return True


async def finish(gateway: Gateway, last: Awaitable[None], *, within: float) -> None:
    """Await the last exchanges, and cut what still runs after so many seconds."""
    try:
        async with asyncio.timeout(within):
            await last
    except TimeoutError:
        log.warning("drain_timed_out", cut=gateway.door.in_flight)
        gateway.door.cut()


async def close_connections(gateway: Gateway) -> None:
    """End the connections of clients, which carry nothing any more."""
    gateway.listener.pre_shutdown()
    await gateway.listener.shutdown(timeout=0.1)


def exit_code(gateway: Gateway) -> int:
    """Return how a gateway ended that has been left: 1 when one of its tasks had failed."""
    return 1 if gateway.failed.done() and not gateway.failed.cancelled() else 0
