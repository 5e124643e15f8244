"""`gateway serve --workers N`: the sockets, and the supervisor above the workers."""

import gc
from collections.abc import Callable, Sequence

import orjson

from gateway.assembly import StartRefused
from gateway.cli.listening import begin, bind, bound_address, plain
from gateway.cli.operators import operate
from gateway.cli.worker import work
from gateway.config import Snapshot
from gateway.observability import MetricsState, lasting, log, merged_state
from gateway.settings import Settings
from gateway.workers import Desk, Supervisor, WorkerRefused


def serve_with_workers(settings: Settings, snapshot: Snapshot, on_ready: Callable[[], None] | None) -> int:
    """Run workers until SIGTERM or SIGINT; return the exit code. Raise `StartRefused`."""
    clients = bind(settings.listen, "GATEWAY_LISTEN")
    operators = bind(settings.admin_listen, "GATEWAY_ADMIN_LISTEN")
    begin(operators, settings.admin_listen, "GATEWAY_ADMIN_LISTEN")
    departed: MetricsState = {}

    def remember(metrics: bytes) -> bytes:
        nonlocal departed
        departed = merged_state((departed, lasting(orjson.loads(metrics))))
        return orjson.dumps(departed)

    def serving(pids: Sequence[int]) -> None:
        begin(clients, settings.listen, "GATEWAY_LISTEN")
        log.info(
            "serving",
            listen=bound_address(settings.listen, clients[0].getsockname()),
            admin_listen=bound_address(settings.admin_listen, operators[0].getsockname()),
            revision=snapshot.revision,
            routes=len(snapshot.plans),
            workers=len(pids),
            pids=list(pids),
        )
        if on_ready is not None:
            on_ready()

    try:
        supervisor = Supervisor(
            listeners=clients,
            workers=settings.workers,
            work=lambda post: work(settings, snapshot, post),
            desk=Desk(lambda feed: operate(settings, operators, feed), operators),
            remember=remember,
            drain_timeout=settings.drain_timeout,
            on_serving=serving,
        )
    except OSError as error:
        raise StartRefused(f"cannot start {settings.workers} workers: {plain(error)}") from None
    # What the start has made is left out of collections: in the children, looking at it would copy its pages.
    gc.collect()
    gc.freeze()
    try:
        supervisor.run()
    except WorkerRefused as refused:
        raise StartRefused(str(refused)) from None
    log.info("stopped")
    return 0
