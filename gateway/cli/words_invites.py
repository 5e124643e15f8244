"""The words of `gateway invites`."""

from typing import Annotated

import typer

from gateway.cli.options import DatabaseUrl, DataDir, Format, Policies, run

invites = typer.Typer(help="Invitations to register.", no_args_is_help=True)


@invites.command(
    "create", epilog="Example: gateway invites create --role support --email alice@example.com --expires 7d"
)
def invites_create(
    role: Annotated[
        list[str] | None,
        typer.Option(help="A role of the new account; may be repeated. Default: those of the policy."),
    ] = None,
    email: Annotated[str | None, typer.Option(help="The only address it is good for; default: any.")] = None,
    expires: Annotated[str, typer.Option(help="How long it may be used, as in 7d.")] = "7d",
    format: Annotated[Format, typer.Option(help="How the invitation is printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    policies: Policies = None,
) -> None:
    """Make an invitation for one account. Its code is shown once."""
    from gateway.cli.invites import create as command

    run(
        lambda settings: command(
            settings, roles=role or [], email=email, expires=expires, output=format.value
        ),
        data_dir=data_dir,
        database_url=database_url,
        policies=policies,
    )


@invites.command("list", epilog="Example: gateway invites list")
def invites_list(
    format: Annotated[Format, typer.Option(help="How the invitations are printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """List every invitation, newest first; never their codes."""
    from gateway.cli.invites import list_all as command

    run(lambda settings: command(settings, output=format.value), data_dir=data_dir, database_url=database_url)


@invites.command("revoke", epilog="Example: gateway invites revoke inv_01abc")
def invites_revoke(
    id: Annotated[str, typer.Argument(help="Id of the invitation, as `gateway invites list` shows it.")],
    format: Annotated[Format, typer.Option(help="How the answer is printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """End an invitation that nobody has used."""
    from gateway.cli.invites import revoke as command

    run(
        lambda settings: command(settings, id, output=format.value),
        data_dir=data_dir,
        database_url=database_url,
    )
