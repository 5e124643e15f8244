"""`gateway audit`: what was decided, for whom, why, and how it ended."""

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime

import orjson

from gateway.assembly import open_stores
from gateway.audit import timestamp
from gateway.cli.listing import print_rows
from gateway.cli.refusals import USAGE, complain, run_command
from gateway.operations import (
    list_records,
    note_reading,
    operator_at_the_command_line,
)
from gateway.operations import tail as follow_trail
from gateway.ports import AuditQuery
from gateway.settings import Settings

MAX_LIMIT = 100_000
_LAST = 10
_WIDTH = 60
_DURATION = re.compile(r"([1-9]\d{0,8})(s|min|h|d)", re.ASCII)
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_DECISIONS = ("allow", "deny")
_KINDS = ("decision", "completion", "event")
_OPAQUE = re.compile(r"[^ -~]")

Record = Mapping[str, object]


class _Unclear(Exception):
    """An option cannot be understood."""


def list_(
    settings: Settings,
    *,
    since: str | None = None,
    until: str | None = None,
    actor: str | None = None,
    decision: str | None = None,
    route: str | None = None,
    request_id: str | None = None,
    kind: str | None = None,
    limit: int = 50,
    output: str = "text",
) -> int:
    """Print the newest records that match, newest first; return the exit code. Raise `StartRefused`.

    `since` and `until` are a duration before now (`1h`, `7d`) or a time of RFC 3339; without an offset it is
    UTC. `actor` is an id or a name.
    """
    now = time.time()
    try:
        query = AuditQuery(
            since=_time("--since", since, now),
            until=_time("--until", until, now),
            actor=actor,
            decision=_one_of("--decision", decision, _DECISIONS),
            route=route,
            request_id=None if request_id is None else request_id.lower(),
            kind=_one_of("--kind", kind, _KINDS),
            limit=_limit(limit),
        )
    except _Unclear as unclear:
        complain(str(unclear))
        return USAGE
    return run_command(_list(settings, query, output))


def tail(settings: Settings, *, output: str = "text") -> int:
    """Print the last records, then each new one until Ctrl-C; return the exit code. Raise `StartRefused`."""
    try:
        return run_command(_tail(settings, output))
    except KeyboardInterrupt:
        return 0


async def _list(settings: Settings, query: AuditQuery, output: str) -> int:
    async with open_stores(settings) as stores:
        records = await list_records(stores.trail, query)
        unrecorded = await note_reading(
            stores.events, query, records=len(records), operator=operator_at_the_command_line()
        )
    _warn(unrecorded)
    if output == "json":
        print("[" + ",\n ".join(_json(record) for record in records) + "]")
    else:
        print_rows([_row(record) for record in records], output="text", empty="No record matches.")
    return 0


async def _tail(settings: Settings, output: str) -> int:
    async with open_stores(settings) as stores:
        operator = operator_at_the_command_line()
        _warn(await note_reading(stores.events, None, records=None, operator=operator))
        async for record in follow_trail(stores.trail, last=_LAST):
            print(_json(record) if output == "json" else _line(record), flush=True)
    return 0


def _warn(unrecorded: str | None) -> None:
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
    text = "".join(char if char.isprintable() else _escaped(char) for char in str(value))
    return text if len(text) <= _WIDTH else text[: _WIDTH - 3] + "..."


def _json(record: Record) -> str:
    """Return a record as one line of JSON whose unprintable characters are escaped."""
    text = orjson.dumps(record).decode()
    # Outside of strings JSON is plain ASCII, so escapes can replace whatever else is there.
    return _OPAQUE.sub(lambda found: found[0] if found[0].isprintable() else _escaped(found[0]), text)


def _escaped(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place : place + 2].hex()}" for place in range(0, len(units), 2))


def _time(option: str, text: str | None, now: float) -> str | None:
    if text is None:
        return None
    match = _DURATION.fullmatch(text)
    if match is not None:
        return timestamp(max(0.0, now - int(match[1]) * _SECONDS[match[2]]))
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError):
        msg = f"{option}: {text!r} is not a time; write 30min, 1h or 7d before now, or 2026-01-31T12:00:00Z"
        raise _Unclear(msg) from None


def _one_of(option: str, value: str | None, known: tuple[str, ...]) -> str | None:
    if value is not None and value not in known:
        msg = f"{option}: {value!r} is not one of {', '.join(known)}"
        raise _Unclear(msg)
    return value


def _limit(value: int) -> int:
    if not 1 <= value <= MAX_LIMIT:
        msg = f"--limit: {value} is not between 1 and {MAX_LIMIT}; narrow the search with --since and --until"
        raise _Unclear(msg)
    return value
