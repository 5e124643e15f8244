"""Exit codes: 2 for what cannot be read, 1 for what is refused because of how things are."""

import io
import json
import sys
from pathlib import Path

import pytest

from gateway.cli import blocks, invites, keys, users
from gateway.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    return Settings.model_validate({"data_dir": data_dir})


def create_user(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, name: str = "ada", email: str = "ada@example.com"
) -> int:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"correct horse battery")))
    return users.create(settings, name, email=email, roles=(), password_stdin=True, output="json")


def test_an_address_that_is_none_cannot_be_read(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert blocks.add(settings, "nope", lasts=None, reason="by hand", output="json") == 2
    assert blocks.remove(settings, "nope", output="json") == 2
    assert "'nope' is not an address" in capsys.readouterr().err
    assert blocks.remove(settings, "203.0.113.7", output="json") == 1


def test_a_mail_address_that_is_none_cannot_be_read(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert create_user(settings, monkeypatch, email="bad") == 2
    assert invites.create(settings, roles=[], email="bad", expires="7d", output="json") == 2
    assert "email must look like name@example.com" in capsys.readouterr().err
    assert create_user(settings, monkeypatch) == 0
    assert create_user(settings, monkeypatch) == 1


def test_an_end_at_once_is_said_to_be_too_soon(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = (
        invites.create(settings, roles=[], email=None, expires="0s", output="json"),
        keys.create(settings, "nightly", user="ada", scopes=[], expires="0s", output="json"),
        blocks.add(settings, "203.0.113.7", lasts="0min", reason="by hand", output="json"),
    )
    assert codes == (2, 2, 2)
    assert [line.partition(", as in")[0] for line in capsys.readouterr().err.splitlines()] == [
        "gateway: --expires: '0s' must be more than nothing",
        "gateway: --expires: '0s' must be more than nothing",
        "gateway: --for: '0min' must be more than nothing",
    ]


def test_how_often_an_address_was_blocked_is_a_number(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert blocks.add(settings, "203.0.113.7", lasts="1h", reason="by hand", output="json") == 0
    assert json.loads(capsys.readouterr().out)["times"] == 1
    assert blocks.list_all(settings, output="text") == 0
    assert capsys.readouterr().out.splitlines()[1].endswith("1")
