"""Plain proxying beside nginx, HAProxy and Caddy, in turns: `make bench`, or `python -m bench.plain --help`.

CPU per request for small and large bodies, up and down, with few and many connections; bytes per second of
CPU of one long stream; memory of idle connections.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from bench.cpu import cpu_seconds, resident_bytes
from bench.held import held_connections
from bench.load import BenchError, wrk
from bench.nginx import nginx_files
from bench.others import PROXIES
from bench.stream import stream
from bench.subjects import bare_gateway

RESULTS = Path(__file__).with_name("results")
_KIB = 1024
_GIB = 1024**3
TARGET_SMALL = 2.5
"""A GET of 1 KiB may cost so many times what nginx needs."""
TARGET_STREAM = 0.4
"""A long stream gets at least this share of nginx's bytes per second of CPU."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One kind of load."""

    method: str
    size: int
    connections: int

    @property
    def name(self) -> str:
        """How the table names it."""
        return f"{self.method} {self.size // _KIB} KiB, {self.connections} connections"


CELLS = tuple(
    Cell(method, size, connections)
    for size in (_KIB, 64 * _KIB)
    for method in ("GET", "POST")
    for connections in (32, 512)
)


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running proxy."""

    name: str
    pid: int
    port: int


@contextmanager
def proxies(upstream: int) -> Iterator[list[Proxy]]:
    """Run the gateway and all others in front of one service. Raise `BenchError`."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="gateway-bench-")))
        started = {name: stack.enter_context(start(upstream)) for name, start in PROXIES.items()}
        started["gateway"] = stack.enter_context(bare_gateway(upstream, folder))
        yield [Proxy(name, pid, port) for name, (pid, port) in started.items()]


def cost(proxy: Proxy, cell: Cell, *, seconds: float) -> float:
    """Return the CPU of one request, in microseconds."""
    path = f"/{cell.size}" if cell.method == "GET" else "/sink"
    before = cpu_seconds(proxy.pid)
    load = wrk(
        f"http://127.0.0.1:{proxy.port}{path}",
        seconds=seconds,
        connections=cell.connections,
        post=cell.size if cell.method == "POST" else None,
    )
    return (cpu_seconds(proxy.pid) - before) / load.requests * 1e6


def costs(running: list[Proxy], *, seconds: float, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Return the cost of each cell by proxy, one figure a round. The proxies take turns."""
    told: dict[str, dict[str, list[float]]] = {}
    for cell in CELLS:
        for proxy in running:
            cost(proxy, cell, seconds=1)
        for number in range(rounds):
            for proxy in running:
                spent = cost(proxy, cell, seconds=seconds)
                told.setdefault(cell.name, {}).setdefault(proxy.name, []).append(spent)
            line = "  ".join(f"{name} {spent[-1]:.1f}" for name, spent in told[cell.name].items())
            print(f"{cell.name} round {number + 1}/{rounds}: {line}", file=sys.stderr)
    return told


def streams(running: list[Proxy], *, rounds: int) -> dict[str, list[float]]:
    """Return MiB per second of CPU of a stream of 1 GiB, by proxy."""
    told: dict[str, list[float]] = {}
    for _ in range(rounds):
        for proxy in running:
            before = cpu_seconds(proxy.pid)
            received = stream(proxy.port, f"/{_GIB}")
            told.setdefault(proxy.name, []).append(received / _KIB**2 / (cpu_seconds(proxy.pid) - before))
    return told


def idle_memory(running: list[Proxy], *, connections: int) -> dict[str, float]:
    """Return the KiB that each of so many idle keep-alive connections occupies, by proxy."""
    told = {}
    for proxy in running:
        before = resident_bytes(proxy.pid)
        with held_connections(proxy.port, connections, path=f"/{_KIB}"):
            told[proxy.name] = (resident_bytes(proxy.pid) - before) / connections / _KIB
    return told


def ratios(by_proxy: Mapping[str, list[float]]) -> dict[str, float]:
    """Return each proxy's median ratio to nginx, of rounds side by side."""
    return {
        name: statistics.median(ours / theirs for ours, theirs in zip(spent, by_proxy["nginx"], strict=True))
        for name, spent in by_proxy.items()
    }


def print_tables(
    told: Mapping[str, Mapping[str, list[float]]],
    streamed: Mapping[str, list[float]],
    memory: Mapping[str, float],
) -> None:
    """Print what was measured, and what it means."""
    names = list(streamed)
    table = Table(title="CPU per plain request (µs), and x nginx; medians", box=SIMPLE)
    table.add_column("load")
    for name in names:
        table.add_column(name, justify="right")
    for cell, by_proxy in told.items():
        ratio = ratios(by_proxy)
        table.add_row(
            cell, *(f"{statistics.median(by_proxy[name]):.1f} ({ratio[name]:.2f})" for name in names)
        )
    shares = ratios(streamed)
    table.add_row(
        "1 GiB, MiB per CPU second",
        *(f"{statistics.median(streamed[name]):.0f} ({shares[name]:.2f})" for name in names),
    )
    table.add_row("idle connection, KiB", *(f"{memory[name]:.1f}" for name in names))
    console = Console(width=100)
    console.print(table)
    small = ratios(told[CELLS[0].name])["gateway"]
    for line in (
        f"target: {CELLS[0].name} at most {TARGET_SMALL:g} x nginx; measured {small:.2f} x",
        (
            f"target: 1 GiB at least {TARGET_STREAM:g} of nginx's bytes per CPU second; "
            f"measured {shares['gateway']:.2f}"
        ),
        "the gateway: a public route, no limits, audit off, no identity. All: one process, plain HTTP.",
    ):
        console.print(line, highlight=False, soft_wrap=True)


def main() -> int:
    """Measure, print, write the figures down. Return 1 when nothing could be measured."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.plain", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--seconds", type=float, default=2, help="length of one round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each load (default: %(default)s)")
    parser.add_argument(
        "--idle", type=int, default=5000, help="idle connections that are held (default: %(default)s)"
    )
    parser.add_argument("--output", type=Path, help="where the figures go as JSON (default: bench/results/)")
    options = parser.parse_args()
    sizes = {str(size): size for size in (_KIB, 64 * _KIB, _GIB)}
    try:
        with nginx_files(sizes) as upstream, proxies(upstream) as running:
            memory = idle_memory(running, connections=options.idle)
            told = costs(running, seconds=options.seconds, rounds=options.rounds)
            streamed = streams(running, rounds=options.rounds)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print_tables(told, streamed, memory)
    output = options.output or RESULTS / f"plain-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    figures = {"costs_us": told, "stream_mib_per_cpu_second": streamed, "idle_kib": memory}
    output.write_text(json.dumps(figures, indent=2) + "\n")
    print(f"figures: {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
