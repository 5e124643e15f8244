"""`gateway signing-keys`: the keys that sign tokens, from the command line of the gateway's machine."""

from gateway.accounts import AccountRefusal
from gateway.assembly import at_the_command_line
from gateway.cli.listing import Row, print_row, print_rows, time_text
from gateway.cli.refusals import FAILED, complain, explain_refusal, run_command
from gateway.operations import (
    ListedSigningKey,
    list_signing_keys,
    operator_at_the_command_line,
    revoke_signing_key,
    rotate_signing_key,
)
from gateway.ports import AuditUnavailable
from gateway.settings import Settings


def list_all(settings: Settings, *, output: str) -> int:
    """Print every key that is published, the newest first; return the exit code. Raise `StartRefused`."""
    return run_command(_list(settings, output))


def rotate(settings: Settings, *, now: bool, output: str) -> int:
    """Make the next key and print it; return the exit code. Raise `StartRefused`."""
    return run_command(_rotate(settings, now=now, output=output))


def revoke(settings: Settings, kid: str, *, output: str) -> int:
    """End a key, and every token that it signed; return the exit code. Raise `StartRefused`."""
    return run_command(_revoke(settings, kid, output))


async def _list(settings: Settings, output: str) -> int:
    async with at_the_command_line(settings) as stores:
        keys = await list_signing_keys(stores.signing_keys, stores.clock)
    print_rows(
        [_row(key) for key in keys],
        output=output,
        empty="There is no signing key yet; `gateway serve` makes the first one.",
    )
    return 0


async def _rotate(settings: Settings, *, now: bool, output: str) -> int:
    async with at_the_command_line(settings) as stores:
        made = await rotate_signing_key(
            stores.signing_keys,
            stores.sealer,
            stores.events,
            stores.clock,
            at_once=now,
            operator=operator_at_the_command_line(),
        )
    if isinstance(made, AccountRefusal):
        return explain_refusal(made)
    print_row(_row(made), output=output)
    return 0


async def _revoke(settings: Settings, kid: str, output: str) -> int:
    async with at_the_command_line(settings) as stores:
        try:
            revoked = await revoke_signing_key(
                stores.signing_keys,
                stores.sealer,
                stores.events,
                stores.clock,
                kid=kid,
                operator=operator_at_the_command_line(),
            )
        except AuditUnavailable as unavailable:
            complain(f"the key is revoked, but that could not be recorded: {unavailable}")
            return FAILED
    if isinstance(revoked, AccountRefusal):
        return explain_refusal(revoked)
    print_row({"kid": revoked.kid, "state": "revoked", "successor": revoked.successor}, output=output)
    return 0


def _row(key: ListedSigningKey) -> Row:
    return {
        "kid": key.kid,
        "state": key.state.value,
        "created_at": time_text(key.created_at),
        "signs_from": time_text(key.signs_from),
        "verifies_until": time_text(key.verifies_until),
    }
