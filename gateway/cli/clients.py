"""`gateway clients`: OAuth clients for machines, from the command line of the gateway's machine."""

import sys
from collections.abc import Sequence

from gateway.accounts import AccountRefusal
from gateway.assembly import at_the_command_line
from gateway.cli.durations import read_duration
from gateway.cli.jwk_file import read_jwk_file
from gateway.cli.listing import Row, print_row, print_rows, time_text
from gateway.cli.policy_in_force import policy_in_force, unknown_name
from gateway.cli.refusals import FAILED, USAGE, complain, explain_refusal, run_command
from gateway.crypto import JwkRefused, RecipientKey, read_recipient
from gateway.operations import (
    IssuedClient,
    create_client,
    key_thumbprint,
    list_clients,
    operator_at_the_command_line,
    revoke_client,
    rotate_client,
    set_client_key,
)
from gateway.ports import AuditUnavailable, OAuthClient
from gateway.settings import Settings


def create(
    settings: Settings, name: str, *, roles: Sequence[str], jwk_file: str | None = None, output: str
) -> int:
    """Make a client and print it with its secret, this once; return the exit code. Raise `StartRefused`."""
    key = None
    if jwk_file is not None and (key := _public_key(jwk_file)) is None:
        return USAGE
    policy = policy_in_force(settings)
    if policy is not None:
        unknown = unknown_name("role", roles, policy.roles.names)
        if unknown is not None:
            complain(unknown)
            return FAILED
    return run_command(_create(settings, name, roles=frozenset(roles), key=key, output=output))


def list_all(settings: Settings, *, output: str) -> int:
    """Print every client, newest first, never a secret; return the exit code. Raise `StartRefused`."""
    return run_command(_list(settings, output))


def rotate(settings: Settings, name: str, *, overlap: str, output: str) -> int:
    """Give a client a new secret and print it, this once; return the exit code. Raise `StartRefused`."""
    seconds = read_duration("--overlap", overlap, example="24h, or 0s", may_be_nothing=True)
    if seconds is None:
        return USAGE
    return run_command(_rotate(settings, name, overlap=seconds, output=output))


def set_jwk(settings: Settings, name: str, *, jwk_file: str | None, none: bool, output: str) -> int:
    """Give a client a public key, or none, and print the client; return the exit code. Raise
    `StartRefused`."""
    if (jwk_file is not None) is none:
        complain("give the client a key with --jwk-file, or take the one that it has with --none")
        return USAGE
    key = None
    if jwk_file is not None and (key := _public_key(jwk_file)) is None:
        return USAGE
    return run_command(_set_jwk(settings, name, key, output))


def revoke(settings: Settings, name: str, *, output: str) -> int:
    """End a client in every running process; return the exit code. Raise `StartRefused`."""
    return run_command(_revoke(settings, name, output))


async def _create(
    settings: Settings, name: str, *, roles: frozenset[str], key: RecipientKey | None, output: str
) -> int:
    async with at_the_command_line(settings) as stores:
        made = await create_client(
            stores.clients,
            stores.events,
            stores.clock,
            name=name,
            roles=roles,
            key=key,
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


async def _set_jwk(settings: Settings, name: str, key: RecipientKey | None, output: str) -> int:
    async with at_the_command_line(settings) as stores:
        client = await set_client_key(
            stores.clients,
            stores.events,
            stores.clock,
            name=name,
            key=key,
            operator=operator_at_the_command_line(),
        )
        now = stores.clock.now()
    if isinstance(client, AccountRefusal):
        return explain_refusal(client)
    print_row(_row(client, now), output=output)
    return 0


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


def _public_key(path: str) -> RecipientKey | None:
    """Return the key in a file, None after saying why there is none."""
    members = read_jwk_file(path)
    if members is None:
        return None
    try:
        return read_recipient(members)
    except JwkRefused as refused:
        complain(f"the key in --jwk-file {path} cannot be used: {refused}")
        return None


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
        # Of the public key, for what is encrypted for the client.
        "key_thumbprint": key_thumbprint(client),
        "state": "valid" if client.revoked_at is None else "revoked",
    }
