"""The words of `gateway audit`."""

from enum import StrEnum
from typing import Annotated, Final

import typer

from gateway.cli.options import DatabaseUrl, DataDir, Format, run

audit = typer.Typer(help="The audit trail.", no_args_is_help=True)

Filter = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILTER",
        help="What a record must meet: FIELD:VALUE, or -FIELD:VALUE for what must not be.",
    ),
]
Since = Annotated[str | None, typer.Option(help="Not older: 1h, 7d, or a time of RFC 3339.")]
Until = Annotated[str | None, typer.Option(help="Older than this.")]
# What is not wanted begins with a hyphen, as options do; the filter refuses what is neither.
FILTERED: Final = {"ignore_unknown_options": True}


class ExportFormat(StrEnum):
    """How records are written for others."""

    jsonl = "jsonl"
    csv = "csv"
    ocsf = "ocsf"
    ecs = "ecs"
    cef = "cef"


@audit.command(
    "list",
    epilog="Example: gateway audit list decision:deny 'status:>=500' since:1h",
    context_settings=FILTERED,
)
def audit_list(
    filter: Filter = None,
    since: Since = None,
    until: Until = None,
    actor: Annotated[str | None, typer.Option(help="Id or name of who asked.")] = None,
    decision: Annotated[str | None, typer.Option(help="allow or deny.")] = None,
    route: Annotated[str | None, typer.Option(help="Id of a route.")] = None,
    request_id: Annotated[str | None, typer.Option(help="X-Request-Id of an answer.")] = None,
    kind: Annotated[str | None, typer.Option(help="decision, completion or event.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1)] = 50,
    cursor: Annotated[
        str | None, typer.Option(help="Where the last page ended: TIME/WRITER/SEQ of its last record.")
    ] = None,
    format: Annotated[Format, typer.Option(help="How the records are printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """List records, newest first. The reading is recorded too."""
    from gateway.cli.audit import list_ as command

    run(
        lambda settings: command(
            settings,
            filter or [],
            since=since,
            until=until,
            actor=actor,
            decision=decision,
            route=route,
            request_id=request_id,
            kind=kind,
            limit=limit,
            cursor=cursor,
            output=format.value,
        ),
        data_dir=data_dir,
        database_url=database_url,
    )


@audit.command("tail", epilog="Example: gateway audit tail decision:deny", context_settings=FILTERED)
def audit_tail(
    filter: Filter = None,
    format: Annotated[Format, typer.Option(help="How the records are printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Print the last records that match, then each new one, until Ctrl-C."""
    from gateway.cli.audit import tail as command

    run(
        lambda settings: command(settings, filter or [], output=format.value),
        data_dir=data_dir,
        database_url=database_url,
    )


@audit.command(
    "export",
    epilog="Example: gateway audit export --as csv route:orders since:7d > orders.csv",
    context_settings=FILTERED,
)
def audit_export(
    filter: Filter = None,
    as_: Annotated[ExportFormat, typer.Option("--as", help="How they are written.")] = ExportFormat.jsonl,
    since: Since = None,
    until: Until = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Print all records that match, oldest first, one a line. The reading is recorded too."""
    from gateway.cli.audit_export import export as command

    run(
        lambda settings: command(settings, filter or [], format=as_.value, since=since, until=until),
        data_dir=data_dir,
        database_url=database_url,
    )


@audit.command("hash", epilog="Example: gateway audit hash < value")
def audit_hash(data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Print what stands in records for a value whose field is hashed. The value comes from standard input."""
    from gateway.cli.audit_export import hash_ as command

    run(command, data_dir=data_dir, database_url=database_url)


@audit.command("verify", epilog="Example: gateway audit verify --checkpoints /mnt/elsewhere/checkpoints.txt")
def audit_verify(
    checkpoints: Annotated[
        str | None,
        typer.Option(
            help="A file of the checkpoints as they were kept elsewhere; default: those of this machine that "
            "GATEWAY_AUDIT_CHECKPOINTS names."
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            help="A file of the keys they are signed with, the oldest first, when those are not this "
            "installation's."
        ),
    ] = None,
    show_key: Annotated[
        bool, typer.Option("--show-key", help="Print the keys of this installation, and check nothing.")
    ] = False,
    format: Annotated[Format, typer.Option(help="How the findings are printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Check that no record was changed, removed or moved: exit 0 whole, 1 findings, 2 unreadable."""
    from gateway.cli.audit_verify import verify as command

    run(
        lambda settings: command(
            settings, checkpoints=checkpoints, key=key, show_key=show_key, output=format.value
        ),
        data_dir=data_dir,
        database_url=database_url,
    )


@audit.command("prune", epilog="Example: gateway audit prune --before 400d")
def audit_prune(
    before: Annotated[
        str | None, typer.Option(help="Older than so many days, as in 400d; default: GATEWAY_AUDIT_KEEP.")
    ] = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Remove the oldest days of the trail. The gateway does it by itself where its database role may."""
    from gateway.cli.audit_prune import prune as command

    run(lambda settings: command(settings, before=before), data_dir=data_dir, database_url=database_url)
