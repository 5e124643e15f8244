"""The words of `gateway keys`."""

from typing import Annotated

import typer

from gateway.cli.options import DatabaseUrl, DataDir, Format, Policies, run

keys = typer.Typer(help="API keys.", no_args_is_help=True)


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
    network: Annotated[
        list[str] | None,
        typer.Option(
            help="Where it may be used from, as in 203.0.113.0/24; may be repeated. Default: anywhere."
        ),
    ] = None,
    format: Annotated[Format, typer.Option(help="How the key is printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    policies: Policies = None,
) -> None:
    """Issue an API key. It is shown once."""
    from gateway.cli.keys import create as command

    run(
        lambda settings: command(
            settings,
            name,
            user=user,
            scopes=scope or [],
            expires=expires,
            networks=network or [],
            output=format.value,
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

    run(lambda settings: command(settings, output=format.value), data_dir=data_dir, database_url=database_url)


@keys.command("rotate", epilog="Example: gateway keys rotate key_01ABC --overlap 24h")
def keys_rotate(
    id: Annotated[str, typer.Argument(help="Id of the key, as `gateway keys list` shows it.")],
    overlap: Annotated[
        str, typer.Option(help="How long the secret before it stays good, as in 24h; 0s: not at all.")
    ] = "24h",
    format: Annotated[Format, typer.Option(help="How the key is printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Give a key a new secret, which is shown once. The key keeps its id, scopes and end."""
    from gateway.cli.keys import rotate as command

    run(
        lambda settings: command(settings, id, overlap=overlap, output=format.value),
        data_dir=data_dir,
        database_url=database_url,
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

    run(
        lambda settings: command(settings, id, output=format.value),
        data_dir=data_dir,
        database_url=database_url,
    )
