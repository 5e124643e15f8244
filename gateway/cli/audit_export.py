"""`gateway audit export`: records for other systems, and what hashed values in them stand for."""

import sys
import time
from collections.abc import Sequence

from gateway.assembly import at_the_command_line
from gateway.audit import FilterError, keyed_hash
from gateway.cli.audit import filter_of, warn
from gateway.cli.progress import Progress
from gateway.cli.refusals import FAILED, USAGE, complain, run_command
from gateway.formats import FORMATS, Format
from gateway.model import timestamp
from gateway.operations import export_records, note_reading, operator_at_the_command_line
from gateway.ports import AuditQuery
from gateway.settings import Settings


def export(
    settings: Settings,
    words: Sequence[str] = (),
    *,
    format: str,
    since: str | None = None,
    until: str | None = None,
) -> int:
    """Print all records that match, oldest first, one a line; return the exit code. Raise `StartRefused`.

    What is written after the command has begun is left out.
    """
    try:
        wanted = filter_of(words, since=since, until=until)
    except FilterError as error:
        complain(str(error))
        return USAGE
    query = AuditQuery(
        since=wanted.since,
        # A trail that grows faster than it is read would have no end.
        until=wanted.until or timestamp(time.time()),
        terms=wanted.terms,
    )
    return run_command(_export(settings, query, FORMATS[format]))


def hash_(settings: Settings) -> int:
    """Print what stands in records for a value that the policy has hashed; the value is read from stdin.
    Return the exit code. Raise `StartRefused`."""
    value = sys.stdin.buffer.read().removesuffix(b"\n").removesuffix(b"\r")
    try:
        text = value.decode()
    except UnicodeDecodeError:
        complain("the value on standard input is not UTF-8")
        return FAILED
    if not text:
        complain("there is no value on standard input; write it there, for arguments are seen by every user")
        return USAGE
    return run_command(_hash(settings, text))


async def _export(settings: Settings, query: AuditQuery, format: Format) -> int:
    async with at_the_command_line(settings) as stores:
        reading = {"command": "export", "format": format.name}
        operator = operator_at_the_command_line()
        warn(await note_reading(stores.events, reading, query, operator=operator))
        out = sys.stdout.buffer
        with Progress("records") as progress:
            if format.header():
                out.write(format.header() + b"\n")
            async for record in export_records(stores.trail, query):
                out.write(format.line(record) + b"\n")
                progress.add()
            out.flush()
    return 0


async def _hash(settings: Settings, value: str) -> int:
    async with at_the_command_line(settings) as stores:
        print(keyed_hash(stores.audit.hash_key, value))
    return 0
