"""The command line: `gateway`, also `python -m gateway`. Each command group lives in a file of its own.

Modules of commands are imported when they run: a help text must not cost the start of a server.
"""

import os
import sys
import traceback
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Final, NoReturn

import typer

from gateway import __version__
from gateway.settings import Settings, SettingsError, load_settings

app = typer.Typer(
    name="gateway",
    help="A policy enforcement point in front of your services.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
users = typer.Typer(help="The gateway's own users.", no_args_is_help=True)
keys = typer.Typer(help="API keys.", no_args_is_help=True)
audit = typer.Typer(help="The audit trail.", no_args_is_help=True)
app.add_typer(users, name="users")
app.add_typer(keys, name="keys")
app.add_typer(audit, name="audit")

Upstreams = Annotated[str | None, typer.Option(help="The file that says where services are.")]
Policies = Annotated[str | None, typer.Option(help="The file that says who may, and how often.")]
DataDir = Annotated[str | None, typer.Option(help="Directory of spool, SQLite file and secret.")]
DatabaseUrl = Annotated[str | None, typer.Option(help="Database: sqlite:///PATH or postgresql://...")]


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


class Format(StrEnum):
    """How a command prints data."""

    text = "text"
    json = "json"


class FindingFormat(StrEnum):
    """How findings are printed."""

    text = "text"
    json = "json"
    github = "github"
    sarif = "sarif"


class Which(StrEnum):
    """One of the two files."""

    policies = "policies"
    upstreams = "upstreams"


def main() -> None:
    """Run the command line; never ends in a traceback."""
    try:
        app(prog_name="gateway")
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): point stdout elsewhere, or its flush complains.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:  # noqa: BLE001 - the outer net: one sentence, never a traceback
        print(f"gateway: this is a bug: {type(error).__name__}: {error}", file=sys.stderr)
        if os.environ.get("GATEWAY_LOG_LEVEL") == "debug":
            traceback.print_exc()
        else:
            print("gateway: GATEWAY_LOG_LEVEL=debug shows where", file=sys.stderr)
        sys.exit(1)


def _run(command: Callable[[Settings], int], **flags: str | None) -> NoReturn:
    try:
        settings = load_settings(os.environ, flags)
    except SettingsError as error:
        _fail(str(error))
    from gateway.assembly import StartRefused, StoreAway

    try:
        code = command(settings)
    except StoreAway as away:
        _fail(str(away), code=1)
    except StartRefused as refused:
        _fail(str(refused))
    raise typer.Exit(code)


def _fail(message: str, *, code: int = 2) -> NoReturn:
    print(f"gateway: {message}", file=sys.stderr)
    raise typer.Exit(code)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"gateway {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take the options before the command."""


@app.command(epilog="Example: gateway serve --policies policies.yaml --upstreams upstreams.yaml")
def serve(
    upstreams: Upstreams = None,
    policies: Policies = None,
    listen: Annotated[str | None, typer.Option(help="Clients' listener, as in 127.0.0.1:8000.")] = None,
    admin_listen: Annotated[str | None, typer.Option(help="Operators' listener.")] = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    redis_url: Annotated[str | None, typer.Option(help="Counters: memory:// or redis://...")] = None,
    workers: Annotated[str | None, typer.Option(help="Processes, or auto: one for each core.")] = None,
) -> None:
    """Run the gateway."""
    from gateway.cli.serve import serve as command

    _run(
        command,
        upstreams=upstreams,
        policies=policies,
        listen=listen,
        admin_listen=admin_listen,
        data_dir=data_dir,
        database_url=database_url,
        redis_url=redis_url,
        workers=workers,
    )


