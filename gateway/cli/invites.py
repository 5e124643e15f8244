"""`gateway invites`: who may register, from the command line of the gateway's machine."""

import sys
from collections.abc import Sequence

from gateway.accounts import AccountRefusal
from gateway.assembly import at_the_command_line
from gateway.cli.durations import read_duration
from gateway.cli.listing import Row, print_row, print_rows, time_text
from gateway.cli.policy_in_force import policy_in_force, unknown_name
from gateway.cli.refusals import FAILED, USAGE, complain, explain_refusal, run_command
from gateway.operations import (
    create_invite,
    list_invites,
    operator_at_the_command_line,
    revoke_invite,
)
from gateway.ports import AuditUnavailable, Invite
from gateway.settings import Settings


def create(settings: Settings, *, roles: Sequence[str], email: str | None, expires: str, output: str) -> int:
    """Make an invitation and print it with its code, this once; return the exit code. Raise
    `StartRefused`."""
    life = read_duration("--expires", expires, example="7d")
    if life is None:
        return USAGE
    policy = policy_in_force(settings)
    if policy is not None:
        unknown = unknown_name("role", roles, policy.roles.names)
        if unknown is not None:
            complain(unknown)
            return FAILED
        if policy.accounts is None or policy.accounts.registration == "closed":
            complain("the policy lets nobody register: the invitation is of no use until it does")
    return run_command(_create(settings, roles=frozenset(roles), email=email, life=life, output=output))


def list_all(settings: Settings, *, output: str) -> int:
    """Print every invitation, newest first, never a code; return the exit code. Raise `StartRefused`."""
    return run_command(_list(settings, output))


def revoke(settings: Settings, id: str, *, output: str) -> int:
    """End an invitation; return the exit code. Raise `StartRefused`."""
    return run_command(_revoke(settings, id, output))


async def _create(
    settings: Settings, *, roles: frozenset[str], email: str | None, life: float, output: str
) -> int:
    async with at_the_command_line(settings) as stores:
        issued = await create_invite(
            stores.invites,
            stores.events,
            stores.clock,
            roles=roles,
            email=email,
            life=life,
            operator=operator_at_the_command_line(),
        )
    if isinstance(issued, AccountRefusal):
        return explain_refusal(issued)
    print_row({**_row(issued.invite, issued.invite.created_at), "code": issued.code}, output=output)
    if output == "text":
        print("This code is shown once and kept nowhere: send it to whom you invite.", file=sys.stderr)
    return 0


async def _list(settings: Settings, output: str) -> int:
    async with at_the_command_line(settings) as stores:
        invites = await list_invites(stores.invites)
        now = stores.clock.now()
    print_rows([_row(invite, now) for invite in invites], output=output, empty="There are no invitations.")
    return 0


async def _revoke(settings: Settings, id_: str, output: str) -> int:
    async with at_the_command_line(settings) as stores:
        try:
            refusal = await revoke_invite(
                stores.invites,
                stores.events,
                stores.clock,
                id=id_,
                operator=operator_at_the_command_line(),
            )
        except AuditUnavailable as unavailable:
            complain(f"the invitation has ended, but that could not be recorded: {unavailable}")
            return FAILED
    if refusal is not None:
        return explain_refusal(refusal)
    print_row({"id": id_, "state": "revoked"}, output=output)
    return 0


def _row(invite: Invite, now: float) -> Row:
    return {
        "id": invite.id,
        "roles": sorted(invite.roles),
        "email": invite.email,
        "created_at": time_text(invite.created_at),
        "created_by": invite.created_by,
        "expires_at": time_text(invite.expires_at),
        "state": _state(invite, now),
        "used_by": invite.used_by,
    }


def _state(invite: Invite, now: float) -> str:
    if invite.used_at is not None:
        return "used"
    if invite.revoked_at is not None:
        return "revoked"
    return "open" if now < invite.expires_at else "expired"
