"""The processes behind the gateway, the configuration that leads to them, and who kills them."""

import asyncio
import contextlib
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from support.own_server import free_port

PROGRAM = Path(__file__).with_name("chaos_upstream.py")
_START_SECONDS = 20.0

POLICIES = """\
version: 1
authenticators:
  gateway: {kind: gateway_jwt}
routes:
"""
_ROUTE = """\
  - id: %(name)s
    match: {methods: [GET, POST, PUT], path: /%(name)s/**}
    upstream: %(upstream)s
    authn: public
    because: For tests
    websocket: true
"""
_LIMITED = """\
    limits: [{limit: 20/s, per: client_ip}]
"""
UPSTREAMS = """\
version: 1
defaults:
  timeouts: {connect: 300ms, response: 600ms, idle: 800ms}
  pool: {max_connections: 50, max_waiting: 100, keepalive: 500ms}
  retries: {max: 1, retry_on: [connect_failure], budget: 50%%}
  body: {max_request: 20MiB}
upstreams:
  plain: {targets: [{url: "http://%(a)s"}]}
  local: {targets: [{url: "unix:%(c)s"}], rewrite: {strip_prefix: /local, add_prefix: /below}}
  least:
    targets: [{url: "http://%(a)s", weight: 2}, {url: "http://%(b)s"}]
    balance: least_requests
    health: {path: /healthz, interval: 200ms, timeout: 200ms, healthy_after: 1, unhealthy_after: 2}
    outlier: {consecutive_errors: 5, eject_for: 300ms, max_ejected: 50%%}
    circuit: {max_concurrent: 20}
  pair:
    targets: [{url: "http://%(b)s"}, {url: "unix:%(c)s"}]
    balance: random_two
    retries: {max: 1, retry_on: [connect_failure, 502, 503], budget: 100%%}
    outlier: {consecutive_errors: 3, eject_for: 200ms, max_ejected: 50%%}
  hash:
    targets: [{url: "http://%(a)s"}, {url: "http://%(b)s"}, {url: "unix:%(c)s"}]
    balance: {hash: header.x-key}
    health: {path: /healthz, interval: 300ms, timeout: 300ms, healthy_after: 1, unhealthy_after: 2}
  breaker:
    targets: [{url: "http://%(b)s"}]
    circuit: {max_concurrent: 30, open_after: {errors: 70%%, within: 1s, at_least: 10}, probe_every: 200ms}
  narrow: {targets: [{url: "http://%(a)s"}], pool: {max_connections: 2, max_waiting: 3, keepalive: 500ms}}
"""
ROUTES = ("plain", "local", "least", "pair", "hash", "breaker", "narrow")


class Process:
    """One service, which may be killed and started again at the same place."""

    def __init__(self, listen: str, directory: Path, name: str, seed: str) -> None:
        self.listen = listen
        self._arguments = [
            sys.executable,
            "-I",
            "-S",
            str(PROGRAM),
            listen,
            str(directory / "book"),
            f"{seed} {name}",
        ]
        self._errors = directory / f"{name}.err"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, without waiting until it listens."""
        with self._errors.open("ab") as errors:
            self._process = subprocess.Popen(self._arguments, stdin=subprocess.PIPE, stderr=errors)

    def signal(self, what: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(what)

    def kill(self) -> None:
        """End it at once."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            assert process.stdin is not None
            process.stdin.close()

    def is_listening(self) -> bool:
        """Whether it can be connected to."""
        is_unix = self.listen.startswith("unix:")
        with socket.socket(socket.AF_UNIX if is_unix else socket.AF_INET) as knocking:
            host, _, port = self.listen.rpartition(":")
            return not knocking.connect_ex(port if is_unix else (host, int(port)))

    @property
    def errors(self) -> str:
        """What it said about defects of its own."""
        return self._errors.read_text()


class Stage:
    """Three services: two on TCP, one on a unix socket."""

    def __init__(self, directory: Path, seed: str) -> None:
        self._directory = directory
        self._dice = random.Random(f"{seed} stage")
        places = [f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}", f"unix:{directory / 'c'}"]
        self.processes = [
            Process(listen, directory, name, seed) for listen, name in zip(places, "abc", strict=True)
        ]
        self.done: Counter[str] = Counter()
        """What was done to them."""

    def __enter__(self) -> Self:
        for process in self.processes:
            process.start()
        deadline = time.monotonic() + _START_SECONDS
        while not all(process.is_listening() for process in self.processes):
            assert time.monotonic() < deadline, [process.errors for process in self.processes]
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()

    @property
    def upstreams(self) -> str:
        """The gateway's file of upstreams."""
        places = {
            name: one.listen.removeprefix("unix:") for name, one in zip("abc", self.processes, strict=True)
        }
        return UPSTREAMS % places

    @property
    def policies(self) -> str:
        """The gateway's file of policies: a route for each upstream, and one that is limited."""
        routes = [_ROUTE % {"name": name, "upstream": name} for name in ROUTES]
        return "".join([POLICIES, *routes, _ROUTE % {"name": "limited", "upstream": "plain"}, _LIMITED])

    def arrived(self) -> "Counter[str]":
        """Count by mark how often requests have reached a service; `MARK wrong` for wrong bodies."""
        return Counter((self._directory / "book").read_text().splitlines())

    async def disturb(self) -> None:
        """Do something to one service after another, until cancelled; then all of them work again."""
        while True:
            process = self._dice.choice(self.processes)
            what = self._dice.choice(("kill", "refuse", "freeze"))
            await asyncio.sleep(self._dice.uniform(0.05, 0.6))
            self.done[what] += 1
            with contextlib.ExitStack() as stack:
                if what == "kill":
                    process.kill()
                    stack.callback(process.start)
                elif what == "freeze":
                    process.signal(signal.SIGSTOP)
                    stack.callback(process.signal, signal.SIGCONT)
                else:
                    process.signal(signal.SIGUSR1)
                    stack.callback(process.signal, signal.SIGUSR2)
                await asyncio.sleep(self._dice.choice((0.0, 0.1, 0.3, 0.7)))
            while what == "kill" and not process.is_listening():
                # A signal that comes before it is expected would end it.
                await asyncio.sleep(0.02)


@contextlib.contextmanager
def stage(directory: Path, seed: str) -> Iterator[Stage]:
    """Run the services for the length of the block."""
    directory.mkdir()
    with Stage(directory, seed) as running:
        yield running
    for process in running.processes:
        assert not process.errors, process.errors
