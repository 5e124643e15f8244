"""`has`."""

from typing import Any

import pytest


@pytest.mark.parametrize(
    ("question", "truth"),
    [
        ({"claims.groups": {"has": "finance"}}, True),
        ({"claims.groups": {"has": "financ"}}, False),
        ({"claims.groups": {"has": 1}}, True),
        ({"claims.groups": {"has": True}}, False),
        ({"claims.groups": {"has": "1"}}, False),
        ({"claims.realm_access.roles": {"has": "auditor"}}, True),
        ({"claims.scope": {"has": "read"}}, None),
        ({"claims.level": {"has": 1}}, None),
        ({"claims.absent": {"has": "x"}}, None),
        ({"principal.roles": {"has": "support"}}, True),
    ],
)
def test_only_a_list_can_have_something(bench: Any, facts: Any, question: object, truth: bool | None) -> None:
    assert bench.truth(question, facts()) is truth


@pytest.mark.parametrize(
    ("attribute", "operand", "code", "suggestion"),
    [
        ("principal.roles", "suport", "E104", "support"),
        ("principal.roles", 1, "E104", None),
        ("claims.groups", ["a", "b"], "E122", None),
        ("claims.groups", None, "E122", None),
        ("path.order_id", "1", "E122", None),
    ],
)
def test_a_wrong_operand_is_found(
    bench: Any, attribute: str, operand: object, code: str, suggestion: str | None
) -> None:
    path, found, _, near = bench.finding({attribute: {"has": operand}})
    assert (path, found, near) == ((attribute, "has"), code, suggestion)
