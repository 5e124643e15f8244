"""What was measured, in one table."""

import os
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from bench.baseline import Interpreter
from bench.load import CONNECTIONS
from bench.subjects import VARIANTS

TARGET = 5.0
"""The full chain may cost so many times what nginx costs."""
_ONE, _TWO = "full-redis-pg", "full-redis-pg-2"
_CROWDED = (
    ": two workers cannot have two of them for themselves, and gain what one worker leaves idle."
    if (os.cpu_count() or 1) < 6
    else "."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One subject under load once."""

    us_per_request: float
    """CPU of all its processes."""
    redis_us: float = 0.0
    postgresql_us: float = 0.0
    """CPU of the servers beside it, per request."""
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    resident_mib: float


Medians = Mapping[str, Mapping[str, float]]


def summary(results: Mapping[str, list[Round]]) -> Medians:
    """Return the medians of every subject, and its ratio to nginx: the median of the ratios of each round."""
    yardstick = results["nginx"]
    told: dict[str, dict[str, float]] = {}
    for name, rounds in results.items():
        medians = {key: statistics.median(asdict(each)[key] for each in rounds) for key in asdict(rounds[0])}
        pairs = zip(rounds, yardstick, strict=True)
        ratio = statistics.median(ours.us_per_request / theirs.us_per_request for ours, theirs in pairs)
        told[name] = {**medians, "ratio_to_nginx": ratio}
    return told


def print_table(told: Medians) -> None:
    """Print the medians, and what they mean."""
    title = f"CPU per proxied request (µs), latency (ms); {CONNECTIONS} keep-alive connections, medians"
    # Fits into the 80 columns of a log.
    table = Table(title=title, box=SIMPLE)
    for heading in ("subject", "own", "ratio", "Redis", "PG", "req/s", "p50", "p99", "MiB"):
        table.add_column(heading, justify="left" if heading == "subject" else "right")
    for name, row in told.items():
        has_servers = name in VARIANTS and VARIANTS[name].servers
        table.add_row(
            name,
            f"{row['us_per_request']:.1f}",
            f"{row['ratio_to_nginx']:.2f}",
            f"{row['redis_us']:.1f}" if has_servers else "",
            f"{row['postgresql_us']:.1f}" if has_servers else "",
            f"{row['requests_per_second']:.0f}",
            f"{row['p50_ms']:.2f}",
            f"{row['p99_ms']:.2f}",
            f"{row['resident_mib']:.0f}",
        )
    console = Console()
    console.print(table)
    for line in explained(told):
        console.print(line, highlight=False, soft_wrap=True)


def explained(told: Medians) -> list[str]:
    """Return what a reader of the table has to know."""
    lines = [f"{name}: {VARIANTS[name].says}" for name in told if name in VARIANTS]
    lines.append(
        "nginx: bare proxy_pass, no log. Behind all of them the same nginx with a 921-byte JSON body."
    )
    if _ONE in told or _TWO in told:
        lines.append("Redis and PG: CPU of the servers, not in the column own, which is all of the gateway.")
    if _ONE in told and _TWO in told:
        one, two = told[_ONE], told[_TWO]
        more = two["requests_per_second"] / one["requests_per_second"]
        dearer = two["us_per_request"] / one["us_per_request"]
        lines.append(
            f"two workers: {more:.2f} x the requests of one, at {dearer:.2f} x its CPU per request. Load, "
            f"both nginx, Redis and PostgreSQL run on the same {os.cpu_count()} cores{_CROWDED}"
        )
    lines.append(f"interpreter: {Interpreter.current()}")
    if "full" in told:
        lines.append(
            f"target: full at most {TARGET:g} x nginx; measured {told['full']['ratio_to_nginx']:.2f} x"
        )
    return lines
