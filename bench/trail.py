"""What the audit trail costs a request, how fast records are shipped, and how fast they are found again:
`make bench`, or `python -m bench.trail --help`."""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from bench.load import BenchError
from bench.report import summary
from bench.run import compare
from bench.servers import missing_servers, postgres
from gateway.assembly import open_stores
from gateway.assembly.stores import Stores
from gateway.crypto import beginning, link
from gateway.model import Term
from gateway.observability import set_up_logs
from gateway.ports import AuditQuery, Run
from gateway.settings import load_settings

MODES: Final = ("off", "full", "power")
"""No request recorded; every one, so that it survives kill -9; so that it survives a power cut."""
_SHIPPED: Final = 100_000
_AT_ONCE: Final = 8192
_USERS: Final = 10_000
_DAYS: Final = 7
_ASKED: Final = 30
_DURABILITY: Final = {"off": "off", "full": "process", "power": "power"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipping:
    """How fast records went from the spool to the database."""

    records_per_second: float
    us_per_record: float
    """CPU of the gateway."""


async def shipping(stores: Stores) -> Shipping:
    """Return how fast the spool is emptied."""
    records = bodies(_SHIPPED, begin=datetime.now(UTC), step=timedelta(microseconds=100))
    for number, body in enumerate(records, 1):
        stores.audit.spool.append(body)
        if number % _AT_ONCE == 0:
            await stores.audit.spool.flushed()
    await stores.audit.spool.flushed()
    begun, spent = time.perf_counter(), time.process_time()
    await stores.audit.deliverer().drain()
    return Shipping(
        records_per_second=_SHIPPED / (time.perf_counter() - begun),
        us_per_record=(time.process_time() - spent) / _SHIPPED * 1e6,
    )


async def looking(stores: Stores, records: int) -> Mapping[str, float]:
    """Fill the trail, and return the milliseconds that a look takes: the median, by what is asked."""
    begin = datetime.now(UTC)
    step = timedelta(days=_DAYS) / records
    # The database keeps a row for each of some writers, as several workers and starts make them.
    writer = "00000000-0000-4000-8000-000000000001"
    head, first = beginning(writer), 1
    part: list[bytes] = []
    for body in bodies(records, begin=begin, step=step):
        part.append(body)
        if len(part) == _AT_ONCE:
            head, first = await _ship(stores, writer, first, head, part)
            part = []
    if part:
        await _ship(stores, writer, first, head, part)

    def between(number: int, hours: float) -> tuple[str, str]:
        start = begin + step * (number * records // (_ASKED + 1))
        return _text(start), _text(start + timedelta(hours=hours))

    def by_actor(number: int, hours: float) -> AuditQuery:
        since, until = between(number, hours)
        return AuditQuery(since=since, until=until, terms=(Term(field="actor", values=(_user(number),)),))

    def denied(number: int) -> AuditQuery:
        since, until = between(number, 1)
        terms = (Term(field="decision", values=("deny",)),)
        return AuditQuery(since=since, until=until, terms=terms)

    questions: Mapping[str, Callable[[int], AuditQuery]] = {
        "an actor within an hour": lambda number: by_actor(number, 1),
        "an actor within a day": lambda number: by_actor(number, 24),
        "an actor, the newest 50 of all": lambda number: AuditQuery(
            terms=(Term(field="actor", values=(_user(number),)),)
        ),
        "refusals within an hour": denied,
        "the newest 50": lambda _: AuditQuery(),
    }
    return {says: await _median(stores, question) for says, question in questions.items()}


async def _median(stores: Stores, question: Callable[[int], AuditQuery]) -> float:
    taken = []
    for number in range(_ASKED):
        begun = time.perf_counter()
        await stores.trail.find(question(number))
        taken.append((time.perf_counter() - begun) * 1000)
    return statistics.median(taken)


async def _ship(stores: Stores, writer: str, first: int, head: bytes, part: list[bytes]) -> tuple[bytes, int]:
    before, heads = head, []
    for number, body in enumerate(part, first):
        head = link(head, number, body)
        heads.append(head)
    nothing = (b"",) * len(part)
    await stores.audit.sink.ship(
        Run(
            writer=writer,
            first=first,
            bodies=tuple(part),
            before=before,
            heads=tuple(heads),
            personal=nothing,
        )
    )
    return head, first + len(part)


def bodies(count: int, *, begin: datetime, step: timedelta) -> Iterator[bytes]:
    """Give records as the gateway writes them, of many users; each twentieth is a refusal."""
    for number in range(count):
        at = begin + step * number
        milliseconds = b"%012x" % int(at.timestamp() * 1000)
        verdict = b'"deny","reason":"denied"' if number % 20 == 0 else b'"allow","reason":"ok"'
        yield (
            b'{"time":"%b","request_id":"%b-%b-7000-8000-%012x","kind":"decision","method":"GET",'
            b'"host":"api.example.com","path":"/orders/%d","action":"GET /orders/{order_id}",'
            b'"route":"orders-item","upstream":"orders","decision":%b,'
            b'"rule":"orders-item policies.yaml:41","revision":"0123456789abcdef","authn":"gateway",'
            b'"session":"ses_%08x","roles":["customer"],"actor":{"id":"%b","kind":"user"}}'
        ) % (
            _text(at).encode(),
            milliseconds[:8],
            milliseconds[8:],
            number,
            number * 7919 % 100_000,
            verdict,
            number % _USERS,
            _user(number).encode(),
        )


def _user(number: int) -> str:
    return f"usr_{number * 104_729 % _USERS:026d}"


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


async def _with_stores(url: str | None, records: int) -> tuple[Shipping, Mapping[str, float]]:
    with TemporaryDirectory(prefix="gateway-bench-") as folder:
        environment = {"GATEWAY_DATA_DIR": str(Path(folder, "data"))}
        if url is not None:
            environment["GATEWAY_DATABASE_URL"] = url
        async with open_stores(load_settings(environment)) as stores:
            return await shipping(stores), await looking(stores, records)


def _print_requests(options: argparse.Namespace) -> Mapping[str, Mapping[str, float]]:
    told = summary(compare(list(MODES), seconds=options.seconds, rounds=options.rounds))
    table = Table(title="What recording every request adds (medians)", box=SIMPLE)
    for heading in ("durability", "CPU µs/request", "added", "p50 ms", "added", "p99 ms", "added"):
        table.add_column(heading, justify="left" if heading == "durability" else "right")
    without = told["off"]
    for mode in MODES:
        row = told[mode]
        cells = []
        for name, digits in (("us_per_request", 1), ("p50_ms", 2), ("p99_ms", 2)):
            cells += [f"{row[name]:.{digits}f}", f"{row[name] - without[name]:+.{digits}f}"]
        table.add_row(_DURABILITY[mode], *cells)
    Console().print(table)
    return told


def main() -> int:
    """Measure and print. Return 1 when nothing could be measured."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.trail", description="What the audit trail costs, and how fast it is."
    )
    parser.add_argument("--seconds", type=float, default=4, help="length of one round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each mode (default: %(default)s)")
    parser.add_argument(
        "--records",
        type=int,
        default=1_000_000,
        help="size of the table that is asked (default: %(default)s)",
    )
    parser.add_argument("--output", type=Path, help="where the figures go as JSON")
    options = parser.parse_args()
    set_up_logs(level="warning", form="text")
    figures: dict[str, object] = {}
    try:
        figures["requests"] = _print_requests(options)
        with ExitStack() as stack:
            databases: dict[str, str | None] = {"SQLite": None}
            if missing := missing_servers():
                print(f"bench: without PostgreSQL: {missing}", file=sys.stderr)
            else:
                databases["PostgreSQL"] = stack.enter_context(postgres()).url
            for name, url in databases.items():
                shipped, looked = asyncio.run(_with_stores(url, options.records))
                figures[name] = {
                    "records_per_second": shipped.records_per_second,
                    "us_per_record": shipped.us_per_record,
                    "look_ms": looked,
                }
                print(
                    f"{name}: {shipped.records_per_second:,.0f} records/s are shipped, "
                    f"{shipped.us_per_record:.1f} µs of CPU each"
                )
                print(f"{name}: of {options.records:,} records over {_DAYS} days, a look takes")
                for says, milliseconds in looked.items():
                    print(f"  {milliseconds:8.1f} ms  {says}")
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    if options.output is not None:
        options.output.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
