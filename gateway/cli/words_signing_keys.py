"""The words of `gateway signing-keys`."""

from typing import Annotated

import typer

from gateway.cli.options import DatabaseUrl, DataDir, Format, run

signing_keys = typer.Typer(help="Keys that sign tokens.", no_args_is_help=True)


@signing_keys.command("list", epilog="Example: gateway signing-keys list")
def signing_keys_list(
    format: Annotated[Format, typer.Option(help="How the keys are printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """List the keys that are published, the newest first: next, active and retired ones."""
    from gateway.cli.signing_keys import list_all as command

    run(lambda settings: command(settings, output=format.value), data_dir=data_dir, database_url=database_url)


@signing_keys.command("rotate", epilog="Example: gateway signing-keys rotate")
def signing_keys_rotate(
    now: Annotated[
        bool, typer.Option("--now", help="Sign with it at once, rather than in a quarter of an hour.")
    ] = False,
    format: Annotated[Format, typer.Option(help="How the key is printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Make the next key. Tokens of the keys before it stay good. The gateway does it by itself every 90
    days."""
    from gateway.cli.signing_keys import rotate as command

    run(
        lambda settings: command(settings, now=now, output=format.value),
        data_dir=data_dir,
        database_url=database_url,
    )


@signing_keys.command("revoke", epilog="Example: gateway signing-keys revoke Zx0w3qY")
def signing_keys_revoke(
    kid: Annotated[str, typer.Argument(help="Id of the key, as `gateway signing-keys list` shows it.")],
    format: Annotated[Format, typer.Option(help="How the answer is printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """End a key that somebody else may have, and every token that it signed, within a second. Another key
    signs in its place; users refresh, or log in again."""
    from gateway.cli.signing_keys import revoke as command

    run(
        lambda settings: command(settings, kid, output=format.value),
        data_dir=data_dir,
        database_url=database_url,
    )
