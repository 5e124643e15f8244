"""`is`, `in`, `prefix`, `same_as`."""

from typing import Any

import pytest

from gateway.policy.compare import same


@pytest.mark.parametrize(
    ("one", "other"),
    [("1", 1), (1, True), (0, False), ("true", True), (1.5, "1.5"), ("a", "A"), (None, None)],
)
def test_values_of_different_kinds_are_never_the_same(one: object, other: object) -> None:
    assert not same(one, other)
    assert not same(other, one)


@pytest.mark.parametrize(("one", "other"), [("a", "a"), (1, 1.0), (True, True), (False, False)])
def test_equal_values_of_one_kind_are_the_same(one: object, other: object) -> None:
    assert same(one, other)
    assert same(other, one)


@pytest.mark.parametrize(
    ("question", "truth"),
    [
        ({"claims.level": {"is": 1}}, True),
        ({"claims.level": {"is": "1"}}, False),
        ({"claims.level": {"is": True}}, False),
        ({"claims.active": {"is": True}}, True),
        ({"claims.active": {"is": 1}}, False),
        ({"claims.level": {"in": ["1", 2, 1]}}, True),
        ({"claims.level": {"in": ["1", True]}}, False),
        ({"claims.groups": {"is": "finance"}}, None),
        ({"claims.groups": {"in": ["finance"]}}, None),
        ({"claims.realm_access": {"is": "x"}}, None),
        ({"claims.sub": {"prefix": "usr_"}}, True),
        ({"claims.sub": {"prefix": "key_"}}, False),
        ({"claims.level": {"prefix": "1"}}, None),
        ({"claims.absent": {"prefix": "x"}}, None),
        ({"path.order_id": {"prefix": "1"}}, True),
        ({"path.order_id": {"in": ["16", "17"]}}, True),
        ({"host": {"prefix": "API."}}, True),
    ],
)
def test_a_value_is_compared_with_what_the_policy_says(
    bench: Any, facts: Any, question: object, truth: bool | None
) -> None:
    assert bench.truth(question, facts()) is truth


@pytest.mark.parametrize(
    ("question", "truth"),
    [
        ({"principal.id": {"same_as": "path.user_id"}}, True),
        ({"claims.sub": {"same_as": "path.user_id"}}, True),
        ({"path.order_id": {"same_as": "path.user_id"}}, False),
        ({"claims.level": {"same_as": "claims.active"}}, False),
        ({"claims.groups": {"same_as": "claims.groups.x"}}, None),
        ({"claims.absent": {"same_as": "path.user_id"}}, None),
        ({"path.user_id": {"same_as": "claims.absent"}}, None),
        ({"claims.absent": {"same_as": "header.x-absent"}}, None),
    ],
)
def test_an_attribute_is_compared_with_another(
    bench: Any, facts: Any, question: object, truth: bool | None
) -> None:
    assert bench.truth(question, facts()) is truth


def test_what_is_compared_with_counts_as_looked_at(bench: Any) -> None:
    condition = bench.compile({"path.user_id": {"same_as": "claims.sub"}})
    assert condition is not None
    assert condition.attributes == {"path.user_id", "claims.sub"}
    assert condition.needs_claims


@pytest.mark.parametrize(
    "case",
    [
        ("path.order_id", "is", 17, (), "E122", None),
        ("path.order_id", "is", True, (), "E122", None),
        ("path.order_id", "is", None, (), "E122", None),
        ("path.order_id", "is", ["17"], (), "E122", None),
        ("path.order_id", "in", "17", (), "E122", None),
        ("path.order_id", "in", [], (), "E122", None),
        ("path.order_id", "in", ["16", 17], (1,), "E122", None),
        ("claims.level", "is", None, (), "E122", None),
        ("claims.level", "is", [1], (), "E122", None),
        ("claims.level", "is", float("nan"), (), "E122", None),
        ("claims.sub", "prefix", "", (), "E122", None),
        ("claims.sub", "prefix", 1, (), "E122", None),
        ("claims.sub", "same_as", "path.userid", (), "E107", "path.user_id"),
        ("claims.sub", "same_as", "pathuser_id", (), "E121", None),
        ("claims.sub", "same_as", "time", (), "E122", None),
        ("claims.sub", "same_as", "principal.roles", (), "E122", None),
        ("claims.sub", "same_as", "claims.sub", (), "E122", None),
        ("claims.sub", "same_as", 17, (), "E122", None),
        ("client.ip", "is", "office", (), "E122", None),
        ("client.ip", "in", ["192.0.2.1", "192.0.2.0/24"], (1,), "E122", None),
        ("method", "is", "get", (), "E122", "GET"),
        ("authn.kind", "is", "api-key", (), "E122", "api_key"),
        ("host", "is", "*.example.com", (), "E122", None),
        ("host", "is", "example.com:8080", (), "E122", None),
        ("time", "is", "08:00", (), "E122", None),
        ("principal.roles", "is", "support", (), "E122", None),
        ("client.ip", "prefix", "203.", (), "E122", None),
    ],
)
def test_an_operand_that_could_never_match_is_found_at_its_value(
    bench: Any, case: tuple[str, str, object, tuple[int, ...], str, str | None]
) -> None:
    attribute, operator, operand, within, code, suggestion = case
    path, found, _, near = bench.finding({attribute: {operator: operand}})
    assert (path, found) == ((attribute, operator, *within), code)
    if suggestion is not None:
        assert near == suggestion