@app.command(epilog="Example: gateway demo")
def demo(
    listen: Annotated[str | None, typer.Option(help="Clients' listener, as in 127.0.0.1:8000.")] = None,
    admin_listen: Annotated[str | None, typer.Option(help="Operators' listener.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Run the gateway in front of a small real service, with users to try it."""
    from gateway.cli.demo import demo as command

    _run(command, listen=listen, admin_listen=admin_listen, data_dir=data_dir)


@app.command(epilog="Example: gateway check --format github")
def check(
    policies: Policies = None,
    upstreams: Upstreams = None,
    strict: Annotated[bool, typer.Option(help="Warnings too make it fail.")] = False,
    no_secrets: Annotated[bool, typer.Option("--no-secrets", help="Do not read secret files.")] = False,
    format: Annotated[FindingFormat, typer.Option(help="How findings are printed.")] = FindingFormat.text,
) -> None:
    """Validate both files and their references: exit 0 fine, 1 findings, 2 unreadable."""
    from gateway.cli.check import check as command

    _run(
        lambda settings: command(
            settings.policies, settings.upstreams, strict=strict, no_secrets=no_secrets, output=format.value
        ),
        policies=policies,
        upstreams=upstreams,
    )


@app.command(epilog="Example: gateway schema policies > schemas/policies-v1.json")
def schema(which: Annotated[Which, typer.Argument(help="Which file's schema.")]) -> None:
    """Print the JSON Schema of one of the two files, for editors."""
    from gateway.cli.schema import schema as command

    raise typer.Exit(command(which.value))


@app.command(epilog="Example: gateway migrate --grant gateway")
def migrate(
    grant: Annotated[
        str | None,
        typer.Option(
            metavar="ROLE", help="Give a role of PostgreSQL the least that a gateway needs, and no more."
        ),
    ] = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Create the database schema, or bring it up to date. Every other command does it too."""
    from gateway.cli.migrate import migrate as command

    _run(lambda settings: command(settings, grant=grant), data_dir=data_dir, database_url=database_url)


@users.command(
    "create", epilog="Example: gateway users create alice --role admin --password-stdin < password"
)
def users_create(
    name: Annotated[str, typer.Argument(help="User name.")],
    email: Annotated[str | None, typer.Option(help="E-mail address; it counts as verified.")] = None,
    role: Annotated[list[str] | None, typer.Option(help="A role of the policy; may be repeated.")] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    format: Annotated[Format, typer.Option(help="How the account is printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    policies: Policies = None,
) -> None:
    """Make a verified account. The password comes from standard input or a prompt, never from an argument."""
    from gateway.cli.users import create as command

    _run(
        lambda settings: command(
            settings,
            name,
            email=email,
            roles=role or [],
            password_stdin=password_stdin,
            output=format.value,
        ),
        data_dir=data_dir,
        database_url=database_url,
        policies=policies,
    )


@users.command("list", epilog="Example: gateway users list --format json")
def users_list(
    format: Annotated[Format, typer.Option(help="How the accounts are printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """List every account, by name."""
    from gateway.cli.users import list_all as command

    _run(
        lambda settings: command(settings, output=format.value), data_dir=data_dir, database_url=database_url
    )


@users.command("delete", epilog="Example: gateway users delete alice --erase")
def users_delete(
    name: Annotated[str, typer.Argument(help="User name, e-mail address or id.")],
    erase: Annotated[
        bool,
        typer.Option(
            "--erase",
            help="Make what the audit trail says of the person unreadable too: names, addresses. For good. "
            "By id, also of a user that was deleted before.",
        ),
    ] = False,
    format: Annotated[Format, typer.Option(help="How the answer is printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Delete a user with its sessions and keys, in every running process within a second."""
    from gateway.cli.users import delete as command

    _run(
        lambda settings: command(settings, name, erase=erase, output=format.value),
        data_dir=data_dir,
        database_url=database_url,
    )


@keys.command(
    "create", epilog="Example: gateway keys create ci --user alice --scope orders:read --expires 90d"
)
def keys_create(
    name: Annotated[str, typer.Argument(help="What the key is for; unique for its owner.")],
    user: Annotated[str, typer.Option(help="Its owner: user name, e-mail address or id.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="Confine it to a scope, within the owner's; may be repeated.")
    ] = None,
    expires: Annotated[str | None, typer.Option(help="Lifetime, as in 90d; default: no end.")] = None,
    format: Annotated[Format, typer.Option(help="How the key is printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    policies: Policies = None,
) -> None:
    """Issue an API key. It is shown once."""
    from gateway.cli.keys import create as command

    _run(
        lambda settings: command(
            settings, name, user=user, scopes=scope or [], expires=expires, output=format.value
        ),
        data_dir=data_dir,
        database_url=database_url,
        policies=policies,
    )


@keys.command("list", epilog="Example: gateway keys list")
def keys_list(
    format: Annotated[Format, typer.Option(help="How the keys are printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """List every key, newest first; never the keys themselves."""
    from gateway.cli.keys import list_all as command

    _run(
        lambda settings: command(settings, output=format.value), data_dir=data_dir, database_url=database_url
    )


@keys.command("revoke", epilog="Example: gateway keys revoke key_01ABC")
def keys_revoke(
    id: Annotated[str, typer.Argument(help="Id of the key, as `gateway keys list` shows it.")],
    format: Annotated[Format, typer.Option(help="How the answer is printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """End a key, in every running process within a second."""
    from gateway.cli.keys import revoke as command

    _run(
        lambda settings: command(settings, id, output=format.value),
        data_dir=data_dir,
        database_url=database_url,
    )


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

    _run(
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

    _run(
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

    _run(
        lambda settings: command(settings, filter or [], format=as_.value, since=since, until=until),
        data_dir=data_dir,
        database_url=database_url,
    )


@audit.command("hash", epilog="Example: gateway audit hash < value")
def audit_hash(data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Print what stands in records for a value whose field is hashed. The value comes from standard input."""
    from gateway.cli.audit_export import hash_ as command

    _run(command, data_dir=data_dir, database_url=database_url)


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
        typer.Option(help="A file of the keys they are signed with, when that is not this installation's."),
    ] = None,
    show_key: Annotated[
        bool, typer.Option("--show-key", help="Print this installation's key, and check nothing.")
    ] = False,
    format: Annotated[Format, typer.Option(help="How the findings are printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Check that no record was changed, removed or moved: exit 0 whole, 1 findings, 2 unreadable."""
    from gateway.cli.audit_verify import verify as command

    _run(
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

    _run(lambda settings: command(settings, before=before), data_dir=data_dir, database_url=database_url)
