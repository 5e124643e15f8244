"""What unknown means at the root of a deny rule."""

from typing import Any

import pytest

from gateway.policy import DenyRule


def rule(bench: Any, tree: object) -> DenyRule:
    condition = bench.compile(tree)
    assert condition is not None
    return DenyRule(id="r", routes=None, condition=condition)


def test_a_deny_rule_says_whether_it_is_true_or_unknown(bench: Any, facts: Any) -> None:
    blocked = rule(bench, {"client.ip": {"in_network": "blocked"}})
    assert blocked.truth(facts(client="198.51.100.7")) is True
    assert blocked.truth(facts(client="?")) is None
    assert blocked.truth(facts(client="192.0.2.1")) is False
    assert blocked.rule == "r policies.yaml:0"


def test_a_deny_rule_on_claims_is_false_for_principals_without_claims(
    bench: Any, facts: Any, by_key: Any
) -> None:
    unverified = rule(bench, {"claims.email_verified": {"is": False}})
    assert unverified.truth(by_key) is False
    assert unverified.truth(facts()) is not False


@pytest.mark.parametrize(
    ("attribute", "identity", "claims"),
    [
        ({"claims.sub": {"present": True}}, True, True),
        ({"principal.id": {"present": True}}, True, False),
        ({"authn.kind": {"is": "jwt"}}, True, False),
        ({"header.claims.sub": {"present": True}}, False, False),
        ({"client.ip": {"in_network": "office"}}, False, False),
    ],
)
def test_a_condition_says_whether_it_needs_to_know_the_caller(
    bench: Any, attribute: object, identity: bool, claims: bool
) -> None:
    condition = bench.compile(attribute)
    assert condition is not None
    assert (condition.needs_identity, condition.needs_claims) == (identity, claims)
