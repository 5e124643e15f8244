"""The words of `gateway clients`."""

from typing import Annotated

import typer

from gateway.cli.options import DatabaseUrl, DataDir, Format, Policies, run

clients = typer.Typer(help="OAuth clients for machines.", no_args_is_help=True)

JwkFile = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="The client's public key, with which responses are encrypted for it: a JSON Web Key on P-256, "
        "P-384, P-521 or X25519; `-` reads standard input.",
    ),
]


@clients.command("create", epilog="Example: gateway clients create billing --role support")
def clients_create(
    name: Annotated[str, typer.Argument(help="What the client is; unique.")],
    role: Annotated[list[str] | None, typer.Option(help="A role of the policy; may be repeated.")] = None,
    jwk_file: JwkFile = None,
    format: Annotated[Format, typer.Option(help="How the client is printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    policies: Policies = None,
) -> None:
    """Make a client. Its secret is shown once."""
    from gateway.cli.clients import create as command

    run(
        lambda settings: command(settings, name, roles=role or [], jwk_file=jwk_file, output=format.value),
        data_dir=data_dir,
        database_url=database_url,
        policies=policies,
    )


@clients.command("list", epilog="Example: gateway clients list")
def clients_list(
    format: Annotated[Format, typer.Option(help="How the clients are printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """List every client, newest first; never their secrets."""
    from gateway.cli.clients import list_all as command

    run(lambda settings: command(settings, output=format.value), data_dir=data_dir, database_url=database_url)


@clients.command("rotate", epilog="Example: gateway clients rotate billing --overlap 24h")
def clients_rotate(
    client: Annotated[str, typer.Argument(help="Name or id of the client.")],
    overlap: Annotated[
        str, typer.Option(help="How long the secret before it stays good, as in 24h; 0s: not at all.")
    ] = "24h",
    format: Annotated[Format, typer.Option(help="How the client is printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Give a client a new secret, which is shown once. Tokens that it has stay good."""
    from gateway.cli.clients import rotate as command

    run(
        lambda settings: command(settings, client, overlap=overlap, output=format.value),
        data_dir=data_dir,
        database_url=database_url,
    )


@clients.command("set-jwk", epilog="Example: gateway clients set-jwk billing --jwk-file billing.jwk")
def clients_set_jwk(
    client: Annotated[str, typer.Argument(help="Name or id of the client.")],
    jwk_file: JwkFile = None,
    none: Annotated[
        bool, typer.Option("--none", help="Take the key away: what would be encrypted with it is refused.")
    ] = False,
    format: Annotated[Format, typer.Option(help="How the client is printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Give a client another public key, or none, in every running process within a second."""
    from gateway.cli.clients import set_jwk as command

    run(
        lambda settings: command(settings, client, jwk_file=jwk_file, none=none, output=format.value),
        data_dir=data_dir,
        database_url=database_url,
    )


@clients.command("revoke", epilog="Example: gateway clients revoke billing")
def clients_revoke(
    client: Annotated[str, typer.Argument(help="Name or id of the client.")],
    format: Annotated[Format, typer.Option(help="How the answer is printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """End a client with its sessions and tokens, in every running process within a second."""
    from gateway.cli.clients import revoke as command

    run(
        lambda settings: command(settings, client, output=format.value),
        data_dir=data_dir,
        database_url=database_url,
    )
