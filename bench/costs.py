"""What a request costs inside this process, in turns with the reference: `python -m bench.costs` prints JSON.

Meant to be run several times over, as `bench.check` does: where things lie in memory differs from process to
process, and costs up to 5 %.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import repeat
from statistics import mean

from bench.inside import Inside, MemoryLoop, fresh_settings, inside, request
from bench.load import BenchError
from bench.reference import Reference
from gateway.assembly import open_stores
from gateway.cli.life import spare_the_collector
from gateway.settings import Settings

ROUNDS = 100
_REQUESTS, _TIMES = 32, 40
"""Requests, and times of the reference, in one slice: about 3 ms each, so that both meet the same machine."""
_RECORDS, _SHIPMENTS = 8000, 12
_LOWEST = 3
_RECORDS_PER_MS = 20
_BEGINNING = 1_767_225_600_000
"""2026, in milliseconds."""
_WARM_UP = 1500


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One way that a request can go."""

    says: str
    path: str
    status: int
    method: str = "GET"
    role: str | None = None
    """Of the user who asks, None: nobody."""


CASES: Mapping[str, Case] = {
    "full": Case(
        says="token, scopes, 4 limits, signed identity, audit, upstream",
        path="/orders",
        status=200,
        role="clerk",
    ),
    "public": Case(says="no caller, 2 limits by address, audit, upstream", path="/public", status=200),
    "refused-401": Case(says="no credential, audit", path="/orders", status=401),
    "refused-403": Case(
        says="token without the scope, audit", path="/orders", status=403, method="POST", role="reader"
    ),
}
SHIPPING = "shipping"
NAMES: Mapping[str, str] = {
    **{name: case.says for name, case in CASES.items()},
    SHIPPING: "one audit record from the spool to SQLite",
}
"""What is measured, and what each name means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one request, or one record, costs."""

    ratio: float
    """In times of the reference."""
    us: float
    """In microseconds of CPU, which is another number on another machine."""


async def costs(*, rounds: int) -> dict[str, Cost]:
    """Measure every case. Must run on a `MemoryLoop`. Raise `BenchError` on a wrong answer."""
    roles = {case.role for case in CASES.values() if case.role is not None}
    with fresh_settings() as settings:
        async with inside(settings, roles=sorted(roles)) as gateway:
            slices = await _requests(gateway, rounds)
    with fresh_settings() as settings:
        slices[SHIPPING] = await _shipping(settings, min(_SHIPMENTS, rounds))
    return {name: _cost(pairs) for name, pairs in slices.items()}


Slices = list[tuple[float, float]]
"""Seconds of CPU for one request, and for the reference once, by slice."""


def _cost(slices: Slices) -> Cost:
    # Neighbours can only add, to some slices and hardly ever to all, so the lowest tell what the work costs.
    ours, reference = (mean(sorted(each)[:_LOWEST]) for each in zip(*slices, strict=True))
    return Cost(ratio=ours / reference, us=ours * 1e6)


async def _requests(gateway: Inside, rounds: int) -> dict[str, Slices]:
    with ExitStack() as stack:
        crowds = {}
        for name, case in CASES.items():
            lines = []
            if case.role is not None:
                lines.append(b"Authorization: Bearer " + (await gateway.log_in(case.role)).encode())
            asked = request(case.method, case.path, lines)
            crowds[name] = stack.enter_context(gateway.crowd(repeat(asked), status=case.status))
        reference = Reference()
        for crowd in crowds.values():
            await crowd.ask(_WARM_UP)
            reference.work(_WARM_UP // 4)
        spare_the_collector()
        slices: dict[str, Slices] = {name: [] for name in crowds}
        for _ in range(rounds):
            for name, crowd in crowds.items():
                # The thread's own time: what ships records beside the requests is measured by itself.
                spent = await _spent(lambda: crowd.ask(_REQUESTS), time.thread_time)  # noqa: B023 - awaited here
                slices[name].append((spent / _REQUESTS, _reference(reference)))
        return slices


async def _shipping(settings: Settings, rounds: int) -> Slices:
    reference = Reference()
    slices = []
    async with open_stores(settings) as stores:
        deliverer = stores.audit.deliverer()
        for number in range(rounds):
            for other in range(_RECORDS):
                stores.audit.spool.append(_record(number * _RECORDS + other))
            await stores.audit.spool.flushed()
            # The database works in threads of its own.
            spent = await _spent(deliverer.drain, time.process_time)
            slices.append((spent / _RECORDS, _reference(reference)))
    return slices


def _record(number: int) -> bytes:
    """Return a record as the gateway writes them: the id of the request begins with its time."""
    second, milliseconds = divmod(number // _RECORDS_PER_MS, 1000)
    id_time = b"%012x" % (_BEGINNING + second * 1000 + milliseconds)
    return (
        b'{"time":"2026-01-01T00:00:%02d.%03d000Z","request_id":"%b-%b-7000-8000-%012x","kind":"decision",'
        b'"method":"GET","host":"127.0.0.1:8000","path":"/orders","source_ip":"127.0.0.1","user_agent":"bench",'
        b'"action":"GET /orders","route":"orders","decision":"allow","reason":"ok",'
        b'"revision":"0123456789abcdef",'
        b'"actor":{"id":"usr_0199c5a8","kind":"user","name":"clerk","authn":"gateway","roles":["clerk"]}}'
    ) % (second, milliseconds, id_time[:8], id_time[8:], number)


async def _spent(work: Callable[[], Awaitable[None]], clock: Callable[[], float]) -> float:
    begun = clock()
    await work()
    return clock() - begun


def _reference(reference: Reference) -> float:
    begun = time.thread_time()
    reference.work(_TIMES)
    return (time.thread_time() - begun) / _TIMES


def main() -> int:
    """Measure and print. Return 1 when a request was not answered as it should be."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    try:
        with asyncio.Runner(loop_factory=MemoryLoop) as runner:
            measured = runner.run(costs(rounds=rounds))
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps({name: asdict(cost) for name, cost in measured.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
