"""Who acts at the command line."""

import os

import pytest

from gateway.model import PrincipalKind
from gateway.operations import operator_at_the_command_line


def test_the_operator_is_whom_the_system_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "somebody-else")
    monkeypatch.setenv("LOGNAME", "somebody-else")
    operator = operator_at_the_command_line()
    assert operator.kind is PrincipalKind.OPERATOR
    assert operator.id == f"uid:{os.getuid()}"
    assert operator.name != "somebody-else"


def test_a_process_without_a_name_acts_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 3_999_999)
    assert operator_at_the_command_line().name == "3999999"
