"""The guard on what a request costs: `make bench-check`, or `python -m bench.check --help`.

Runs the whole gateway inside a process, in turns with a piece of work that has nothing to do with it, and
compares the ratio of the two with `bench/baseline.json`. Needs no server, no load generator and no quiet
machine.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.baseline import FILE, Baseline, Figure, Interpreter, processor
from bench.costs import NAMES
from bench.load import BenchError

TOLERANCE = 0.10
"""The part by which a case may cost more than its baseline, beyond what the run itself is unsure of."""
PROCESSES = 7
"""At most; as many as there is time for, and `_FEWEST` at least."""
_FEWEST = 3
_BUDGET = 50.0
"""Seconds, for all of them."""
_SECONDS = 120
"""For one process, which takes five on an idle machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One case, compared."""

    name: str
    now: Figure
    then: Figure | None
    us: float

    @property
    def change(self) -> float:
        """The part by which it costs more; negative: less."""
        return 0.0 if self.then is None else self.now.ratio / self.then.ratio - 1

    @property
    def is_above(self) -> bool:
        """Whether it costs more than it may, even if the whole noise of this run speaks for it."""
        return self.then is not None and self.now.ratio - self.now.noise > self.then.ratio * (1 + TOLERANCE)

    @property
    def is_below(self) -> bool:
        """Whether it has become cheaper by so much that the baseline guards nothing."""
        return self.then is not None and self.now.ratio + self.now.noise < self.then.ratio * (1 - TOLERANCE)


Run = Mapping[str, Mapping[str, float]]
"""What one process measured: ratio and microseconds, by case."""


def measure() -> list[Run]:
    """Return what each of several processes measured, one after the other. Raise `BenchError`."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GATEWAY_")}
    # How dictionaries of strings are laid out would differ from process to process.
    environment["PYTHONHASHSEED"] = "0"
    runs: list[Run] = []
    begun = time.monotonic()
    while len(runs) < PROCESSES:
        spent = time.monotonic() - begun
        if len(runs) >= _FEWEST and spent + spent / len(runs) > _BUDGET:
            break
        runs.append(_process(environment))
    return runs


def _process(environment: Mapping[str, str]) -> Run:
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "bench.costs"],
            cwd=Path(__file__).parents[1],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise BenchError(f"nothing was measured within {_SECONDS} s") from None
    if ended.returncode:
        raise BenchError(f"nothing was measured:\n{ended.stderr.strip()[-2000:]}")
    run: Run = json.loads(ended.stdout.splitlines()[-1])
    return run


def figures(runs: Sequence[Run]) -> dict[str, Figure]:
    """Return each case's lower quartile over the processes: neighbours can only add."""
    found = {}
    for name in runs[0]:
        ratios = sorted(run[name]["ratio"] for run in runs)
        found[name] = Figure(ratio=ratios[len(ratios) // 4], noise=(median(ratios) - ratios[0]) / 2)
    return found


def compare(runs: Sequence[Run], baseline: Baseline) -> list[Finding]:
    """Return every case beside its baseline."""
    return [
        Finding(
            name=name,
            now=figure,
            then=baseline.figures.get(name),
            us=median(run[name]["us"] for run in runs),
        )
        for name, figure in figures(runs).items()
    ]


def print_table(findings: Sequence[Finding]) -> None:
    """Print every case."""
    table = Table(title="CPU per request in process, in times of the reference")
    for heading in ("case", "now", "noise", "baseline", "change", "µs here"):
        table.add_column(heading, justify="left" if heading == "case" else "right")
    for each in findings:
        table.add_row(
            each.name,
            f"{each.now.ratio:.3f}",
            f"±{each.now.noise:.3f}",
            "none" if each.then is None else f"{each.then.ratio:.3f}",
            "" if each.then is None else f"{each.change:+.1%}",
            f"{each.us:.1f}",
        )
    console = Console()
    console.print(table)
    for each in findings:
        console.print(f"{each.name}: {NAMES[each.name]}", highlight=False, soft_wrap=True)


def verdict(
    findings: Sequence[Finding], baseline: Baseline, interpreter: Interpreter
) -> tuple[int, list[str]]:
    """Return the exit code, and what to say."""
    above = [each for each in findings if each.is_above]
    told = [
        f"{each.name} costs {each.change:.0%} more than its baseline; {TOLERANCE:.0%} is allowed"
        for each in above
    ]
    told += [
        f"{each.name} costs {-each.change:.0%} less than its baseline: record it, so that it stays so"
        for each in findings
        if each.is_below
    ]
    told += [f"{each.name} has no baseline: record one" for each in findings if each.then is None]
    if interpreter != baseline.interpreter:
        told.append(
            f"for information only, this is the baseline of another interpreter ({baseline.interpreter}); "
            f"this one is {interpreter}. To guard a change here: --record --baseline FILE before it, and "
            "--baseline FILE after it"
        )
        return 0, told
    if above:
        told.append("find what made it dearer, or record the new baseline in the same change and say why")
    return int(bool(above)), told


def main() -> int:
    """Measure, compare, print. Return 1 when a case costs too much, or nothing could be measured."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.check", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--record", action="store_true", help="write the baseline anew")
    parser.add_argument("--baseline", type=Path, default=FILE, help="default: bench/baseline.json")
    options = parser.parse_args()
    interpreter = Interpreter.current()
    try:
        if options.record:
            Baseline(
                interpreter=interpreter, processor=processor(), figures=figures(runs := measure())
            ).write(options.baseline)
            print_table(compare(runs, Baseline.read(options.baseline)))
            print(f"baseline: {options.baseline}")
            return 0
        baseline = Baseline.read(options.baseline)
        findings = compare(measure(), baseline)
    except BenchError as error:
        print(f"bench-check: {error}", file=sys.stderr)
        return 1
    print_table(findings)
    print(f"baseline: {baseline.interpreter}, on {baseline.processor}; this machine: {processor()}")
    code, told = verdict(findings, baseline, interpreter)
    for line in told:
        print(f"bench-check: {line}", file=sys.stderr)
    if not told:
        print(f"bench-check: every case is within {TOLERANCE:.0%} of its baseline")
    return code


if __name__ == "__main__":
    sys.exit(main())
