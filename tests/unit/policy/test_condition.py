"""How conditions are put together, and what is reported when they are not well-formed."""

from typing import Any

import pytest

TRUE = {"path.order_id": {"is": "17"}}
FALSE = {"path.order_id": {"is": "18"}}
UNKNOWN = {"claims.absent": {"is": "x"}}


@pytest.mark.parametrize(
    ("tree", "truth"),
    [
        ({**TRUE, "method": {"is": "GET"}}, True),
        ({**TRUE, "method": {"is": "PUT"}}, False),
        ({**TRUE, **UNKNOWN}, None),
        ({**FALSE, **UNKNOWN}, False),
        ({"any_of": [FALSE, TRUE]}, True),
        ({"any_of": [UNKNOWN, TRUE]}, True),
        ({"any_of": [UNKNOWN, FALSE]}, None),
        ({"any_of": [FALSE, FALSE]}, False),
        ({"all_of": [TRUE, TRUE]}, True),
        ({"all_of": [UNKNOWN, FALSE]}, False),
        ({"all_of": [TRUE, UNKNOWN]}, None),
        ({"none_of": [FALSE, FALSE]}, True),
        ({"none_of": [FALSE, UNKNOWN]}, None),
        ({"none_of": [TRUE, UNKNOWN]}, False),
        ({"none_of": [UNKNOWN]}, None),
        ({"any_of": [{"all_of": [TRUE, {"none_of": [FALSE]}]}, FALSE]}, True),
        ({"any_of": [TRUE], "none_of": [TRUE]}, False),
        ({"path.order_id": {"prefix": "1", "present": True, "is": "17"}}, True),
        ({"path.order_id": {"prefix": "1", "is": "18"}}, False),
    ],
)
def test_a_mapping_is_and_and_combinators_nest(
    bench: Any, facts: Any, tree: object, truth: bool | None
) -> None:
    assert bench.truth(tree, facts()) is truth


def test_the_example_of_the_refund_route_holds_only_in_the_office_and_in_time(bench: Any, facts: Any) -> None:
    tree = {"client.ip": {"in_network": "office"}, "time": {"during": "business_hours"}}
    assert bench.truth(tree, facts()) is True
    assert bench.truth(tree, facts(client="192.0.2.1")) is False
    assert bench.truth(tree, facts(now=1_763_978_400.0 + 12 * 3600)) is False


def test_a_condition_knows_its_place_and_what_it_looks_at(bench: Any) -> None:
    tree = {"any_of": [{"header.X-Tenant": {"is": "a"}}, {"client.ip": {"in_network": "office"}}]}
    condition = bench.compile(tree)
    assert condition is not None
    assert condition.place == "policies.yaml:0"
    assert condition.attributes == {"header.x-tenant", "client.ip"}
    assert not condition.needs_identity


def test_everything_that_is_wrong_is_reported_at_once(bench: Any) -> None:
    tree = {
        "any_of": [{"client.ip": {"in_network": "ofice"}}, {"claim.sub": {"is": "x"}}],
        "time": {"durng": "business_hours", "during": "never"},
    }
    assert bench.compile(tree) is None
    assert [(path, code, near) for path, code, _, near in bench.findings] == [
        (("any_of", 0, "client.ip", "in_network"), "E106", "office"),
        (("any_of", 1, "claim.sub"), "E121", "claims.sub"),
        (("time", "durng"), "E120", "during"),
        (("time", "during"), "E108", None),
    ]


@pytest.mark.parametrize(
    ("tree", "path"),
    [
        ({}, ()),
        (None, ()),
        ([], ()),
        ("time", ()),
        ({"any_of": []}, ("any_of",)),
        ({"any_of": {}}, ("any_of",)),
        ({"any_of": TRUE}, ("any_of",)),
        ({"any_of": [{}]}, ("any_of", 0)),
        ({"any_of": ["time"]}, ("any_of", 0)),
        ({"none_of": []}, ("none_of",)),
        ({"client.ip": "office"}, ("client.ip",)),
        ({"client.ip": {}}, ("client.ip",)),
        ({"client.ip": None}, ("client.ip",)),
    ],
)
def test_what_is_empty_or_of_another_shape_is_found_and_never_holds(
    bench: Any, tree: object, path: tuple[object, ...]
) -> None:
    assert bench.finding(tree)[:2] == (path, "E122")


def test_keys_that_are_not_text_are_found(bench: Any) -> None:
    assert bench.finding({1: {"is": "x"}})[1] == "E121"
    bench.findings.clear()
    assert bench.finding({"claims.sub": {True: "x"}})[1] == "E120"


def test_conditions_nest_only_so_deep(bench: Any) -> None:
    tree: object = TRUE
    for _ in range(500):
        tree = {"any_of": [tree]}
    assert bench.finding(tree)[1] == "E122"
