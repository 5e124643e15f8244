"""The command line: `gateway`, also `python -m gateway`. Each command group lives in a file of its own.

Modules of commands are imported when they run: a help text must not cost the start of a server.
"""

import errno
import os
import sys
import traceback
from enum import StrEnum
from typing import Annotated, Final, Protocol, cast

import typer

from gateway import __version__
from gateway.cli.options import DatabaseUrl, DataDir, Policies, Upstreams, run
from gateway.cli.words_audit import audit
from gateway.cli.words_blocks import blocks
from gateway.cli.words_clients import clients
from gateway.cli.words_crypto_keys import crypto_keys
from gateway.cli.words_invites import invites
from gateway.cli.words_keys import keys
from gateway.cli.words_rekey import rekey
from gateway.cli.words_signing_keys import signing_keys
from gateway.cli.words_users import users

app = typer.Typer(
    name="gateway",
    help="A policy enforcement point in front of your services.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(users, name="users")
app.add_typer(invites, name="invites")
app.add_typer(clients, name="clients")
app.add_typer(keys, name="keys")
app.add_typer(signing_keys, name="signing-keys")
app.add_typer(crypto_keys, name="crypto-keys")
app.command("rekey", epilog="Example: gateway rekey")(rekey)
app.add_typer(blocks, name="blocks")
app.add_typer(audit, name="audit")


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


_UsageError: Final = cast("type[Exception]", typer.BadParameter.__mro__[1])
"""Whatever is wrong with a command line; this is the one kind of it that typer exports."""
_NOT_WRITTEN: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What a full or broken disk says, behind stdout or anywhere else."""


def main() -> None:
    """Run the command line; never ends in a traceback."""
    try:
        code = app(prog_name="gateway", standalone_mode=False)
        # Here, where it can still be said that what was printed has not arrived.
        print(end="", flush=True)
        sys.exit(code if isinstance(code, int) else 0)
    except _UsageError as error:
        _explain_usage(cast("_UsageFlaw", error))
        sys.exit(2)
    except typer.Abort:
        print("gateway: aborted", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output has gone (`| head`).
        _drop_output()
        sys.exit(0)
    except Exception as error:  # noqa: BLE001 - the outer net: one sentence, never a traceback
        if isinstance(error, OSError) and error.errno in _NOT_WRITTEN:
            print(f"gateway: not everything could be written: {error.strerror}", file=sys.stderr)
            _drop_output()
            sys.exit(1)
        print(f"gateway: this is a bug: {type(error).__name__}: {error}", file=sys.stderr)
        if os.environ.get("GATEWAY_LOG_LEVEL") == "debug":
            traceback.print_exc()
        else:
            print("gateway: GATEWAY_LOG_LEVEL=debug shows where", file=sys.stderr)
        sys.exit(1)


def _drop_output() -> None:
    """Point stdout elsewhere, or its flush at the end of the process complains."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _UsageFlaw(Protocol):
    """As much of `_UsageError` as is told."""

    @property
    def ctx(self) -> typer.Context | None:
        """Of the command that was meant."""

    def format_message(self) -> str:
        """Return what is wrong."""


def _explain_usage(error: _UsageFlaw) -> None:
    """Say in one sentence what is wrong with a command line, and where to read how it is written."""
    message = " ".join(error.format_message().replace("Value error, ", "").split()).rstrip(".")
    # Empty: a group of commands without one of them has shown its help.
    if message:
        where = "gateway" if error.ctx is None else error.ctx.command_path
        told = f"{message[0].lower()}{message[1:]}"
        print(f"gateway: {told}; `{where} --help` says more", file=sys.stderr)


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

    run(
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

    run(command, listen=listen, admin_listen=admin_listen, data_dir=data_dir)


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

    run(
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

    run(lambda settings: command(settings, grant=grant), data_dir=data_dir, database_url=database_url)
