"""`gateway serve`: listen, answer, and on SIGTERM finish what runs before going."""

import asyncio
import contextlib
import os
import resource
import sys
from collections.abc import AsyncIterator, Callable, Sequence

import uvloop

from gateway.admin import operators_application
from gateway.assembly import StartRefused
from gateway.assembly.whole import Gateway, assemble
from gateway.cli.life import (
    close_connections,
    exit_code,
    finish,
    spare_the_collector,
    stop_asked,
    tell_failure,
)
from gateway.cli.listening import BACKLOG, begin, bind, bound_address, plain
from gateway.cli.operators import answering
from gateway.cli.start import Start, StartGivenUp
from gateway.config import Snapshot, load_configuration, render_text
from gateway.observability import MetricsState, log, set_up_logs
from gateway.settings import Listen, Settings
from gateway.web import Readiness


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
    stop = stop_asked()
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
                    listen=bound_address(settings.listen, clients[0].sockets[0].getsockname()),
                    admin_listen=operators,
                    revision=snapshot.revision,
                    routes=len(snapshot.plans),
                )
                if on_ready is not None:
                    on_ready()
                gateway.failed.add_done_callback(lambda _: stop.set())
                await stop.wait()
                tell_failure(gateway)
                await _drain(gateway, clients, settings.drain_timeout)
        except StartGivenUp:
            log.info("stopped")
            return 0
    log.info("stopped")
    return exit_code(gateway)


class _View:
    """What operators see of one process, from its first moment on."""

    def __init__(self) -> None:
        self.gateway: Gateway | None = None
        self._missing = "the gateway is starting"
        self._start = Readiness(checks={"start": lambda: self._missing})

    async def tell(self, missing: str) -> None:
        """Take note of what the start waits for."""
        self._missing = missing

    def readiness(self) -> tuple[int, dict[str, object]]:
        """Return the status and the body of `/readyz`."""
        return (self._start if self.gateway is None else self.gateway.readiness).report()

    def metrics(self) -> MetricsState:
        """Return the state of the metrics."""
        return {} if self.gateway is None else self.gateway.metrics.state()


async def _listen(listen: Listen, gateway: Gateway) -> list[asyncio.Server]:
    loop = asyncio.get_running_loop()
    sockets = bind(listen, "GATEWAY_LISTEN")
    start = loop.create_server if listen.path is None else loop.create_unix_server
    try:
        return [await start(gateway.listener, sock=one, backlog=BACKLOG) for one in sockets]
    except OSError as error:
        raise StartRefused(f"cannot listen on {listen} (GATEWAY_LISTEN): {plain(error)}") from None


@contextlib.asynccontextmanager
async def _operators(settings: Settings, view: _View) -> AsyncIterator[str]:
    application = operators_application(readiness=view.readiness, metrics=view.metrics)
    listen = settings.admin_listen
    listeners = bind(listen, "GATEWAY_ADMIN_LISTEN")
    begin(listeners, listen, "GATEWAY_ADMIN_LISTEN")
    async with answering(application, listeners):
        yield bound_address(listen, listeners[0].getsockname())


async def _drain(gateway: Gateway, clients: Sequence[asyncio.Server], within: float) -> None:
    """Be unready at once, say `Connection: close` on what is still answered, and end with the last exchange.

    New connections are accepted as long as something runs, so that a load balancer has the time to notice.
    """
    gateway.readiness.draining = True
    log.info("draining", in_flight=gateway.door.in_flight, timeout=within)
    await finish(gateway, gateway.door.drain(), within=within)
    for server in clients:
        server.close()
    await close_connections(gateway)
