"""`gateway keys`: networks, rotation, and what the list says."""

import json
from typing import Any

import pytest
from unit.cli.test_users_and_keys import create, settings

from gateway.cli import keys
from gateway.settings import Settings

__all__ = ["settings"]


@pytest.fixture
def owned(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Settings:
    """With a user ada."""
    create(settings, monkeypatch, roles=("customer",))
    capsys.readouterr()
    return settings


def made(settings: Settings, capsys: pytest.CaptureFixture[str], *networks: str) -> Any:
    done = keys.create(settings, "ci", user="ada", scopes=[], expires=None, networks=networks, output="json")
    assert done == 0
    return json.loads(capsys.readouterr().out)


def listed(settings: Settings, capsys: pytest.CaptureFixture[str]) -> Any:
    assert keys.list_all(settings, output="json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    return row


def test_networks_are_listed_and_none_is_anywhere(
    owned: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert made(owned, capsys, "203.0.113.0/24", "2001:db8::1")["networks"] == [
        "203.0.113.0/24",
        "2001:db8::1/128",
    ]
    row = listed(owned, capsys)
    assert (row["last_used_at"], row["old_until"], row["state"]) == (None, None, "valid")


@pytest.mark.parametrize(
    ("network", "said"),
    [("203.0.113.7/24", "did you mean 203.0.113.0/24?"), ("office", "write one as in 203.0.113.0/24")],
)
def test_a_network_that_is_none_is_refused_with_what_to_write(
    owned: Settings, capsys: pytest.CaptureFixture[str], network: str, said: str
) -> None:
    done = keys.create(owned, "ci", user="ada", scopes=[], expires=None, networks=[network], output="text")
    assert done == 2
    assert said in capsys.readouterr().err


def test_a_rotated_key_shows_its_new_secret_once_and_until_when_the_old_one_is_good(
    owned: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    first = made(owned, capsys)
    assert first["networks"] == ["*"]
    assert keys.rotate(owned, first["id"], overlap="24h", output="json") == 0
    second = json.loads(capsys.readouterr().out)
    assert second["id"] == first["id"]
    assert second["key"] != first["key"]
    assert second["old_until"] > second["created_at"]
    assert listed(owned, capsys) == {name: value for name, value in second.items() if name != "key"}
    assert keys.rotate(owned, first["id"], overlap="0s", output="json") == 0
    assert json.loads(capsys.readouterr().out)["old_until"] is None


def test_a_rotation_that_makes_no_sense_is_refused(
    owned: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert keys.rotate(owned, "key_nothing", overlap="a day", output="text") == 2
    assert "as in 24h, or 0s" in capsys.readouterr().err
    assert keys.rotate(owned, "key_nothing", overlap="1h", output="text") == 1
    assert "There is no key 'key_nothing'" in capsys.readouterr().err
