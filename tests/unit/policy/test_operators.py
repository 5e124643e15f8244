"""Which operators there are, and what they can be asked of."""

from typing import Any

import pytest

from gateway.policy.operators import OPERATORS


def test_these_are_the_operators() -> None:
    assert set(OPERATORS) == {
        "is",
        "in",
        "has",
        "same_as",
        "prefix",
        "present",
        "in_network",
        "not_in_network",
        "during",
    }


@pytest.mark.parametrize(
    ("attribute", "operator", "suggestion"),
    [
        ("client.ip", "in_netwrk", "in_network"),
        ("claims.sub", "sameas", "same_as"),
        ("claims.sub", "matches", None),
        ("claims.sub", "Is", None),
    ],
)
def test_an_unknown_operator_is_found_at_its_key(
    bench: Any, attribute: str, operator: str, suggestion: str | None
) -> None:
    path, code, message, near = bench.finding({attribute: {operator: "x"}})
    assert (path, code) == ((attribute, operator), "E120")
    assert operator in message
    if suggestion is not None:
        assert near == suggestion
