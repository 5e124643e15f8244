"""The words of `gateway users`."""

from typing import Annotated

import typer

from gateway.cli.options import DatabaseUrl, DataDir, Format, Policies, run

users = typer.Typer(help="The gateway's own users.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="User name, e-mail address or id.")]


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

    run(
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

    run(lambda settings: command(settings, output=format.value), data_dir=data_dir, database_url=database_url)


@users.command("show", epilog="Example: gateway users show alice")
def users_show(
    name: Name,
    format: Annotated[Format, typer.Option(help="How the account is printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Show one account, and what belongs to it; never its secrets."""
    from gateway.cli.users import show as command

    run(
        lambda settings: command(settings, name, output=format.value),
        data_dir=data_dir,
        database_url=database_url,
    )


@users.command("set-roles", epilog="Example: gateway users set-roles alice --role support --role finance")
def users_set_roles(
    name: Name,
    role: Annotated[
        list[str] | None, typer.Option(help="A role of the policy that the user is to have; may be repeated.")
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="Take every role away.")] = False,
    format: Annotated[Format, typer.Option(help="How the account is printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    policies: Policies = None,
) -> None:
    """Replace a user's roles. Older access tokens are dead within a second; refresh gives the new roles."""
    from gateway.cli.user_changes import roles as command

    run(
        lambda settings: command(settings, name, roles=role or [], none=none, output=format.value),
        data_dir=data_dir,
        database_url=database_url,
        policies=policies,
    )


@users.command("set-password", epilog="Example: gateway users set-password alice --password-stdin < password")
def users_set_password(
    name: Name,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    format: Annotated[Format, typer.Option(help="How the account is printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    policies: Policies = None,
) -> None:
    """Replace a user's password; all sessions end within a second, and a mail tells the user."""
    from gateway.cli.user_changes import password as command

    run(
        lambda settings: command(settings, name, password_stdin=password_stdin, output=format.value),
        data_dir=data_dir,
        database_url=database_url,
        policies=policies,
    )


@users.command("disable", epilog="Example: gateway users disable alice")
def users_disable(
    name: Name,
    format: Annotated[Format, typer.Option(help="How the account is printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Shut a user out: sessions, tokens and keys are of no use within a second."""
    from gateway.cli.user_changes import disable as command

    run(
        lambda settings: command(settings, name, output=format.value),
        data_dir=data_dir,
        database_url=database_url,
    )


@users.command("enable", epilog="Example: gateway users enable alice")
def users_enable(
    name: Name,
    format: Annotated[Format, typer.Option(help="How the account is printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Let a disabled user in again."""
    from gateway.cli.user_changes import enable as command

    run(
        lambda settings: command(settings, name, output=format.value),
        data_dir=data_dir,
        database_url=database_url,
    )


@users.command("delete", epilog="Example: gateway users delete alice --erase")
def users_delete(
    name: Name,
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

    run(
        lambda settings: command(settings, name, erase=erase, output=format.value),
        data_dir=data_dir,
        database_url=database_url,
    )


@users.command("reset-mfa", epilog="Example: gateway users reset-mfa alice")
def users_reset_mfa(
    name: Name,
    format: Annotated[Format, typer.Option(help="How the answer is printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Remove a user's second factor and recovery codes; the password alone is enough then."""
    from gateway.cli.second_factor import reset as command

    run(
        lambda settings: command(settings, name, output=format.value),
        data_dir=data_dir,
        database_url=database_url,
    )
