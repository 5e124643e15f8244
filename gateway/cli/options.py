"""What the words of all commands share: common options, and how a command is run.

Modules of commands are imported when they run: a help text must not cost the start of a server.
"""

import os
import sys
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, NoReturn

import typer

from gateway.settings import Settings, SettingsError, load_settings

Upstreams = Annotated[str | None, typer.Option(help="The file that says where services are.")]
Policies = Annotated[str | None, typer.Option(help="The file that says who may, and how often.")]
DataDir = Annotated[str | None, typer.Option(help="Directory of spool, SQLite file and secret.")]
DatabaseUrl = Annotated[str | None, typer.Option(help="Database: sqlite:///PATH or postgresql://...")]


class Format(StrEnum):
    """How a command prints data."""

    text = "text"
    json = "json"


def run(command: Callable[[Settings], int], **flags: str | None) -> NoReturn:
    """Load the settings, run a command with them, and end with its exit code."""
    try:
        settings = load_settings(os.environ, flags)
    except SettingsError as error:
        fail(str(error))
    from gateway.assembly import StartRefused, StoreAway

    try:
        code = command(settings)
    except StoreAway as away:
        fail(str(away), code=1)
    except StartRefused as refused:
        fail(str(refused))
    raise typer.Exit(code)


def fail(message: str, *, code: int = 2) -> NoReturn:
    """End with one sentence to standard error."""
    print(f"gateway: {message}", file=sys.stderr)
    raise typer.Exit(code)
