"""How far a command has come."""

import io
import sys

import pytest

from gateway.cli import progress
from gateway.cli.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def counted(terminal: io.StringIO) -> str:
    with Progress("records", terminal=terminal) as shown:
        for _ in range(3):
            shown.add(1000)
    assert shown.count == 3000
    return terminal.getvalue()


def test_nothing_is_said_in_the_first_seconds() -> None:
    assert counted(Terminal()) == ""


def test_a_line_counts_and_is_gone_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_AFTER", 0.0)
    monkeypatch.setattr(progress, "_EVERY", 0.0)
    assert counted(Terminal()) == "\r1,000 records\r2,000 records\r3,000 records\r\x1b[K"
    monkeypatch.setattr(progress, "_EVERY", 60.0)
    assert counted(Terminal()) == "\r1,000 records\r\x1b[K"


def test_nothing_is_said_where_nobody_looks_or_where_the_output_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_AFTER", 0.0)
    assert counted(io.StringIO()) == ""
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert counted(Terminal()) == ""


def test_a_command_that_prints_at_its_end_may_share_its_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_AFTER", 0.0)
    monkeypatch.setattr(sys, "stdout", Terminal())
    terminal = Terminal()
    with Progress("records", terminal=terminal, silent=True) as shown:
        shown.whole = 2500
        shown.add(1000)
    assert terminal.getvalue() == "\r1,000 of about 2,500 records\r\x1b[K"
