"""The words of `gateway blocks`."""

from typing import Annotated

import typer

from gateway.cli.options import DatabaseUrl, DataDir, Format, run

blocks = typer.Typer(help="Blocked addresses.", no_args_is_help=True)

Address = Annotated[str, typer.Argument(help="The address; one of IPv6 stands for its /64.")]


@blocks.command("list", epilog="Example: gateway blocks list")
def blocks_list(
    format: Annotated[Format, typer.Option(help="How the blocks are printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """List who is blocked, newest first."""
    from gateway.cli.blocks import list_all as command

    run(lambda settings: command(settings, output=format.value), data_dir=data_dir, database_url=database_url)


@blocks.command("add", epilog="Example: gateway blocks add 203.0.113.7 --for 2d --reason 'scans every path'")
def blocks_add(
    address: Address,
    lasts: Annotated[
        str | None, typer.Option("--for", help="How long, as in 1h or 7d; default: until it is removed.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for operators.")] = "by hand",
    format: Annotated[Format, typer.Option(help="How the block is printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Shut an address out of everything, in every running process within a second."""
    from gateway.cli.blocks import add as command

    run(
        lambda settings: command(settings, address, lasts=lasts, reason=reason, output=format.value),
        data_dir=data_dir,
        database_url=database_url,
    )


@blocks.command("remove", epilog="Example: gateway blocks remove 203.0.113.7")
def blocks_remove(
    address: Address,
    format: Annotated[Format, typer.Option(help="How the answer is printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Let an address in again, in every running process within a second."""
    from gateway.cli.blocks import remove as command

    run(
        lambda settings: command(settings, address, output=format.value),
        data_dir=data_dir,
        database_url=database_url,
    )
