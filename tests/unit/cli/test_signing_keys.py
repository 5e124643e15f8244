"""`gateway signing-keys`: the life of a key from the command line."""

import json
from typing import Any

import pytest

from gateway.cli import signing_keys
from gateway.settings import Settings


def listed(settings: Settings, capsys: pytest.CaptureFixture[str]) -> Any:
    assert signing_keys.list_all(settings, output="json") == 0
    return json.loads(capsys.readouterr().out)


def made(settings: Settings, capsys: pytest.CaptureFixture[str], *, now: bool) -> Any:
    assert signing_keys.rotate(settings, now=now, output="json") == 0
    return json.loads(capsys.readouterr().out)


def test_a_new_database_has_no_key_and_says_who_makes_one(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert signing_keys.list_all(settings, output="text") == 0
    assert "gateway serve" in capsys.readouterr().out


def test_keys_are_rotated_listed_and_revoked(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    first = made(settings, capsys, now=False)
    assert (first["state"], first["verifies_until"]) == ("active", None)
    second = made(settings, capsys, now=False)
    assert second["state"] == "next"
    assert second["signs_from"] > second["created_at"]
    assert [(row["kid"], row["state"]) for row in listed(settings, capsys)] == [
        (second["kid"], "next"),
        (first["kid"], "active"),
    ]
    assert signing_keys.rotate(settings, now=False, output="text") == 1
    assert "--now" in capsys.readouterr().err
    third = made(settings, capsys, now=True)
    assert third["state"] == "active"

    assert signing_keys.revoke(settings, third["kid"], output="json") == 0
    revoked = json.loads(capsys.readouterr().out)
    assert (revoked["kid"], revoked["state"]) == (third["kid"], "revoked")
    states = {row["kid"]: row["state"] for row in listed(settings, capsys)}
    assert third["kid"] not in states
    assert states[revoked["successor"]] == "active"


def test_a_key_that_there_is_not_is_named(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert signing_keys.revoke(settings, "nothing", output="text") == 1
    error = capsys.readouterr().err
    assert "'nothing'" in error
    assert "signing-keys list" in error


def test_what_is_printed_for_people_holds_no_secret(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert signing_keys.rotate(settings, now=True, output="text") == 0
    assert signing_keys.list_all(settings, output="text") == 0
    printed = capsys.readouterr().out
    assert "active" in printed
    assert "BEGIN" not in printed
