"""`present`."""

from typing import Any

import pytest


@pytest.mark.parametrize(
    ("attribute", "there"),
    [
        ("claims.sub", True),
        ("claims.groups", True),
        ("claims.nothing", False),
        ("claims.absent", False),
        ("header.x-once", True),
        ("header.x-twice", False),
        ("header.x-absent", False),
        ("query.once", True),
        ("query.twice", False),
        ("principal.id", True),
    ],
)
def test_presence_is_never_unknown(bench: Any, facts: Any, attribute: str, there: bool) -> None:
    request = facts(
        lines=((b"X-Once", b""), (b"X-Twice", b"a"), (b"X-Twice", b"a")), query="once=&twice=1&twice=2"
    )
    assert bench.truth({attribute: {"present": True}}, request) is there
    assert bench.truth({attribute: {"present": False}}, request) is not there


@pytest.mark.parametrize("operand", ["yes", 1, None, []])
def test_only_a_truth_value_fits(bench: Any, operand: object) -> None:
    assert bench.finding({"claims.sub": {"present": operand}})[:2] == (("claims.sub", "present"), "E122")
