"""`accounts.login`: what it compiles to, and what of it makes no sense."""

from collections.abc import Callable
from ipaddress import ip_network

import pytest

from gateway.accounts import AccountRules
from gateway.config import Loaded, Severity
from gateway.model import OnStoreError

Load = Callable[..., Loaded]

_BLOCK = "failures: 20, within: 5min, for: 15min"


def rules(load: Load, policies: str, login: str) -> AccountRules:
    loaded = load(policies.replace("registration: open", f"registration: open\n  login: {login}"))
    assert loaded.snapshot is not None, loaded.findings
    assert loaded.snapshot.accounts is not None
    return loaded.snapshot.accounts


def errors(load: Load, policies: str, login: str) -> list[str]:
    loaded = load(policies.replace("registration: open", f"registration: open\n  login: {login}"))
    assert loaded.snapshot is None
    return [each.code for each in loaded.findings if each.severity is Severity.ERROR]


def test_left_out_there_is_none_of_it(load: Load, policies: str) -> None:
    found = rules(load, policies, "{}")
    assert (found.login_networks, found.login_limits, found.block) == (None, (), None)


def test_networks_are_those_of_the_policy(load: Load, policies: str) -> None:
    found = rules(load, policies, "{networks: [office, blocked]}")
    assert found.login_networks == (
        ip_network("203.0.113.0/24"),
        ip_network("2001:db8:10::/48"),
        ip_network("198.51.100.0/24"),
    )


def test_limits_refuse_while_nobody_can_count_unless_it_says_otherwise(load: Load, policies: str) -> None:
    found = rules(
        load,
        policies,
        "{limits: [{limit: 10/min, per: client_ip}, {limit: 5/15min, per: username, on_store_error: local}, "
        "{rate: 1/s, burst: 3, per: [client_ip, username], id: pairs}, {limit: 9/s, per: all}]}",
    )
    assert [(one.id, one.per, one.on_store_error) for one in found.login_limits] == [
        ("login:0", ("client_ip",), OnStoreError.CLOSED),
        ("login:1", ("username",), OnStoreError.LOCAL),
        ("pairs", ("client_ip", "username"), OnStoreError.CLOSED),
        ("login:3", ("all",), OnStoreError.CLOSED),
    ]


@pytest.mark.parametrize(
    "per", ["principal", "api_key", "route", "claims.sub", "header.x-a", "[username, route]"]
)
def test_attempts_are_counted_only_by_what_is_known_of_them(load: Load, policies: str, per: str) -> None:
    assert errors(load, policies, f"{{limits: [{{limit: 5/min, per: {per}}}]}}") == ["E109"]


def test_a_block_grows_up_to_its_longest(load: Load, policies: str) -> None:
    block = rules(load, policies, f"{{block: {{{_BLOCK}, factor: 4, max: 24h}}}}").block
    assert block is not None
    assert (block.failures, block.within, block.first, block.factor, block.longest) == (
        20,
        300,
        900,
        4,
        86_400,
    )
    assert [block.lasts(times) for times in range(1, 6)] == [900, 3600, 14_400, 57_600, 86_400]
    assert (block.limit.quota, block.limit.window_us, block.spent.cost) == (20, 300_000_000, 20)


def test_a_block_that_says_no_more_is_always_as_long(load: Load, policies: str) -> None:
    block = rules(load, policies, f"{{block: {{{_BLOCK}}}}}").block
    assert block is not None
    assert [block.lasts(times) for times in (1, 2, 50)] == [900] * 3


@pytest.mark.parametrize(
    ("login", "code"),
    [
        ("{networks: [offices]}", "E106"),
        ("{networks: []}", "E113"),
        ("{limits: []}", "E113"),
        (f"{{block: {{{_BLOCK}, max: 10min}}}}", "E127"),
        ("{block: {failures: 20, within: 5min}}", "E102"),
        ("{block: {failures: 0, within: 5min, for: 1h}}", "E109"),
        (f"{{block: {{{_BLOCK}, factor: 0}}}}", "E109"),
    ],
)
def test_what_makes_no_sense_is_a_finding(load: Load, policies: str, login: str, code: str) -> None:
    assert errors(load, policies, login) == [code]
