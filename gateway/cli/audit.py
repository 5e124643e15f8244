"""`gateway audit list` and `tail`: what was decided, for whom, why, and how it ended."""

import shlex
import time
from collections.abc import Mapping, Sequence

from gateway.assembly import at_the_command_line
from gateway.audit import Filter, FilterError, exact_term, parse_cursor, parse_filter, parse_time
from gateway.cli.listing import print_rows
from gateway.cli.refusals import USAGE, complain, run_command
from gateway.formats import json_line, legible
from gateway.model import Term
from gateway.operations import Reading, list_records, note_reading, operator_at_the_command_line
from gateway.operations import tail as follow_trail
from gateway.ports import AuditQuery, Place
from gateway.settings import Settings

MAX_LIMIT = 100_000
_LAST = 10
_WIDTH = 60

Record = Mapping[str, object]


def list_(
    settings: Settings,
    words: Sequence[str] = (),
    *,
    since: str | None = None,
    until: str | None = None,
    actor: str | None = None,
    decision: str | None = None,
    route: str | None = None,
    request_id: str | None = None,
    kind: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
    output: str = "text",
) -> int:
    """Print the newest records that match, newest first; return the exit code. Raise `StartRefused`.

    `words` are a filter, and each field that is named must have the value besides.
    """
    fields = {"actor": actor, "decision": decision, "route": route, "request_id": request_id, "kind": kind}
    try:
        wanted = filter_of(words, since=since, until=until, fields=fields)
        query = AuditQuery(
            since=wanted.since,
            until=wanted.until,
            terms=wanted.terms,
            beyond=None if cursor is None else _place(cursor),
            limit=_limit(limit),
        )
    except FilterError as error:
        complain(str(error))
        return USAGE
    return run_command(_list(settings, query, output))


def tail(settings: Settings, words: Sequence[str] = (), *, output: str = "text") -> int:
    """Print the last records that match, or all since a time that the filter has, then each new one until
    Ctrl-C; return the exit code. Raise `StartRefused`."""
    try:
        wanted = filter_of(words)
    except FilterError as error:
        complain(str(error))
        return USAGE
    if wanted.until is not None:
        complain("until: what is followed has no end; use `gateway audit list`")
        return USAGE
    try:
        return run_command(_tail(settings, wanted, output))
    except KeyboardInterrupt:
        return 0


def filter_of(
    words: Sequence[str],
    *,
    since: str | None = None,
    until: str | None = None,
    fields: Mapping[str, str | None] | None = None,
) -> Filter:
    """Return what the arguments of a command and its options ask for together. Raise `FilterError`."""
    now = time.time()
    wanted = parse_filter(" ".join(words), now=now)
    terms = []
    for field, value in (fields or {}).items():
        if value is not None:
            terms.append(_option(field, value))
    times = {name: text for name, text in (("since", since), ("until", until)) if text is not None}
    limits: dict[str, str] = {}
    for name, text in times.items():
        try:
            limits[name] = parse_time(text, now=now)
        except FilterError as error:
            raise FilterError(f"--{name}: {error}") from None
    return wanted.narrowed(terms, since=limits.get("since"), until=limits.get("until"))


async def _list(settings: Settings, query: AuditQuery, output: str) -> int:
    async with at_the_command_line(settings) as stores:
        page = await list_records(stores.trail, query)
        reading: Reading = {"command": "list", "limit": query.limit, "records": len(page.records)}
        operator = operator_at_the_command_line()
        warn(await note_reading(stores.events, reading, query, operator=operator))
    if output == "json":
        print("[" + ",\n ".join(_json(record) for record in page.records) + "]")
        return 0
    print_rows([_row(record) for record in page.records], output="text", empty="No record matches.")
    if page.next is not None:
        print(f"There are more: --cursor {shlex.quote(page.next)}")
    return 0


async def _tail(settings: Settings, wanted: Filter, output: str) -> int:
    async with at_the_command_line(settings) as stores:
        query = AuditQuery(since=wanted.since, terms=wanted.terms)
        operator = operator_at_the_command_line()
        warn(await note_reading(stores.events, {"command": "tail"}, query, operator=operator))
        async for record in follow_trail(stores.trail, last=_LAST, wanted=wanted):
            print(_json(record) if output == "json" else _line(record), flush=True)
    return 0


def warn(unrecorded: str | None) -> None:
    """Say that a reading could not be recorded, and why; nothing when it was."""
    if unrecorded is not None:
        complain(f"this reading is not recorded: {unrecorded}")


def _row(record: Record) -> dict[str, str | bool | list[str] | None]:
    return {
        "time": _text(record["time"]),
        "kind": _text(record["kind"]),
        "decision": _text(record["decision"] or record["outcome"]),
        "reason": _text(record["reason"]),
        "status": _text(record["status"]),
        "request": _request(record),
        "actor": _actor(record),
        "rule": _text(record["rule"]),
        "address": _text(record["source_ip"]),
    }


def _line(record: Record) -> str:
    row = _row(record)
    widths = {"time": 27, "kind": 10, "decision": 8, "reason": 20, "status": 6}
    return "  ".join(str(value or "-").ljust(widths.get(name, 0)) for name, value in row.items())


def _request(record: Record) -> str | None:
    """Return what was asked for: method and path, or what happened."""
    if record["method"] is None or record["path"] is None:
        return _text(record["action"])
    return _text(f"{record['method']} {record['path']}")


def _actor(record: Record) -> str | None:
    actor = record["actor"]
    if not isinstance(actor, dict):
        return None
    return _text(actor.get("name") or actor.get("id"))


def _text(value: object) -> str | None:
    """Return a value as text that cannot steer a terminal: nothing unprintable, nothing that turns the
    direction of writing, no more than fits."""
    if value is None:
        return None
    text = legible(str(value))
    return text if len(text) <= _WIDTH else text[: _WIDTH - 3] + "..."


def _json(record: Record) -> str:
    return json_line(record).decode()


def _option(field: str, value: str) -> Term:
    try:
        return exact_term(field, value)
    except FilterError as error:
        # The option is called as the field is.
        raise FilterError(f"--{str(error).replace('_', '-', 1)}") from None


def _place(text: str) -> Place:
    try:
        return parse_cursor(text)
    except FilterError as error:
        raise FilterError(f"--cursor: {error}") from None


def _limit(value: int) -> int:
    if not 1 <= value <= MAX_LIMIT:
        raise FilterError(
            f"--limit: {value} is not between 1 and {MAX_LIMIT}; "
            "take pages with --cursor, or everything with `gateway audit export`"
        )
    return value
