"""`gateway serve`: listen, answer, and on SIGTERM finish what runs before going."""

import asyncio
import contextlib
import os
import resource
import socket
import sys
from collections.abc import AsyncIterator, Callable
from typing import Final

import uvloop

from gateway.admin import operators_application
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
from gateway.cli.listening import BACKLOG, begin, bind, bound_address, plain
from gateway.cli.operators import answering
from gateway.cli.start import Start, StartGivenUp
from gateway.config import Snapshot, load_configuration, render_text
from gateway.observability import MetricsState, log, set_up_logs
from gateway.settings import Listen, Settings
from gateway.web import Readiness
from gateway.workers import let_nobody_begin, waiting_at

_HANDSHAKE: Final = 0.1
"""Seconds for clients that have begun to connect: a way there and back."""


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
                clients = Clients(settings.listen, gateway)
                listen = await clients.begin()
                view.gateway = gateway
                spare_the_collector()
                log.info(
                    "serving",
                    listen=listen,
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


class Clients:
    """The sockets that clients connect to, of the one process that there is."""

    def __init__(self, listen: Listen, gateway: Gateway) -> None:
        self._listen = listen
        self._protocol = gateway.listener
        self._sockets: list[socket.socket] = []
        self._servers: list[asyncio.Server] = []

    async def begin(self) -> str:
        """Take connections, and return where. Raise `StartRefused`."""
        loop = asyncio.get_running_loop()
        for one in bind(self._listen, "GATEWAY_LISTEN"):
            # The server closes its own; ours is for those who are left in the queue then.
            self._sockets.append(one.dup())
            try:
                start = loop.create_server if self._listen.path is None else loop.create_unix_server
                self._servers.append(await start(self._protocol, sock=one, backlog=BACKLOG))
            except OSError as error:
                text = f"cannot listen on {self._listen} (GATEWAY_LISTEN): {plain(error)}"
                raise StartRefused(text) from None
        # As bound: a port 0 has become a real one.
        return bound_address(self._listen, self._sockets[0].getsockname())

    async def shut(self) -> None:
        """Take no more connections but those that the system has made already: closing the socket would
        reset them, with the requests that they have brought."""
        sockets, self._sockets = self._sockets, []
        if sockets:
            for one in sockets:
                let_nobody_begin(one)
            await asyncio.sleep(_HANDSHAKE)
        for server in self._servers:
            server.close()
        for one in sockets:
            with one:
                waiting = list(waiting_at(one))
            for connection in waiting:
                await _adopt(self._protocol, connection)


async def _adopt(protocol: Callable[[], asyncio.BaseProtocol], connection: socket.socket) -> None:
    try:
        await asyncio.get_running_loop().connect_accepted_socket(protocol, connection)
    except OSError:
        # The client has left already.
        connection.close()


@contextlib.asynccontextmanager
async def _operators(settings: Settings, view: _View) -> AsyncIterator[str]:
    application = operators_application(readiness=view.readiness, metrics=view.metrics)
    listen = settings.admin_listen
    listeners = bind(listen, "GATEWAY_ADMIN_LISTEN")
    begin(listeners, listen, "GATEWAY_ADMIN_LISTEN")
    async with answering(application, listeners):
        yield bound_address(listen, listeners[0].getsockname())


async def _drain(gateway: Gateway, clients: "Clients", within: float) -> None:
    """Be unready at once, say `Connection: close` on what is still answered, and end with the last exchange.

    New connections are accepted as long as something runs, so that a load balancer has the time to notice.
    """
    gateway.readiness.draining = True
    gateway.listener.drain()
    log.info("draining", in_flight=gateway.door.in_flight, timeout=within)
    await finish(gateway, answer_the_last(gateway, clients.shut), within=within)
    await clients.shut()
    await close_connections(gateway)
