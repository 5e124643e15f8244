"""`gateway serve`: listen, answer, and on SIGTERM finish what runs before going."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import uvloop
from aiohttp import web

from gateway.assembly import Gateway, StartRefused, assemble
from gateway.config import Snapshot, load_configuration, render_text
from gateway.observability import log, set_up_logs
from gateway.settings import Listen, Settings

_BACKLOG = 2048


def serve(settings: Settings, *, on_ready: Callable[[], None] | None = None) -> int:
    """Run the gateway until SIGTERM or SIGINT; return the exit code. Raise `StartRefused`."""
    set_up_logs(level=settings.log_level, form=settings.log_format)
    tracing = sorted(name for name in os.environ if name.startswith("OTEL_"))
    if tracing:
        # Whole clusters inject these, so they are no reason not to start.
        log.warning("tracing_not_supported_yet", ignored=tracing)
    loaded = load_configuration(settings.policies, settings.upstreams, environ=os.environ)
    if loaded.snapshot is None:
        print(render_text(loaded.findings), file=sys.stderr)
        return 2 if loaded.unreadable else 1
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(settings, loaded.snapshot, on_ready))


async def _serve(settings: Settings, snapshot: Snapshot, on_ready: Callable[[], None] | None) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with assemble(settings, snapshot) as gateway, _operators(settings, gateway) as operators:
        clients = await _listen(settings.listen, gateway)
        _spare_the_collector()
        log.info(
            "serving",
            # As bound: a port 0 has become a real one.
            listen=_bound(settings.listen, clients.sockets[0].getsockname()),
            admin_listen=operators,
            revision=snapshot.revision,
            routes=len(snapshot.plans),
        )
        if on_ready is not None:
            on_ready()
        failed = gateway.failed
        failed.add_done_callback(lambda _: stop.set())
        await stop.wait()
        if failed.done():
            # A task that keeps the gateway honest (revocations, shipping) has ended: better to be restarted.
            error = failed.exception()
            log.error("stopping", error=type(error).__name__, text=str(error))
        await _drain(gateway, clients, settings.drain_timeout)
    log.info("stopped")
    return 1 if failed.done() and not failed.cancelled() else 0


def _spare_the_collector() -> None:
    """Leave what the start has made out of every later collection, and collect more rarely.

    Requests make many objects and next to no cycles: with Python's own thresholds 8 % of the CPU goes into
    looking for them, and a full collection over all that was imported stops the loop for a tenth of a second.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


async def _listen(listen: Listen, gateway: Gateway) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    try:
        if listen.path is not None:
            _remove_stale(Path(listen.path))
            before = os.umask(0o117)
            try:
                return await loop.create_unix_server(gateway.listener, listen.path, backlog=_BACKLOG)
            finally:
                os.umask(before)
        return await loop.create_server(
            gateway.listener, listen.host, listen.port or 0, backlog=_BACKLOG, reuse_address=True
        )
    except OSError as error:
        raise StartRefused(f"cannot listen on {listen} (GATEWAY_LISTEN): {_plain(error)}") from None


@contextlib.asynccontextmanager
async def _operators(settings: Settings, gateway: Gateway) -> AsyncIterator[str]:
    runner = web.AppRunner(gateway.operators, access_log=None, keepalive_timeout=75, shutdown_timeout=1)
    await runner.setup()
    listen = settings.admin_listen
    try:
        site: web.BaseSite
        if listen.path is not None:
            _remove_stale(Path(listen.path))
            site = web.UnixSite(runner, listen.path)
        else:
            site = web.TCPSite(runner, listen.host, listen.port)
        try:
            await site.start()
        except OSError as error:
            raise StartRefused(f"cannot listen on {listen} (GATEWAY_ADMIN_LISTEN): {_plain(error)}") from None
        if listen.path is not None:
            _open_to_group(listen.path)
        yield _bound(listen, runner.addresses[0])
    finally:
        await runner.cleanup()


def _bound(listen: Listen, address: object) -> str:
    port = address[1] if isinstance(address, tuple) else None
    return str(listen.model_copy(update={"port": port}))


def _plain(error: OSError) -> str:
    # Resolving a name fails with numbers of its own.
    if isinstance(error, socket.gaierror) or not error.errno:
        return str(error.strerror or error)
    return os.strerror(error.errno)


def _open_to_group(path: str) -> None:
    Path(path).chmod(0o660)


def _remove_stale(path: Path) -> None:
    """Remove a socket that nobody listens on any more; whatever else is there stays."""
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise StartRefused(f"{path} exists and is not a socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        except OSError as error:
            raise StartRefused(f"cannot use {path}: {_plain(error)}") from None
        else:
            raise StartRefused(f"another process listens on {path}")


async def _drain(gateway: Gateway, clients: asyncio.Server, within: float) -> None:
    """Be unready at once, say `Connection: close` on what is still answered, and end with the last exchange.

    New connections are accepted as long as something runs, so that a load balancer has the time to notice.
    """
    gateway.readiness.draining = True
    log.info("draining", in_flight=gateway.door.in_flight, timeout=within)
    try:
        async with asyncio.timeout(within):
            await gateway.door.drain()
    except TimeoutError:
        log.warning("drain_timed_out", cut=gateway.door.in_flight)
        gateway.door.cut()
    clients.close()
    gateway.listener.pre_shutdown()
    await gateway.listener.shutdown(timeout=0.1)
