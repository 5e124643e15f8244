"""`mfa` on a route: what it compiles to, and where it is of no use."""

from collections.abc import Callable

import pytest

from gateway.config import Loaded, Severity

Load = Callable[..., Loaded]

_CHANGE = "    body: {max_request: unlimited}\n"


def _errors(loaded: Loaded) -> list[str]:
    return [f"{each.code} {each.message}" for each in loaded.findings if each.severity is Severity.ERROR]


def test_a_route_asks_for_a_second_factor_of_an_age(load: Load, policies: str) -> None:
    loaded = load(policies.replace(_CHANGE, _CHANGE + "    mfa: {max_age: 10min}\n"))
    assert loaded.snapshot is not None, loaded.findings
    ages = {plan.mfa_max_age for plan in loaded.snapshot.plans.values()}
    assert ages == {None, 600.0}


@pytest.mark.parametrize("text", ["mfa: {}", "mfa: 10min", "mfa: {max_age: 0s}", "mfa: {max_age: -1s}"])
def test_an_age_must_be_one(load: Load, policies: str, text: str) -> None:
    loaded = load(policies.replace(_CHANGE, f"{_CHANGE}    {text}\n"))
    assert loaded.snapshot is None
    assert len(_errors(loaded)) == 1


def test_a_public_route_has_nobody_to_ask(load: Load, policies: str) -> None:
    public = "  - {id: open, match: {methods: [GET], path: /open}, upstream: orders, authn: public, because: a, MFA}\n"
    loaded = load(policies + public.replace("MFA", "mfa: {max_age: 10min}"))
    assert [each.split()[0] for each in _errors(loaded)] == ["E111"]


def test_machines_cannot_be_asked(load: Load, policies: str) -> None:
    route = (
        "  - {id: batch, match: {methods: [GET], path: /batch}, upstream: orders, authn: [keys], "
        "require: authenticated, mfa: {max_age: 10min}}\n"
    )
    loaded = load(policies + route)
    assert _errors(loaded) == ["E127 none of the callers that this route accepts can have a second factor"]
    assert load(policies + route.replace("[keys]", "[keys, gateway]")).snapshot is not None
