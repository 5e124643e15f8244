"""How commands print data: aligned columns for people, one JSON array for programs."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import orjson

Value = str | int | None | list[str]
Row = Mapping[str, Value]


def print_rows(rows: Sequence[Row], *, output: str, empty: str) -> None:
    """Print rows, all with the same members in the same order; `empty` is what people read when there are
    none."""
    if output == "json":
        print(orjson.dumps(list(rows), option=orjson.OPT_INDENT_2).decode())
        return
    if not rows:
        print(empty)
        return
    names = list(rows[0])
    lines = [[name.upper().replace("_", " ") for name in names]]
    lines += [[_text(row[name]) for name in names] for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(names))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def print_row(row: Row, *, output: str) -> None:
    """Print one thing: a line for each member, or one JSON object."""
    if output == "json":
        print(orjson.dumps(row, option=orjson.OPT_INDENT_2).decode())
        return
    width = max(len(name) for name in row)
    for name, value in row.items():
        print(f"{name.replace('_', ' ').ljust(width)}  {_text(value)}")


def time_text(at: float | None) -> str | None:
    """Return a time in seconds since the epoch as RFC 3339, in UTC and whole seconds."""
    return None if at is None else datetime.fromtimestamp(int(at), UTC).isoformat().replace("+00:00", "Z")


def _text(value: Value) -> str:
    match value:
        case None | []:
            return "-"
        case bool():
            return "yes" if value else "no"
        case str() | int():
            return str(value)
        case _:
            return ", ".join(value)
