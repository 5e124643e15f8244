"""`gateway users`: the gateway's own users, from the command line of its machine."""

from collections.abc import Sequence

from gateway.accounts import AccountRefusal, AccountRules
from gateway.assembly import at_the_command_line
from gateway.cli.listing import Row, print_row, print_rows, time_text
from gateway.cli.passwords import read_password
from gateway.cli.policy_in_force import policy_in_force, unknown_name
from gateway.cli.refusals import FAILED, USAGE, complain, explain_refusal, run_command
from gateway.operations import (
    EraseLater,
    create_user,
    delete_user,
    list_users,
    operator_at_the_command_line,
    show_user,
)
from gateway.ports import User
from gateway.settings import Settings

LEAST_LENGTH = 12
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
    """Make a verified account and print it; return the exit code. Raise `StartRefused`."""
    policy = policy_in_force(settings)
    if policy is not None:
        unknown = unknown_name("role", roles, policy.roles.names)
        if unknown is not None:
            complain(unknown)
            return FAILED
    rules = None if policy is None else policy.accounts
    password = read_password(from_stdin=password_stdin)
    if password is None:
        return USAGE
    return run_command(
        _create(
            settings,
            name,
            email=email,
            roles=frozenset(roles),
            password=password,
            rules=rules,
            output=output,
        )
    )


def list_all(settings: Settings, *, output: str) -> int:
    """Print every account, by name; return the exit code. Raise `StartRefused`."""
    return run_command(_list(settings, output))


def show(settings: Settings, name: str, *, output: str) -> int:
    """Print one account and what belongs to it; return the exit code. Raise `StartRefused`."""
    return run_command(_show(settings, name, output))


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
    rules: AccountRules | None,
    output: str,
) -> int:
    async with at_the_command_line(settings) as stores:
        made = await create_user(
            stores.registrar,
            username=name,
            email=email,
            password=password,
            roles=roles,
            min_length=LEAST_LENGTH if rules is None else rules.password_min_length,
            rejects_common=rules is not None and rules.rejects_common,
            operator=operator_at_the_command_line(),
        )
    if isinstance(made, AccountRefusal):
        return explain_refusal(made)
    print_row(user_row(made), output=output)
    return 0


async def _list(settings: Settings, output: str) -> int:
    async with at_the_command_line(settings) as stores:
        users = await list_users(stores.users)
    print_rows([user_row(user) for user in users], output=output, empty="There are no users.")
    return 0


async def _show(settings: Settings, name: str, output: str) -> int:
    async with at_the_command_line(settings) as stores:
        shown = await show_user(
            stores.users, stores.sessions, stores.api_keys, stores.factors, stores.clock, name=name
        )
    if isinstance(shown, AccountRefusal):
        return explain_refusal(shown)
    used = max((session.last_used_at for session in shown.sessions), default=None)
    row: Row = {
        **user_row(shown.user),
        "second_factor": shown.has_second_factor,
        "sessions": [session.id for session in shown.sessions],
        "last_used_at": time_text(used),
        "keys": [key.id for key in shown.keys],
    }
    print_row(row, output=output)
    return 0


async def _delete(settings: Settings, name: str, *, erase: bool, output: str) -> int:
    async with at_the_command_line(settings) as stores:
        try:
            deleted = await delete_user(
                stores.users,
                stores.mailing,
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
        return explain_refusal(deleted)
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


def user_row(user: User) -> Row:
    """Return an account as commands print it."""
    return {
        "id": user.id,
        "username": user.username,
        "email": user.email,
        "roles": sorted(user.roles),
        "created_at": time_text(user.created_at),
        "verified": user.verified_at is not None,
        "disabled": user.disabled_at is not None,
    }
