"""What the life of every process has in common that answers clients: told to stop, drained, ended."""

import asyncio
import contextlib
import gc
import signal
from collections.abc import Awaitable, Callable
from typing import Final

from gateway.assembly.whole import Gateway
from gateway.observability import log

_PARTING: Final = 2.0
"""Seconds that streams get to end once they have been told to."""
_FIRST_REQUEST: Final = 1.0
"""Seconds in which a client that has connected in the last moment sends its request."""
_TURNS: Final = 3
"""Turns of the event loop after which what it has accepted is a connection: it is taken, opened, and told."""
_LAST_BYTES: Final = 0.2
"""Seconds for whoever is left: silent clients, and those of a drain that ran out of time."""


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
        # Streams are told that they end, which takes them a moment.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PARTING):
                await gateway.door.drain()


async def answer_the_last(gateway: Gateway, shut: Callable[[], Awaitable[None]]) -> None:
    """Answer whoever has connected, with an end to each connection, and return when nobody is left.

    As long as something runs, or an idle client may be about to ask again, new connections are answered too.
    Only then `shut` is awaited, which ends their coming and brings in those that have knocked before.
    """
    await gateway.door.drain()
    await gateway.listener.quiet()
    await gateway.door.drain()
    await shut()
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_FIRST_REQUEST):
            await gateway.listener.all_heard()
    await gateway.door.drain()
    await gateway.listener.parted()


async def close_connections(gateway: Gateway) -> None:
    """End the connections of clients, once they have what was sent to them."""
    await gateway.listener.close(within=_LAST_BYTES)


def exit_code(gateway: Gateway) -> int:
    """Return how a gateway ended that has been left: 1 when one of its tasks had failed."""
    return 1 if gateway.failed.done() and not gateway.failed.cancelled() else 0
