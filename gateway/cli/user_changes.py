"""`gateway users set-roles`, `set-password`, `disable`, `enable`: changing accounts from the command line."""

from collections.abc import Sequence

from gateway.accounts import AccountRefusal, AccountRules
from gateway.assembly import at_the_command_line
from gateway.cli.listing import print_row
from gateway.cli.passwords import read_password
from gateway.cli.policy_in_force import policy_in_force, unknown_name
from gateway.cli.refusals import FAILED, USAGE, complain, explain_refusal, run_command
from gateway.cli.users import LEAST_LENGTH, user_row
from gateway.operations import (
    disable_user,
    enable_user,
    operator_at_the_command_line,
    set_password,
    set_roles,
)
from gateway.ports import AuditUnavailable, User
from gateway.settings import Settings


def roles(settings: Settings, name: str, *, roles: Sequence[str], none: bool, output: str) -> int:
    """Replace the roles of an account; return the exit code. Raise `StartRefused`."""
    if none == bool(roles):
        complain("write all the roles that the user is to have, each with --role; or --none")
        return USAGE
    policy = policy_in_force(settings)
    unknown = None if policy is None else unknown_name("role", roles, policy.roles.names)
    if unknown is not None:
        complain(unknown)
        return FAILED
    return run_command(_roles(settings, name, frozenset(roles), output))


def password(settings: Settings, name: str, *, password_stdin: bool, output: str) -> int:
    """Replace the password of an account; return the exit code. Raise `StartRefused`."""
    policy = policy_in_force(settings)
    text = read_password(from_stdin=password_stdin)
    if text is None:
        return USAGE
    return run_command(_password(settings, name, text, None if policy is None else policy.accounts, output))


def disable(settings: Settings, name: str, *, output: str) -> int:
    """Shut an account out, in every running process; return the exit code. Raise `StartRefused`."""
    return run_command(_disable(settings, name, output))


def enable(settings: Settings, name: str, *, output: str) -> int:
    """Let a disabled account in again; return the exit code. Raise `StartRefused`."""
    return run_command(_enable(settings, name, output))


async def _roles(settings: Settings, name: str, roles: frozenset[str], output: str) -> int:
    async with at_the_command_line(settings) as stores:
        changed = await set_roles(
            stores.users,
            stores.events,
            stores.clock,
            name=name,
            roles=roles,
            operator=operator_at_the_command_line(),
        )
    return _shown(changed, output)


async def _password(settings: Settings, name: str, text: str, rules: AccountRules | None, output: str) -> int:
    async with at_the_command_line(settings) as stores:
        changed = await set_password(
            stores.users,
            stores.passwords,
            stores.mailing,
            stores.events,
            stores.clock,
            name=name,
            password=text,
            min_length=LEAST_LENGTH if rules is None else rules.password_min_length,
            rejects_common=rules is not None and rules.rejects_common,
            operator=operator_at_the_command_line(),
        )
    return _shown(changed, output)


async def _disable(settings: Settings, name: str, output: str) -> int:
    async with at_the_command_line(settings) as stores:
        try:
            changed = await disable_user(
                stores.users,
                stores.events,
                stores.clock,
                name=name,
                operator=operator_at_the_command_line(),
            )
        except AuditUnavailable as unavailable:
            complain(f"the user is disabled, but that could not be recorded: {unavailable}")
            return FAILED
    return _shown(changed, output)


async def _enable(settings: Settings, name: str, output: str) -> int:
    async with at_the_command_line(settings) as stores:
        changed = await enable_user(
            stores.users, stores.events, stores.clock, name=name, operator=operator_at_the_command_line()
        )
    return _shown(changed, output)


def _shown(changed: User | AccountRefusal, output: str) -> int:
    if isinstance(changed, AccountRefusal):
        return explain_refusal(changed)
    print_row(user_row(changed), output=output)
    return 0
