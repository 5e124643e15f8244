"""What goes to the log, and what never does."""

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from gateway.observability import hide_addresses, log, set_up_logs


@pytest.fixture(autouse=True)
def _logs_of_others() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    hide_addresses(None)
    structlog.reset_defaults()
    logging.root.handlers, logging.root.level = handlers, level


def fail(token: str) -> None:
    raise ZeroDivisionError(f"after {len(token)}")


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_traceback_shows_no_variables(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(level="info", form=form)
    token = "a-very-secret-token"
    try:
        fail(token)
    except ZeroDivisionError as error:
        log.error("request_failed", exc_info=error)
    written = capsys.readouterr().out
    assert "ZeroDivisionError" in written
    assert token not in written


def test_json_is_one_line_with_event_level_and_time(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(level="info", form="json")
    log.info("serving", listen="127.0.0.1:1")
    line = json.loads(capsys.readouterr().out)
    assert (line["event"], line["level"], line["listen"]) == ("serving", "info", "127.0.0.1:1")
    assert line["timestamp"].endswith("Z")


def test_what_is_below_the_level_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(level="warning", form="json")
    log.info("serving")
    assert capsys.readouterr().out == ""


def test_every_line_of_a_worker_carries_its_number(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(level="info", form="json", worker=3)
    log.info("something")
    assert json.loads(capsys.readouterr().out)["worker"] == 3


def test_a_line_goes_out_in_one_write_with_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[str] = []

    class Output(io.StringIO):
        def write(self, text: str) -> int:
            writes.append(text)
            return len(text)

    monkeypatch.setattr(sys, "stdout", Output())
    set_up_logs(level="info", form="json")
    log.info("something")
    assert [text.count("\n") for text in writes] == [1]
    assert writes[0].endswith("}\n")


@pytest.mark.parametrize("form", ["json", "text"])
def test_the_address_of_a_client_is_shown_as_the_policy_wants_it(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logs(level="info", form=form)
    hide_addresses(lambda address: f"{address[:3]}***")
    log.info("something", source_ip="192.0.2.1")
    log.info("something", listen="192.0.2.7")
    hide_addresses(None)
    log.info("something", source_ip="192.0.2.9")
    hidden, own, shown = capsys.readouterr().out.splitlines()
    assert "192***" in hidden
    assert "192.0.2.1" not in hidden
    assert "192.0.2.7" in own
    assert "192.0.2.9" in shown
