"""The demo's service, in a process of its own: orders and users as JSON, streams, and sinks for bodies.

`python -m gateway.demo.upstream --port 9000`. It knows nothing of the gateway and checks no credentials:
that is what the gateway is for.
"""

import argparse
import asyncio
import os
import signal
import socket
import sys
from collections.abc import Sequence

import uvloop
from aiohttp import web

from gateway.demo import bodies, orders, reports

HOST = "127.0.0.1"
PORT = 9000


def make_app() -> web.Application:
    """Return the service with fresh data."""
    app = web.Application(client_max_size=1024**2)
    app.router.add_get("/healthz", _healthz)
    orders.add_routes(app)
    bodies.add_routes(app)
    reports.add_routes(app)
    return app


async def _healthz(_: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


async def serve(listener: socket.socket, *, stdin_ends_it: bool) -> None:
    """Serve on a bound socket until SIGTERM or SIGINT; with `stdin_ends_it` also until standard input ends,
    which it does when the process that holds its other end is gone, however that died."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    if stdin_ends_it:
        loop.add_reader(sys.stdin.fileno(), _read_until_end, ended)
    runner = web.AppRunner(make_app(), access_log=None, handler_cancellation=True, auto_decompress=False)
    await runner.setup()
    try:
        await web.SockSite(runner, listener, shutdown_timeout=1).start()
        host, port = listener.getsockname()[:2]
        print(f"demo upstream listens on http://{host}:{port}", flush=True)  # noqa: T201 - says it is ready
        await ended.wait()
    finally:
        if stdin_ends_it:
            loop.remove_reader(sys.stdin.fileno())
        await runner.cleanup()


def _read_until_end(ended: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        ended.set()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the service and return its exit code: 0 after a signal, 1 when the port is taken."""
    parser = argparse.ArgumentParser(prog="gateway.demo.upstream", description="A small service to protect.")
    parser.add_argument("--host", default=HOST, help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=PORT, help="0 takes any free one (default: %(default)s)")
    parser.add_argument(
        "--until-stdin-ends", action="store_true", help="also stop when standard input reaches its end"
    )
    options = parser.parse_args(arguments)
    try:
        listener = socket.create_server((options.host, options.port), backlog=1024)
    except (OSError, OverflowError) as error:
        print(f"cannot listen on {options.host}:{options.port}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    with listener, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(listener, stdin_ends_it=options.until_stdin_ends))
    return 0


if __name__ == "__main__":
    sys.exit(main())
