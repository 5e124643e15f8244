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
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import limits
from bench.baseline import Interpreter
from bench.cpu import cpu_seconds, resident_bytes
from bench.load import CONNECTIONS, BenchError, wrk
from bench.nginx import nginx_upstream
from bench.report import Round, print_table, summary
from bench.servers import missing_servers
from bench.subjects import VARIANTS, Subject, gateway, yardstick

RESULTS = Path(__file__).with_name("results")
DEFAULT = ("full", "public", "full-redis-pg", "full-redis-pg-2")
_SHIPPED_AFTER = 0.75
"""Seconds after which the records of the last request have been shipped, by a gateway that keeps up."""


def measure(subject: Subject, *, seconds: float) -> Round:
    """Return what one run of load cost the subject, and the servers beside it. Raise `BenchError`."""
    # The load takes a core of its own where there is one to spare.
    threads = 1 if (os.cpu_count() or 1) <= 2 else 2
    processes = {"": subject.pid, **{server.name: server.pid for server in subject.servers}}
    before = {name: cpu_seconds(pid) for name, pid in processes.items()}
    try:
        load = wrk(subject.url, seconds=seconds, headers=subject.headers, threads=threads)
    except BenchError as error:
        raise BenchError(f"{subject.name}: {error}") from None
    time.sleep(_SHIPPED_AFTER)
    spent = {name: (cpu_seconds(pid) - before[name]) / load.requests * 1e6 for name, pid in processes.items()}
    return Round(
        us_per_request=spent[""],
        redis_us=spent.get("redis", 0.0),
        postgresql_us=spent.get("postgresql", 0.0),
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
        subjects = [stack.enter_context(yardstick(upstream))]
        subjects += [stack.enter_context(gateway(name, upstream)) for name in names]
        for subject in subjects:
            measure(subject, seconds=1)
        for number in range(1, rounds + 1):
            for subject in subjects:
                result = measure(subject, seconds=seconds)
                results.setdefault(subject.name, []).append(result)
                print(
                    f"round {number}/{rounds} {subject.name:15} {result.us_per_request:7.1f} µs/request",
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


def write(file: Path, options: argparse.Namespace, results: dict[str, list[Round]], counting: object) -> None:
    """Write every figure down as JSON."""
    figures = {
        "machine": {
            "cpus": os.cpu_count(),
            "python": asdict(Interpreter.current()),
            "system": platform.platform(),
        },
        "seconds": options.seconds,
        "connections": CONNECTIONS,
        "medians": summary(results),
        "rounds": {name: [asdict(each) for each in rounds] for name, rounds in results.items()},
        "counting": counting,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(figures, indent=2) + "\n")
    print(f"figures: {file}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.run", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--seconds", type=float, default=4, help="length of one round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each subject (default: %(default)s)")
    parser.add_argument(
        "--variant",
        action="append",
        choices=VARIANTS,
        help=f"what of the gateway; again for more (default: {', '.join(DEFAULT)})",
    )
    parser.add_argument("--no-counting", action="store_true", help="leave out what counting in Redis costs")
    parser.add_argument("--profile", action="store_true", help="print a profile of the variant instead")
    parser.add_argument("--output", type=Path, help="where the figures go as JSON (default: bench/results/)")
    options = parser.parse_args()
    if not 1 <= options.seconds <= 60 or not 1 <= options.rounds <= 50:
        parser.error("--seconds is from 1 to 60, --rounds from 1 to 50")
    if options.profile and VARIANTS[(options.variant or DEFAULT)[0]].workers > 1:
        parser.error("--profile sees one process: choose a variant with one worker")
    return options


def main() -> int:
    """Measure, print, write the figures down. Return 1 when nothing could be measured."""
    options = _options()
    if shutil.which("wrk") is None:
        print("wrk is not on the PATH. On Debian and Ubuntu: apt install wrk", file=sys.stderr)
        return 1
    names = list(dict.fromkeys(options.variant or DEFAULT))
    count = not options.no_counting
    missing = missing_servers()
    if missing and not options.variant:
        print(f"bench: without Redis and PostgreSQL: {missing}", file=sys.stderr)
        names = [name for name in names if not VARIANTS[name].servers]
        count = False
    try:
        if options.profile:
            profile(names[0], seconds=options.seconds)
            return 0
        counting = limits.measure() if count else None
        results = compare(names, seconds=options.seconds, rounds=options.rounds)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    if counting is not None:
        limits.print_table(counting)
    print_table(summary(results))
    output = options.output or RESULTS / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.json"
    write(output, options, results, counting)
    return 0


if __name__ == "__main__":
    sys.exit(main())
