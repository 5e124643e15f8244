"""From networks, schedules, roles, authenticators and accounts as they are written to what is in force."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.accounts import AccountRules
from gateway.config.addresses import Network
from gateway.config.compile_callers import compile_accounts, compile_authenticators
from gateway.config.compile_limits import LimitCompiler
from gateway.config.compile_roles import compile_roles, compile_scopes
from gateway.config.documents import PoliciesDocument, ScheduleDocument
from gateway.config.names_check import split_advice
from gateway.config.places import Path
from gateway.config.source import Names, SourceFile
from gateway.identity import AuthenticatorSpec
from gateway.model import Limit
from gateway.policy import Roles, Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What routes and rules refer to."""

    networks: Mapping[str, tuple[Network, ...]]
    schedules: Mapping[str, Schedule]
    scopes: Names
    roles: Roles
    role_names: Names
    role_limits: Mapping[str, tuple[Limit, ...]]
    authenticators: Mapping[str, AuthenticatorSpec]
    authenticator_names: Names
    accounts: AccountRules | None


def compile_access(document: PoliciesDocument, source: SourceFile, limits: LimitCompiler) -> Access:
    """Return what routes and rules refer to; what is wrong with it is reported."""
    networks = {name: tuple(ranges) for name, ranges in document.networks.items()}
    schedules = {name: _schedule(name, each, source) for name, each in document.schedules.items()}
    # A name whose entry could not be used is declared all the same.
    any_schedule = Schedule.parse(days="mon-sun", start="00:00", end="24:00", timezone="UTC")
    _check_networks(document, source)
    return Access(
        networks=networks | dict.fromkeys(source.names("networks").known - networks.keys(), ()),
        schedules={name: each or any_schedule for name, each in schedules.items()}
        | dict.fromkeys(source.names("schedules").known - schedules.keys(), any_schedule),
        scopes=compile_scopes(source),
        roles=compile_roles(document, source),
        role_names=source.names("roles"),
        role_limits={
            name: limits.compile(role.limits, f"role:{name}", ("roles", name, "limits"))
            for name, role in document.roles.items()
            if role.limits
        },
        authenticators=compile_authenticators(document, source),
        authenticator_names=source.names("authenticators"),
        accounts=None
        if document.accounts is None
        else compile_accounts(document.accounts, source, limits, networks),
    )


def _check_networks(document: PoliciesDocument, source: SourceFile) -> None:
    for name, ranges in document.networks.items():
        if not ranges and source.is_whole(("networks", name)):
            source.report(
                "E113",
                ("networks", name),
                "a network without addresses contains nobody",
                "write at least one range",
            )


def _schedule(name: str, document: ScheduleDocument, source: SourceFile) -> Schedule | None:
    path: Path = ("schedules", name)
    # Each part is read beside others that are known to be good, so that the finding stands at the right one.
    parts: tuple[tuple[str, list[str], str, str, str], ...] = (
        ("days", document.days, "00:00", "24:00", "UTC"),
        ("from", ["mon"], document.from_, "24:00", "UTC"),
        ("to", ["mon"], "00:00", document.to, "UTC"),
        ("timezone", ["mon"], "00:00", "24:00", document.timezone),
    )
    fine = True
    for key, days, start, end, timezone in parts:
        try:
            Schedule.parse(days=days, start=start, end=end, timezone=timezone)
        except ValueError as flaw:
            fine = False
            # "00:00" to "00:00" is judged below, with both parts as they are written.
            if key in {"from", "to"} and "no time at all" in str(flaw):
                fine = True
                continue
            source.report("E109", (*path, key), *split_advice(str(flaw)))
    if not fine:
        return None
    try:
        return Schedule.parse(
            days=document.days, start=document.from_, end=document.to, timezone=document.timezone
        )
    except ValueError as flaw:
        source.report("E109", (*path, "to"), *split_advice(str(flaw)))
        return None
