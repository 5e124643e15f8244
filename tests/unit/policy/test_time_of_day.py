"""`during`."""

from datetime import UTC, datetime
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("hour", "minute", "truth"), [(7, 59, False), (8, 0, True), (17, 59, True), (18, 0, False)]
)
def test_a_request_is_within_the_hours_of_its_schedule(
    bench: Any, facts: Any, hour: int, minute: int, truth: bool
) -> None:
    now = datetime(2025, 11, 24, hour, minute, tzinfo=UTC).timestamp()
    assert bench.truth({"time": {"during": "business_hours"}}, facts(now=now)) is truth


@pytest.mark.parametrize(
    ("operand", "code", "suggestion"),
    [("busines_hours", "E108", "business_hours"), (["business_hours"], "E122", None)],
)
def test_an_unknown_schedule_is_found(bench: Any, operand: object, code: str, suggestion: str | None) -> None:
    path, found, _, near = bench.finding({"time": {"during": operand}})
    assert (path, found, near) == (("time", "during"), code, suggestion)
