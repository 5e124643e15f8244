"""`gateway users`: the gateway's own users, from the command line of its machine."""

import getpass
import sys
from collections.abc import Sequence

from gateway.accounts import AccountRefusal
from gateway.assembly import at_the_command_line
from gateway.cli.listing import Row, print_row, print_rows, time_text
from gateway.cli.policy_in_force import policy_in_force, unknown_name
from gateway.cli.refusals import FAILED, USAGE, complain, explain_refusal, run_command
from gateway.operations import (
    EraseLater,
    create_user,
    delete_user,
    list_users,
    operator_at_the_command_line,
)
from gateway.ports import User
from gateway.settings import Settings

_LEAST_LENGTH = 12
"""Characters of a password where no policy says another number: its default there."""


def create(
    settings: Settings,
    name: str,
    *,
    email: str | None,
    roles: Sequence[str],
    password_stdin: bool,
    output: str,
) -> int:
    """Make a verified account and print it; return the exit code. Raise `StartRefused`.

    The password is read from stdin, or asked for twice on a terminal; never from an argument, which other
    users of the machine could read.
    """
    policy = policy_in_force(settings)
    if policy is not None:
        unknown = unknown_name("role", roles, policy.roles.names)
        if unknown is not None:
            complain(unknown)
            return FAILED
    rules = None if policy is None else policy.accounts
    password = _password(from_stdin=password_stdin)
    if password is None:
        return USAGE
    least = _LEAST_LENGTH if rules is None else rules.password_min_length
    return run_command(
        _create(
            settings,
            name,
            email=email,
            roles=frozenset(roles),
            password=password,
            least=least,
            output=output,
        )
    )


def list_all(settings: Settings, *, output: str) -> int:
    """Print every account, by name; return the exit code. Raise `StartRefused`."""
    return run_command(_list(settings, output))


def delete(settings: Settings, name: str, *, erase: bool, output: str) -> int:
    """Remove an account with its sessions and keys, in every running process; with `erase`, what the audit
    trail says of the person too. Return the exit code. Raise `StartRefused`."""
    return run_command(_delete(settings, name, erase=erase, output=output))


async def _create(
    settings: Settings,
    name: str,
    *,
    email: str | None,
    roles: frozenset[str],
    password: str,
    least: int,
    output: str,
) -> int:
    async with at_the_command_line(settings) as stores:
        made = await create_user(
            stores.registrar,
            username=name,
            email=email,
            password=password,
            roles=roles,
            min_length=least,
            operator=operator_at_the_command_line(),
        )
    if isinstance(made, AccountRefusal):
        explain_refusal(made)
        return FAILED
    print_row(_row(made), output=output)
    return 0


async def _list(settings: Settings, output: str) -> int:
    async with at_the_command_line(settings) as stores:
        users = await list_users(stores.users)
    print_rows([_row(user) for user in users], output=output, empty="There are no users.")
    return 0


async def _delete(settings: Settings, name: str, *, erase: bool, output: str) -> int:
    async with at_the_command_line(settings) as stores:
        try:
            deleted = await delete_user(
                stores.users,
                stores.audit.erasure,
                stores.events,
                stores.clock,
                name=name,
                erase=erase,
                operator=operator_at_the_command_line(),
            )
        except EraseLater as later:
            complain(
                f"the user is deleted, but what the audit trail says of it could not be erased: {later}; "
                f"`gateway users delete {later.id} --erase` does that"
            )
            return FAILED
    if isinstance(deleted, AccountRefusal):
        explain_refusal(deleted)
        return FAILED
    print_row(
        {
            "id": deleted.id,
            "username": deleted.username,
            "state": "deleted" if deleted.username is not None else "deleted before",
            "erased": deleted.erased,
        },
        output=output,
    )
    return 0


def _row(user: User) -> Row:
    return {
        "id": user.id,
        "username": user.username,
        "email": user.email,
        "roles": sorted(user.roles),
        "created_at": time_text(user.created_at),
        "verified": user.verified_at is not None,
        "disabled": user.disabled_at is not None,
    }


def _password(*, from_stdin: bool) -> str | None:
    """Return the password, None after saying why there is none."""
    if from_stdin:
        return _from_stdin()
    if not sys.stdin.isatty():
        complain(
            "there is no terminal to ask for the password on: write it to stdin and add --password-stdin"
        )
        return None
    try:
        password = getpass.getpass("Password: ")
        again = getpass.getpass("Once more: ")
    except EOFError:
        complain("no password was given")
        return None
    if password != again:
        complain("the two passwords differ")
        return None
    return password


def _from_stdin() -> str | None:
    try:
        text = sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError:
        complain("the password on stdin is not UTF-8")
        return None
    # One line break at the end is the shell's; anything else belongs to the password, or is a mistake.
    password = text.removesuffix("\n").removesuffix("\r")
    if "\n" in password:
        complain("the password on stdin has more than one line")
        return None
    return password
