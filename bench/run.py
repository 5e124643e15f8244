"""CPU per proxied request, beside nginx in the same run: `make bench`, or `python -m bench.run --help`.

Absolute figures move between machines and between hours; the ratio to nginx, measured in turns with it, is
what counts.
"""

import argparse
import json
import os
import platform
import pstats
import shutil
import statistics
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from bench.cpu import cpu_seconds, resident_bytes
from bench.load import CONNECTIONS, BenchError, wrk
from bench.subjects import VARIANTS, Subject, gateway, nginx_proxy, nginx_upstream

RESULTS = Path(__file__).with_name("results")
TARGET = 5.0
"""The full chain may cost so many times what nginx costs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One subject under load once."""

    us_per_request: float
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    resident_mib: float


def measure(subject: Subject, *, seconds: float) -> Round:
    """Return what one run of load cost the subject."""
    # The load takes a core of its own where there is one to spare.
    threads = 1 if (os.cpu_count() or 1) <= 2 else 2
    before = cpu_seconds(subject.pid)
    load = wrk(subject.url, seconds=seconds, headers=subject.headers, threads=threads)
    spent = cpu_seconds(subject.pid) - before
    return Round(
        us_per_request=spent / load.requests * 1e6,
        requests_per_second=load.requests / load.seconds,
        p50_ms=load.p50,
        p99_ms=load.p99,
        resident_mib=resident_bytes(subject.pid) / 1024**2,
    )


def compare(names: list[str], *, seconds: float, rounds: int) -> dict[str, list[Round]]:
    """Return every round by subject. Subjects take turns, so that a slow minute of the machine hits all."""
    results: dict[str, list[Round]] = {}
    with ExitStack() as stack:
        upstream = stack.enter_context(nginx_upstream())
        subjects = [stack.enter_context(nginx_proxy(upstream))]
        subjects += [stack.enter_context(gateway(name, upstream)) for name in names]
        for subject in subjects:
            measure(subject, seconds=1)
        for number in range(1, rounds + 1):
            for subject in subjects:
                result = measure(subject, seconds=seconds)
                results.setdefault(subject.name, []).append(result)
                print(
                    f"round {number}/{rounds} {subject.name:8} {result.us_per_request:7.1f} µs/request",
                    file=sys.stderr,
                )
    return results


def profile(name: str, *, seconds: float) -> None:
    """Print where one variant of the gateway spends its time. The profiler itself makes it slower."""
    with TemporaryDirectory(prefix="gateway-bench-") as folder:
        file = Path(folder, "profile")
        with nginx_upstream() as upstream, gateway(name, upstream, profile=file) as subject:
            measure(subject, seconds=seconds)
        pstats.Stats(str(file)).strip_dirs().sort_stats("tottime").print_stats(25)


def summary(results: dict[str, list[Round]]) -> dict[str, dict[str, float]]:
    """Return the medians of every subject, and its ratio to nginx: the median of the ratios of each round."""
    yardstick = results["nginx"]
    told: dict[str, dict[str, float]] = {}
    for name, rounds in results.items():
        medians = {key: statistics.median(asdict(each)[key] for each in rounds) for key in asdict(rounds[0])}
        pairs = zip(rounds, yardstick, strict=True)
        ratio = statistics.median(ours.us_per_request / theirs.us_per_request for ours, theirs in pairs)
        told[name] = {**medians, "ratio_to_nginx": ratio}
    return told


def print_table(told: dict[str, dict[str, float]]) -> None:
    """Print the medians."""
    table = Table(title=f"CPU per proxied request, {CONNECTIONS} keep-alive connections, medians")
    for heading in ("subject", "µs/request", "x nginx", "requests/s", "p50 ms", "p99 ms", "RSS MiB"):
        table.add_column(heading, justify="left" if heading == "subject" else "right")
    for name, row in told.items():
        table.add_row(
            name,
            f"{row['us_per_request']:.1f}",
            f"{row['ratio_to_nginx']:.2f}",
            f"{row['requests_per_second']:.0f}",
            f"{row['p50_ms']:.2f}",
            f"{row['p99_ms']:.2f}",
            f"{row['resident_mib']:.0f}",
        )
    console = Console()
    console.print(table)
    for name in told.keys() & VARIANTS.keys():
        console.print(f"{name}: {VARIANTS[name].says}", highlight=False)
    console.print(
        "nginx: bare proxy_pass, no log. Behind all of them the same nginx with a 921-byte JSON body."
    )


def main() -> int:
    """Measure, print, write the figures down. Return 1 when nothing could be measured."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.run", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--seconds", type=float, default=4, help="length of one round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each subject (default: %(default)s)")
    parser.add_argument(
        "--variant", action="append", choices=VARIANTS, help="what of the gateway (default: full, public)"
    )
    parser.add_argument("--profile", action="store_true", help="print a profile of the variant instead")
    parser.add_argument("--output", type=Path, help="where the figures go as JSON (default: bench/results/)")
    options = parser.parse_args()
    if not 1 <= options.seconds <= 60 or not 1 <= options.rounds <= 50:
        parser.error("--seconds is from 1 to 60, --rounds from 1 to 50")
    if shutil.which("wrk") is None:
        print("wrk is not on the PATH. On Debian and Ubuntu: apt install wrk", file=sys.stderr)
        return 1
    names = list(dict.fromkeys(options.variant or ["full", "public"]))
    try:
        if options.profile:
            profile(names[0], seconds=options.seconds)
            return 0
        results = compare(names, seconds=options.seconds, rounds=options.rounds)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    told = summary(results)
    print_table(told)
    if "full" in told:
        print(f"target: full at most {TARGET:g} x nginx; measured {told['full']['ratio_to_nginx']:.2f} x")
    output = options.output or RESULTS / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    figures = {
        "machine": {
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
            "system": platform.platform(),
        },
        "seconds": options.seconds,
        "connections": CONNECTIONS,
        "medians": told,
        "rounds": {name: [asdict(each) for each in rounds] for name, rounds in results.items()},
    }
    output.write_text(json.dumps(figures, indent=2) + "\n")
    print(f"figures: {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
