"""The words of `gateway rekey`."""

from typing import Annotated

import typer

from gateway.cli.options import DatabaseUrl, DataDir, Format, fail, run


def rekey(
    new_secret_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="The new master secret; `-` reads standard input. Default: a random one, where the present "
            "one is in the data directory.",
        ),
    ] = None,
    keep_old: Annotated[
        bool,
        typer.Option("--keep-old", help="Have the old one open everything too, until this is run without."),
    ] = False,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="Undo a change that has begun, and is not finished.")
    ] = False,
    format: Annotated[Format, typer.Option(help="How the outcome is printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Change the master secret. Gateways go on meanwhile, without a restart. Cut off at any moment, the same
    command goes on."""
    from gateway.cli.rekey import cancel as undo
    from gateway.cli.rekey import rekey as command

    if cancel and (new_secret_file is not None or keep_old):
        fail("--cancel goes with no other option: it undoes what has begun")
    run(
        lambda settings: (
            undo(settings, output=format.value)
            if cancel
            else command(settings, new_secret_file=new_secret_file, keep_old=keep_old, output=format.value)
        ),
        data_dir=data_dir,
        database_url=database_url,
    )
