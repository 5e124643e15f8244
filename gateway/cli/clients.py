"""`gateway clients`: OAuth clients for machines, from the command line of the gateway's machine."""

import sys
from collections.abc import Sequence

from gateway.accounts import AccountRefusal
from gateway.assembly import at_the_command_line
from gateway.cli.durations import read_duration
from gateway.cli.listing import Row, print_row, print_rows, time_text
from gateway.cli.policy_in_force import policy_in_force, unknown_name
from gateway.cli.refusals import FAILED, USAGE, complain, explain_refusal, run_command
from gateway.operations import (
    IssuedClient,
    create_client,
    list_clients,
    operator_at_the_command_line,
    revoke_client,
    rotate_client,
)
from gateway.ports import AuditUnavailable, OAuthClient
from gateway.settings import Settings


def create(settings: Settings, name: str, *, roles: Sequence[str], output: str) -> int:
    """Make a client and print it with its secret, this once; return the exit code. Raise `StartRefused`."""
    policy = policy_in_force(settings)
    if policy is not None:
        unknown = unknown_name("role", roles, policy.roles.names)
        if unknown is not None:
            complain(unknown)
            return FAILED
    return run_command(_create(settings, name, roles=frozenset(roles), output=output))


def list_all(settings: Settings, *, output: str) -> int:
    """Print every client, newest first, never a secret; return the exit code. Raise `StartRefused`."""
    return run_command(_list(settings, output))


def rotate(settings: Settings, name: str, *, overlap: str, output: str) -> int:
    """Give a client a new secret and print it, this once; return the exit code. Raise `StartRefused`."""
    seconds = read_duration("--overlap", overlap, example="24h, or 0s", may_be_nothing=True)
    if seconds is None:
        return USAGE
    return run_command(_rotate(settings, name, overlap=seconds, output=output))


def revoke(settings: Settings, name: str, *, output: str) -> int:
    """End a client in every running process; return the exit code. Raise `StartRefused`."""
    return run_command(_revoke(settings, name, output))


async def _create(settings: Settings, name: str, *, roles: frozenset[str], output: str) -> int:
    async with at_the_command_line(settings) as stores:
        made = await create_client(
            stores.clients,
            stores.events,
            stores.clock,
            name=name,
            roles=roles,
            operator=operator_at_the_command_line(),
        )
    return _show_secret(made, output=output)


async def _list(settings: Settings, output: str) -> int:
    async with at_the_command_line(settings) as stores:
        clients = await list_clients(stores.clients)
        now = stores.clock.now()
    print_rows([_row(client, now) for client in clients], output=output, empty="There are no OAuth clients.")
    return 0


async def _rotate(settings: Settings, name: str, *, overlap: float, output: str) -> int:
    async with at_the_command_line(settings) as stores:
        rotated = await rotate_client(
            stores.clients,
            stores.events,
            stores.clock,
            name=name,
            overlap=overlap,
            operator=operator_at_the_command_line(),
        )
    return _show_secret(rotated, output=output)


async def _revoke(settings: Settings, name: str, output: str) -> int:
    async with at_the_command_line(settings) as stores:
        try:
            revoked = await revoke_client(
                stores.clients,
                stores.events,
                stores.clock,
                name=name,
                operator=operator_at_the_command_line(),
            )
        except AuditUnavailable as unavailable:
            complain(f"the client is revoked, but that could not be recorded: {unavailable}")
            return FAILED
    if isinstance(revoked, AccountRefusal):
        return explain_refusal(revoked)
    print_row({"id": revoked.id, "name": revoked.name, "state": "revoked"}, output=output)
    return 0


def _show_secret(issued: IssuedClient | AccountRefusal, *, output: str) -> int:
    if isinstance(issued, AccountRefusal):
        return explain_refusal(issued)
    now = issued.client.created_at
    print_row({**_row(issued.client, now), "secret": issued.secret}, output=output)
    if output == "text":
        print("This secret is shown once and kept nowhere: store it now.", file=sys.stderr)
    return 0


def _row(client: OAuthClient, now: float) -> Row:
    ends = [each.expires_at for each in client.secrets if each.expires_at is not None]
    old_until = max(ends, default=None)
    return {
        "id": client.id,
        "name": client.name,
        "roles": sorted(client.roles),
        "created_at": time_text(client.created_at),
        # Until then the secret before the last rotation is good too.
        "old_until": time_text(old_until) if old_until is not None and now < old_until else None,
        "state": "valid" if client.revoked_at is None else "revoked",
    }
