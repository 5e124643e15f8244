"""What the grammar knows and the gateway cannot enforce is a finding, each named; the rest of it is not."""

from collections.abc import Callable

import pytest

from gateway.config import Loaded, Severity

Load = Callable[..., Loaded]

_CHANGE = "    body: {max_request: unlimited}\n"


def _found(loaded: Loaded) -> list[str]:
    return [each.code for each in loaded.findings if each.severity is Severity.ERROR]


def test_a_key_of_a_route_that_is_not_enforced_is_refused(load: Load, policies: str) -> None:
    loaded = load(policies.replace(_CHANGE, _CHANGE + "    mode: {shadow_until: 2026-12-31}\n"))
    assert _found(loaded) == ["E190"]
    assert any("trial" in each.message for each in loaded.findings)
    assert loaded.snapshot is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{limit: 5/15min, per: all}", "{in_flight: 5, per: all}"),
        ("{limit: 5/15min, per: all}", "{limit: 5/15min, per: all, accuracy: leased}"),
        ("{limit: 5/15min, per: all}", "{limit: 5/15min, per: all, shadow: true}"),
        ("{limit: 5/15min, per: all}", "{limit: 5/month, per: all}"),
        ("{limit: 5/15min, per: all}", "{limit: 5/15min, per: username}"),
        ("{limit: 5/15min, per: all}", "{limit: 5/15min, per: [route, username]}"),
        ("limit: 120/min, per: principal", "limit: 120/month, per: principal"),
        ("limit: 300/min, per: principal", "limit: 300/min, per: principal, shadow: true"),
    ],
)
def test_a_policy_that_is_not_enforced_is_refused(load: Load, policies: str, old: str, new: str) -> None:
    assert old in policies
    assert _found(load(policies.replace(old, new))) == ["E190"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (_CHANGE, _CHANGE + "    websocket: false\n"),
        ("{limit: 5/15min, per: all}", "{limit: 5/15min, per: all, accuracy: exact, on_store_error: local}"),
        ("{limit: 5/15min, per: all}", "{limit: 5/15min, per: all, on_store_error: open}"),
        ("{limit: 5/15min, per: all}", "{limit: 5/15min, per: all, on_store_error: closed}"),
        ("{limit: 5/15min, per: all}", "{limit: 5/15min, per: all, shadow: false, cost: 2}"),
        ("registration: open", "registration: closed\n  email_verification: off\n  login: {}"),
        ("registration: open", "registration: open\n  password: {min_length: 16, reject_common: false}"),
        (
            "registration: open",
            "registration: open\n  tokens: {access: 5min, refresh_idle: 1d, refresh_absolute: 2d, reuse_grace: 0s}",
        ),
    ],
)
def test_what_switches_something_off_or_is_enforced_is_taken(
    load: Load, policies: str, old: str, new: str
) -> None:
    assert old in policies
    assert load(policies.replace(old, new)).snapshot is not None
