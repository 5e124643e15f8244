"""`gateway keys`: API keys, from the command line of the gateway's machine."""

import sys
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network

from gateway.accounts import AccountRefusal, ScopesOf
from gateway.assembly import at_the_command_line
from gateway.cli.durations import read_duration
from gateway.cli.listing import Row, print_row, print_rows, time_text
from gateway.cli.policy_in_force import policy_in_force, unknown_name
from gateway.cli.refusals import FAILED, USAGE, complain, explain_refusal, run_command
from gateway.model.address import read_network
from gateway.operations import (
    CreatedKey,
    create_key,
    list_keys,
    operator_at_the_command_line,
    revoke_key,
    rotate_key,
)
from gateway.ports import ApiKey, AuditUnavailable
from gateway.settings import Settings


def create(
    settings: Settings,
    name: str,
    *,
    user: str,
    scopes: Sequence[str],
    expires: str | None,
    networks: Sequence[str] = (),
    output: str,
) -> int:
    """Issue a key and print it, this once; return the exit code. Raise `StartRefused`.

    Without `scopes` the key may do all that its owner may; with them, no more than these. With `networks` it
    is good from there alone.
    """
    lifetime = None if expires is None else read_duration("--expires", expires, example="12h or 90d")
    if expires is not None and lifetime is None:
        return USAGE
    try:
        ranges = [_network(each) for each in networks]
    except ValueError as flaw:
        complain(f"--network: {flaw}")
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
        _create(
            settings,
            name,
            user=user,
            scopes=confined,
            lifetime=lifetime,
            networks=ranges,
            output=output,
            held=held,
        )
    )


def list_all(settings: Settings, *, output: str) -> int:
    """Print every key, newest first, never the keys themselves; return the exit code. Raise
    `StartRefused`."""
    return run_command(_list(settings, output))


def rotate(settings: Settings, id: str, *, overlap: str, output: str) -> int:
    """Give a key a new secret and print it, this once; return the exit code. Raise `StartRefused`."""
    seconds = read_duration("--overlap", overlap, example="24h, or 0s", may_be_nothing=True)
    if seconds is None:
        return USAGE
    return run_command(_rotate(settings, id, overlap=seconds, output=output))


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
    networks: Sequence[IPv4Network | IPv6Network],
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
            networks=networks,
            operator=operator_at_the_command_line(),
        )
        now = stores.clock.now()
    if isinstance(made, AccountRefusal):
        return explain_refusal(made)
    beyond = set[str]() if held is None else (scopes or frozenset()) - held(made.key.owner_roles)
    if beyond:
        complain(
            f"note: {made.key.owner_name} has no {', '.join(sorted(beyond))} now, so neither has the key"
        )
    return _show(made, now, output=output)


async def _list(settings: Settings, output: str) -> int:
    async with at_the_command_line(settings) as stores:
        keys = await list_keys(stores.api_keys)
        now = stores.clock.now()
    print_rows([_row(key, now) for key in keys], output=output, empty="There are no API keys.")
    return 0


async def _rotate(settings: Settings, id_: str, *, overlap: float, output: str) -> int:
    async with at_the_command_line(settings) as stores:
        rotated = await rotate_key(
            stores.api_keys,
            stores.events,
            stores.clock,
            id=id_,
            overlap=overlap,
            operator=operator_at_the_command_line(),
        )
        now = stores.clock.now()
    if isinstance(rotated, AccountRefusal):
        return explain_refusal(rotated)
    return _show(rotated, now, output=output)


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
        return explain_refusal(revoked)
    print_row({"id": revoked.id, "name": revoked.name, "state": "revoked"}, output=output)
    return 0


def _show(made: CreatedKey, now: float, *, output: str) -> int:
    print_row({**_row(made.key, now), "key": made.text}, output=output)
    if output == "text":
        print("This key is shown once and kept nowhere: store it now.", file=sys.stderr)
    return 0


def _row(key: ApiKey, now: float) -> Row:
    return {
        "id": key.id,
        "name": key.name,
        "user": key.owner_name,
        # Not confined is `*`, as in the policy; an empty list would be no scope at all.
        "scopes": ["*"] if key.scopes is None else sorted(key.scopes),
        "networks": list(key.networks) or ["*"],
        "created_at": time_text(key.created_at),
        "expires_at": time_text(key.expires_at),
        "old_until": time_text(_old_until(key, now)),
        "last_used_at": time_text(key.last_used_at),
        "state": _state(key, now),
    }


def _old_until(key: ApiKey, now: float) -> float | None:
    """Return when the secret ends that was replaced; None when there is none that is still good."""
    ends = [secret.expires_at for secret in key.secrets if secret.expires_at is not None]
    return max((end for end in ends if end > now), default=None)


def _state(key: ApiKey, now: float) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None and now >= key.expires_at:
        return "expired"
    return "valid" if key.owner_active else "user disabled"


def _network(text: str) -> IPv4Network | IPv6Network:
    """Return a range of addresses. Raise `ValueError` with what to write instead."""
    try:
        return read_network(text)
    except ValueError:
        pass
    try:
        loose = ip_network(text, strict=False)
    except ValueError:
        message = f"{text!r} is not a range of addresses; write one as in 203.0.113.0/24, or one address"
        raise ValueError(message) from None
    raise ValueError(f"{text!r} has bits set after its prefix; did you mean {loose}?")
