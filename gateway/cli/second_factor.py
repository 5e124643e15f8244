"""`gateway users reset-mfa`: for people who have lost both their phone and their recovery codes."""

from gateway.accounts import AccountRefusal
from gateway.assembly import at_the_command_line
from gateway.cli.listing import print_row
from gateway.cli.refusals import explain_refusal, run_command
from gateway.operations import operator_at_the_command_line, remove_second_factor
from gateway.settings import Settings


def reset(settings: Settings, name: str, *, output: str) -> int:
    """Remove the second factor of an account; return the exit code. Raise `StartRefused`."""
    return run_command(_reset(settings, name, output))


async def _reset(settings: Settings, name: str, output: str) -> int:
    async with at_the_command_line(settings) as stores:
        user = await remove_second_factor(
            stores.users,
            stores.factors,
            stores.events,
            stores.mailing,
            name=name,
            operator=operator_at_the_command_line(),
        )
    if isinstance(user, AccountRefusal):
        return explain_refusal(user)
    print_row({"id": user.id, "username": user.username, "second_factor": "removed"}, output=output)
    return 0
