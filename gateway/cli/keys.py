"""`gateway keys`: API keys, from the command line of the gateway's machine."""

import re
import sys
from collections.abc import Sequence

from gateway.accounts import AccountRefusal, ScopesOf
from gateway.assembly import at_the_command_line
from gateway.cli.listing import Row, print_row, print_rows, time_text
from gateway.cli.policy_in_force import policy_in_force, unknown_name
from gateway.cli.refusals import FAILED, USAGE, complain, explain_refusal, run_command
from gateway.operations import create_key, list_keys, operator_at_the_command_line, revoke_key
from gateway.ports import ApiKey, AuditUnavailable
from gateway.settings import Settings

_DURATION = re.compile(r"([1-9]\d{0,8})(s|min|h|d)", re.ASCII)
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


def create(
    settings: Settings,
    name: str,
    *,
    user: str,
    scopes: Sequence[str],
    expires: str | None,
    output: str,
) -> int:
    """Issue a key and print it, this once; return the exit code. Raise `StartRefused`.

    Without `scopes` the key may do all that its owner may; with them, no more than these.
    """
    lifetime = None if expires is None else _seconds(expires)
    if expires is not None and lifetime is None:
        complain(f"--expires: {expires!r} is not a duration; write a number with a unit, as in 12h or 90d")
        return USAGE
    held: ScopesOf | None = None
    if scopes:
        policy = policy_in_force(settings)
        if policy is not None:
            held = policy.roles.scopes_of
            unknown = unknown_name("scope", scopes, policy.roles.scopes_of(policy.roles.names))
            if unknown is not None:
                complain(f"{unknown} (a key can only have scopes that some role has)")
                return FAILED
    confined = frozenset(scopes) or None
    return run_command(
        _create(settings, name, user=user, scopes=confined, lifetime=lifetime, output=output, held=held)
    )


def list_all(settings: Settings, *, output: str) -> int:
    """Print every key, newest first, never the keys themselves; return the exit code. Raise
    `StartRefused`."""
    return run_command(_list(settings, output))


def revoke(settings: Settings, id: str, *, output: str) -> int:
    """End a key in every running process; return the exit code. Raise `StartRefused`."""
    return run_command(_revoke(settings, id, output))


async def _create(
    settings: Settings,
    name: str,
    *,
    user: str,
    scopes: frozenset[str] | None,
    lifetime: float | None,
    output: str,
    held: ScopesOf | None,
) -> int:
    async with at_the_command_line(settings) as stores:
        made = await create_key(
            stores.users,
            stores.api_keys,
            stores.events,
            stores.clock,
            name=name,
            owner=user,
            scopes=scopes,
            lifetime=lifetime,
            operator=operator_at_the_command_line(),
        )
        now = stores.clock.now()
    if isinstance(made, AccountRefusal):
        explain_refusal(made)
        return FAILED
    beyond = set[str]() if held is None else (scopes or frozenset()) - held(made.key.owner_roles)
    if beyond:
        complain(
            f"note: {made.key.owner_name} has no {', '.join(sorted(beyond))} now, so neither has the key"
        )
    print_row({**_row(made.key, now), "key": made.text}, output=output)
    if output == "text":
        print("This key is shown once and kept nowhere: store it now.", file=sys.stderr)
    return 0


async def _list(settings: Settings, output: str) -> int:
    async with at_the_command_line(settings) as stores:
        keys = await list_keys(stores.api_keys)
        now = stores.clock.now()
    print_rows([_row(key, now) for key in keys], output=output, empty="There are no API keys.")
    return 0


async def _revoke(settings: Settings, id_: str, output: str) -> int:
    async with at_the_command_line(settings) as stores:
        try:
            revoked = await revoke_key(
                stores.api_keys,
                stores.events,
                stores.clock,
                id=id_,
                operator=operator_at_the_command_line(),
            )
        except AuditUnavailable as unavailable:
            complain(f"the key is revoked, but that could not be recorded: {unavailable}")
            return FAILED
    if isinstance(revoked, AccountRefusal):
        explain_refusal(revoked)
        return FAILED
    print_row({"id": revoked.id, "name": revoked.name, "state": "revoked"}, output=output)
    return 0


def _row(key: ApiKey, now: float) -> Row:
    return {
        "id": key.id,
        "name": key.name,
        "user": key.owner_name,
        # Not confined is `*`, as in the policy; an empty list would be no scope at all.
        "scopes": ["*"] if key.scopes is None else sorted(key.scopes),
        "created_at": time_text(key.created_at),
        "expires_at": time_text(key.expires_at),
        "state": _state(key, now),
    }


def _state(key: ApiKey, now: float) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None and now >= key.expires_at:
        return "expired"
    return "valid" if key.owner_active else "user disabled"


def _seconds(text: str) -> float | None:
    match = _DURATION.fullmatch(text)
    return None if match is None else float(int(match[1]) * _SECONDS[match[2]])
