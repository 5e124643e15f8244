"""`gateway serve`: listen, answer, and on SIGTERM finish what runs before going."""

import asyncio
import contextlib
import gc
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import uvloop
from aiohttp import web

from gateway.admin import operators_application
from gateway.assembly import StartRefused
from gateway.assembly.whole import Gateway, assemble
from gateway.cli.listening import BACKLOG, SOCKET_UMASK, bound_address, plain, remove_stale
from gateway.cli.start import STARTING, Start, StartGivenUp, not_yet
from gateway.config import Snapshot, load_configuration, render_text
from gateway.observability import MetricsState, log, set_up_logs
from gateway.settings import Listen, Settings


def serve(settings: Settings, *, on_ready: Callable[[], None] | None = None) -> int:
    """Run the gateway until SIGTERM or SIGINT; return the exit code. Raise `StartRefused`."""
    set_up_logs(level=settings.log_level, form=settings.log_format)
    _allow_open_files()
    tracing = sorted(name for name in os.environ if name.startswith("OTEL_"))
    if tracing:
        # Whole clusters inject these, so they are no reason not to start.
        log.warning("tracing_not_supported_yet", ignored=tracing)
    loaded = load_configuration(settings.policies, settings.upstreams, environ=os.environ)
    if loaded.snapshot is None:
        print(render_text(loaded.findings), file=sys.stderr)
        return 2 if loaded.unreadable else 1
    if settings.workers > 1:
        from gateway.cli.workers import serve_with_workers

        return serve_with_workers(settings, loaded.snapshot, on_ready)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(settings, loaded.snapshot, on_ready))


def _allow_open_files() -> None:
    """Raise the soft limit on open files to the hard one, as far as that is allowed.

    Each connection is a file, and one to an upstream another; the soft limit is often 1024, for programs that
    use `select`.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:
        log.warning("open_files_limit_stays", soft=soft, hard=hard, reason=str(error))


async def _serve(settings: Settings, snapshot: Snapshot, on_ready: Callable[[], None] | None) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    view = _View()
    start = Start(stop, view.tell)
    # Operators are answered while the database is waited for.
    async with _operators(settings, view) as operators:
        try:
            async with assemble(settings, snapshot, patience=start.patience) as gateway:
                clients = await _listen(settings.listen, gateway)
                view.gateway = gateway
                spare_the_collector()
                log.info(
                    "serving",
                    # As bound: a port 0 has become a real one.
                    listen=bound_address(settings.listen, clients.sockets[0].getsockname()),
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
                    # A task that keeps the gateway honest (revocations, shipping) has ended: better to be
                    # restarted.
                    error = failed.exception()
                    log.error("stopping", error=type(error).__name__, text=str(error), exc_info=error)
                await _drain(gateway, clients, settings.drain_timeout)
        except StartGivenUp:
            log.info("stopped")
            return 0
    log.info("stopped")
    return 1 if failed.done() and not failed.cancelled() else 0


class _View:
    """What operators see of one process, from its first moment on."""

    def __init__(self) -> None:
        self.gateway: Gateway | None = None
        self._missing = STARTING

    async def tell(self, missing: str) -> None:
        """Take note of what the start waits for."""
        self._missing = missing

    def readiness(self) -> tuple[int, dict[str, object]]:
        """Return the status and the body of `/readyz`."""
        return not_yet(self._missing) if self.gateway is None else self.gateway.readiness.report()

    def metrics(self) -> MetricsState:
        """Return the state of the metrics."""
        return {} if self.gateway is None else self.gateway.metrics.state()


def spare_the_collector() -> None:
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
            remove_stale(Path(listen.path))
            before = os.umask(SOCKET_UMASK)
            try:
                return await loop.create_unix_server(gateway.listener, listen.path, backlog=BACKLOG)
            finally:
                os.umask(before)
        return await loop.create_server(
            gateway.listener, listen.host, listen.port or 0, backlog=BACKLOG, reuse_address=True
        )
    except OSError as error:
        raise StartRefused(f"cannot listen on {listen} (GATEWAY_LISTEN): {plain(error)}") from None


@contextlib.asynccontextmanager
async def _operators(settings: Settings, view: _View) -> AsyncIterator[str]:
    application = operators_application(readiness=view.readiness, metrics=view.metrics)
    runner = web.AppRunner(application, access_log=None, keepalive_timeout=75, shutdown_timeout=1)
    await runner.setup()
    listen = settings.admin_listen
    try:
        site: web.BaseSite
        if listen.path is not None:
            remove_stale(Path(listen.path))
            site = web.UnixSite(runner, listen.path)
        else:
            site = web.TCPSite(runner, listen.host, listen.port)
        try:
            await site.start()
        except OSError as error:
            raise StartRefused(f"cannot listen on {listen} (GATEWAY_ADMIN_LISTEN): {plain(error)}") from None
        if listen.path is not None:
            _open_to_group(listen.path)
        yield bound_address(listen, runner.addresses[0])
    finally:
        await runner.cleanup()


def _open_to_group(path: str) -> None:
    Path(path).chmod(0o660)


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
