"""What counting in Redis costs: part of `make bench`, or `python -m bench.limits --help`.

The gateway's own counters beside redis-py with the same script, keys and arguments, on the same server, in
turns: CPU of the client and of the server for one request with four limits, at several requests in flight.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import cast

import hiredis
import uvloop
from redis.asyncio import Redis
from redis.exceptions import RedisError
from rich.console import Console
from rich.table import Table

from bench.load import BenchError
from bench.servers import redis
from gateway.cli.life import spare_the_collector
from gateway.config import load_configuration
from gateway.model import Charge, Limit
from gateway.observability import set_up_logs
from gateway.ports import StoreUnavailable, SystemClock
from gateway.stores.memory import MemoryCounters
from gateway.stores.redis import Link, RedisAddress, RedisCounters

IN_FLIGHT = (1, 8, 50)
ROUNDS, CHECKS = 4, 4000
"""Slices of each client with each number in flight, and checks in each."""
TARGET = 8.0
"""Microseconds of client CPU that one check may cost, at the most in flight."""
OURS = "gateway"
_CALLERS = 256
_TIMEOUT = 5.0
"""Seconds. A machine that stalls must not turn a measurement of counting into one of giving up."""

Check = Callable[[int], Awaitable[object]]
"""Counts one request of the caller with this number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One client with one number of requests in flight, once. All figures are per check."""

    client_us: float
    """CPU of this process."""
    server_us: float
    """CPU of the server."""
    checks_per_second: float


async def compare(url: str, *, rounds: int, checks: int) -> dict[str, dict[int, list[Slice]]]:
    """Return every slice by client and requests in flight. Raise `BenchError`."""
    limits = _limits()
    charges = [_charges(limits, caller) for caller in range(_CALLERS)]
    address = RedisAddress.parse(url)
    commands = [await _command(each) for each in charges]
    client = address.client(socket_timeout=_TIMEOUT, max_connections=max(IN_FLIGHT))
    async with client, _counters(address) as counters:
        pipeline = Pipeline(client)
        # redis-py does not say what it returns.
        alone = cast("Callable[..., Awaitable[object]]", client.execute_command)
        clients: dict[str, Check] = {
            OURS: lambda caller: counters.take(charges[caller]),
            "redis-py": lambda caller: alone(*commands[caller]),
            "redis-py pipeline": lambda caller: pipeline.run(commands[caller]),
            "nothing": lambda _: asyncio.sleep(0),
        }
        slices: dict[str, dict[int, list[Slice]]] = {
            name: {number: [] for number in IN_FLIGHT} for name in clients
        }
        for check in clients.values():
            await _flood(check, checks // 4, max(IN_FLIGHT))
        spare_the_collector()
        before, done = counters.statistics.exact_admitted, 0
        for number in range(rounds):
            for in_flight in IN_FLIGHT:
                for name, check in clients.items():
                    slices[name][in_flight].append(await _slice(client, check, checks, in_flight))
                done += checks
            print(f"counting, round {number + 1}/{rounds}", file=sys.stderr)
        if counters.statistics.exact_admitted - before != done:
            raise BenchError("not every check was answered by Redis: this machine is too busy to measure on")
    return slices


async def _slice(server: Redis, check: Check, checks: int, in_flight: int) -> Slice:
    served, begun, spent = await _server_seconds(server), time.perf_counter(), time.process_time()
    await _flood(check, checks, in_flight)
    spent, took = time.process_time() - spent, time.perf_counter() - begun
    return Slice(
        client_us=spent / checks * 1e6,
        server_us=(await _server_seconds(server) - served) / checks * 1e6,
        checks_per_second=checks / took,
    )


async def _server_seconds(server: Redis) -> float:
    told = await server.info("cpu")
    return float(told["used_cpu_user"]) + float(told["used_cpu_sys"])


async def _flood(check: Check, checks: int, in_flight: int) -> None:
    """Count, with so many requests in flight, each of which begins when the one before it has ended."""
    numbers = iter(range(checks))

    async def one() -> None:
        for number in numbers:
            await check(number % _CALLERS)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(in_flight):
                group.create_task(one())
    except* (RedisError, StoreUnavailable) as errors:
        failure = errors.exceptions[0]
    else:
        return
    raise BenchError(f"counting failed: {failure}")


class Pipeline:
    """redis-py at its best: all commands of one turn of the event loop in one pipeline."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._waiting: list[tuple[Sequence[bytes], asyncio.Future[object]]] = []
        self._flushes: set[asyncio.Task[None]] = set()

    async def run(self, command: Sequence[bytes]) -> object:
        """Return the reply to one command."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._flush)
        future = loop.create_future()
        self._waiting.append((command, future))
        return await future

    def _flush(self) -> None:
        task = asyncio.get_running_loop().create_task(self._send(self._waiting))
        self._waiting = []
        self._flushes.add(task)
        task.add_done_callback(self._flushes.discard)

    async def _send(self, waiting: list[tuple[Sequence[bytes], asyncio.Future[object]]]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for command, _ in waiting:
            pipeline.execute_command(*command)
        try:
            replies = await pipeline.execute()
        except RedisError as error:
            for _, future in waiting:
                future.set_exception(error)
            return
        for (_, future), reply in zip(waiting, replies, strict=True):
            future.set_result(reply)


@asynccontextmanager
async def _counters(address: RedisAddress) -> AsyncIterator[RedisCounters]:
    """Connect the gateway's own counters, as the gateway does."""
    clock = SystemClock()
    link = Link(address, scripts=(RedisCounters.script,), timeout=_TIMEOUT)
    counters = RedisCounters(
        link, MemoryCounters(clock), clock, key_secret=b"a secret of the bench", processes=lambda: 1
    )
    await link.start()
    try:
        if link.fault is not None:
            raise BenchError(f"Redis cannot be used: {link.fault}")
        yield counters
    finally:
        await link.close()


