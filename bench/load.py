"""Load from wrk, and what it says about it."""

import re
import subprocess
from dataclasses import dataclass
from tempfile import NamedTemporaryFile

CONNECTIONS = 32


class BenchError(Exception):
    """The measurement would mean nothing. The text says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one run of wrk did. Latencies are milliseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float


def wrk(
    url: str,
    *,
    seconds: float,
    headers: tuple[str, ...] = (),
    threads: int = 1,
    connections: int = CONNECTIONS,
    post: int | None = None,
) -> Load:
    """Return what the load did: GET, or POST with a body of so many bytes.

    Raise `BenchError` when an answer was not 2xx, or a connection broke.
    """
    command = ["wrk", "--latency", f"-t{threads}", f"-c{connections}", f"-d{max(1, round(seconds))}s"]
    for header in headers:
        command += ["-H", header]
    with NamedTemporaryFile("w", suffix=".lua") as script:
        if post is not None:
            script.write(f'wrk.method = "POST"; wrk.body = string.rep("x", {post})\n')
            script.flush()
            command += ["-s", script.name]
        ended = subprocess.run(
            [*command, url], capture_output=True, text=True, check=False, timeout=seconds + 30
        )
    if ended.returncode:
        raise BenchError(f"wrk failed on {url}: {ended.stderr.strip() or ended.stdout.strip()}")
    return read(ended.stdout)


def read(text: str) -> Load:
    """Return what wrk printed. Raise `BenchError` when an answer was not 2xx, or a connection broke."""
    for line in text.splitlines():
        if "Non-2xx" in line or "Socket errors" in line:
            raise BenchError(f"not every request was answered as it should be: {line.strip()}")
    done = re.search(r"(\d+) requests in ([\d.]+)(ms|s|m)", text)
    if done is None or done[1] == "0":
        raise BenchError(f"nothing was answered: {text.strip()}")
    return Load(
        requests=int(done[1]),
        seconds=_milliseconds(done[2], done[3]) / 1000,
        p50=_percentile(text, "50"),
        p99=_percentile(text, "99"),
    )


def _percentile(text: str, percent: str) -> float:
    found = re.search(rf"^\s+{percent}%\s+([\d.]+)(us|ms|s|m)\s*$", text, flags=re.MULTILINE)
    return _milliseconds(found[1], found[2]) if found else 0.0


def _milliseconds(number: str, unit: str) -> float:
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}[unit]