class _Listening:
    """Stands in for a link, and keeps what would have been sent."""

    def __init__(self) -> None:
        self.sent = b""

    def send(self, command: bytes) -> "asyncio.Future[object]":
        self.sent = command
        raise StoreUnavailable("nothing is sent")


async def _command(charges: Sequence[Charge]) -> list[bytes]:
    """Return the words that the gateway's own counters say to Redis."""
    link, clock = _Listening(), SystemClock()
    counters = RedisCounters(
        cast("Link", link),
        MemoryCounters(clock),
        clock,
        key_secret=b"a secret of the bench",
        processes=lambda: 1,
    )
    await counters.take(charges)
    reader = hiredis.Reader()
    reader.feed(link.sent)
    return cast("list[bytes]", reader.gets())


def _limits() -> tuple[Limit, ...]:
    """Return the four limits of the full chain."""
    here = Path(__file__).parent
    loaded = load_configuration(
        here / "policies.yaml", here / "upstreams.yaml", environ={"BENCH_UPSTREAM": "127.0.0.1:1"}
    )
    if loaded.snapshot is None:
        raise BenchError(f"the bench's own files do not hold: {loaded.findings}")
    return tuple(loaded.snapshot.plans["orders"].limits.of(frozenset(), anonymous=False))


def _charges(limits: Sequence[Limit], caller: int) -> tuple[Charge, ...]:
    parts = {
        "principal": f"usr_01jd{caller:022}",
        "client_ip": f"203.0.113.{caller % 256}",
        "route": "orders",
    }
    return tuple(Charge(limit, (limit.id, parts[limit.per[0]])) for limit in limits)


Medians = dict[str, dict[int, dict[str, float]]]


def summary(slices: dict[str, dict[int, list[Slice]]]) -> Medians:
    """Return the medians by client and requests in flight."""
    return {
        name: {
            in_flight: {key: median(asdict(each)[key] for each in rounds) for key in asdict(rounds[0])}
            for in_flight, rounds in by_number.items()
        }
        for name, by_number in slices.items()
    }


def print_table(told: Medians) -> None:
    """Print the medians."""
    table = Table(title="One request with four limits, counted in Redis: CPU per check, medians")
    for heading in ("client", "in flight", "client µs", "server µs", "checks/s"):
        table.add_column(heading, justify="left" if heading == "client" else "right")
    for name, by_number in told.items():
        for in_flight, row in by_number.items():
            counts = name != "nothing"
            table.add_row(
                name,
                str(in_flight),
                f"{row['client_us']:.1f}",
                f"{row['server_us']:.1f}" if counts else "",
                f"{row['checks_per_second']:.0f}",
                end_section=in_flight == max(IN_FLIGHT),
            )
    Console().print(table)
    most = max(IN_FLIGHT)
    print(
        f"nothing: the loop that asks, which is in every figure above. Target: {OURS} at most {TARGET:g} µs "
        f"at {most} in flight; measured {told[OURS][most]['client_us']:.1f} µs, redis-py "
        f"{told['redis-py'][most]['client_us']:.1f} µs"
    )


def measure(*, rounds: int = ROUNDS, checks: int = CHECKS) -> Medians:
    """Start a Redis, compare, return the medians. Raise `BenchError`."""
    set_up_logs(level="warning", form="text")
    with redis() as server, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return summary(runner.run(compare(server.url, rounds=rounds, checks=checks)))


def main() -> int:
    """Measure, print. Return 1 when nothing could be measured."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.limits", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS, help="rounds of each client (default: %(default)s)"
    )
    parser.add_argument(
        "--checks", type=int, default=CHECKS, help="checks in one slice (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    if not 1 <= options.rounds <= 50 or not 100 <= options.checks <= 1_000_000:
        parser.error("--rounds is from 1 to 50, --checks from 100 to 1000000")
    try:
        told = measure(rounds=options.rounds, checks=options.checks)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(told, indent=2))
    else:
        print_table(told)
    return 0


if __name__ == "__main__":
    sys.exit(main())
