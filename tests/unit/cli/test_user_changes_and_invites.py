"""`gateway users set-roles`, `set-password`, `disable`, `enable`, `show`, and `gateway invites`."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import invites, user_changes, users
from gateway.settings import Settings

POLICIES = """\
version: 1
scopes:
  orders:read: List orders
roles:
  customer: {scopes: [orders:read]}
  support: {scopes: [orders:read]}
authenticators:
  gateway: {kind: gateway_jwt}
accounts:
  registration: invite
  password: {min_length: 10, reject_common: true}
defaults:
  authn: [gateway]
routes:
  - {id: orders, match: {methods: [GET], path: /orders}, upstream: orders, require: [orders:read]}
"""
UPSTREAMS = """\
version: 1
upstreams:
  orders: {targets: [{url: "http://127.0.0.1:9"}]}
"""

Printed = pytest.CaptureFixture[str]


@pytest.fixture
def settings(tmp_path: Path, data_dir: Path) -> Settings:
    (tmp_path / "policies.yaml").write_text(POLICIES)
    (tmp_path / "upstreams.yaml").write_text(UPSTREAMS)
    return Settings.model_validate(
        {
            "policies": tmp_path / "policies.yaml",
            "upstreams": tmp_path / "upstreams.yaml",
            "data_dir": data_dir,
        }
    )


def type_in(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(password.encode() + b"\n")))


@pytest.fixture
def ada(settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> dict[str, Any]:
    type_in(monkeypatch, "ten letters")
    assert (
        users.create(
            settings, "ada", email="ada@example.com", roles=["customer"], password_stdin=True, output="json"
        )
        == 0
    )
    made: dict[str, Any] = printed(capsys)
    return made


def printed(capsys: Printed) -> Any:
    return json.loads(capsys.readouterr().out)


def complaint(capsys: Printed) -> str:
    """Return the one sentence that was said."""
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    return said.err


def test_roles_are_replaced_all_at_once(settings: Settings, ada: dict[str, Any], capsys: Printed) -> None:
    assert user_changes.roles(settings, "ADA", roles=["support"], none=False, output="json") == 0
    assert printed(capsys) == {**ada, "roles": ["support"]}
    assert user_changes.roles(settings, ada["id"], roles=[], none=True, output="json") == 0
    assert printed(capsys) == {**ada, "roles": []}


@pytest.mark.parametrize(("roles", "none"), [([], False), (["support"], True)])
def test_no_roles_are_meant_only_when_it_is_said(
    settings: Settings, ada: dict[str, Any], capsys: Printed, roles: list[str], none: bool
) -> None:
    assert user_changes.roles(settings, "ada", roles=roles, none=none, output="json") == 2
    assert "--none" in complaint(capsys)


def test_a_role_is_one_of_the_policy(settings: Settings, ada: dict[str, Any], capsys: Printed) -> None:
    assert user_changes.roles(settings, "ada", roles=["suport"], none=False, output="json") == 1
    assert "did you mean 'support'?" in complaint(capsys)
    assert invites.create(settings, roles=["suport"], email=None, expires="7d", output="json") == 1
    assert "did you mean 'support'?" in complaint(capsys)


@pytest.mark.parametrize(("password", "code"), [("other words", 0), ("short", 2), ("Password12", 2)])
def test_a_password_is_replaced_as_the_policy_wants_it(
    settings: Settings,
    ada: dict[str, Any],
    capsys: Printed,
    monkeypatch: pytest.MonkeyPatch,
    password: str,
    code: int,
) -> None:
    type_in(monkeypatch, password)
    assert user_changes.password(settings, "ada", password_stdin=True, output="json") == code
    if code == 0:
        assert printed(capsys) == ada
    else:
        assert password not in complaint(capsys)


def test_an_account_is_disabled_and_enabled(settings: Settings, ada: dict[str, Any], capsys: Printed) -> None:
    assert user_changes.disable(settings, "ada", output="json") == 0
    assert printed(capsys) == {**ada, "disabled": True}
    assert user_changes.disable(settings, "ada", output="json") == 1
    assert "is disabled already" in complaint(capsys)
    assert user_changes.enable(settings, "ada", output="json") == 0
    assert printed(capsys) == ada
    assert user_changes.enable(settings, "ada", output="json") == 1


def test_one_account_is_shown_with_what_belongs_to_it(
    settings: Settings, ada: dict[str, Any], capsys: Printed
) -> None:
    assert users.show(settings, "ada@example.com", output="json") == 0
    assert printed(capsys) == {
        **ada,
        "second_factor": False,
        "sessions": [],
        "last_used_at": None,
        "keys": [],
    }
    assert users.show(settings, "bob", output="json") == 1
    assert "There is no user 'bob'" in complaint(capsys)


def test_nobody_is_not_changed(
    settings: Settings, ada: dict[str, Any], capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    type_in(monkeypatch, "other words")
    for code in (
        user_changes.roles(settings, "bob", roles=["support"], none=False, output="json"),
        user_changes.password(settings, "bob", password_stdin=True, output="json"),
        user_changes.disable(settings, "bob", output="json"),
        user_changes.enable(settings, "bob", output="json"),
    ):
        assert code == 1
    assert capsys.readouterr().err.count("There is no user 'bob'") == 4


def test_an_invitation_is_shown_once_listed_and_revoked(settings: Settings, capsys: Printed) -> None:
    assert (
        invites.create(settings, roles=["support"], email="ada@example.com", expires="7d", output="json") == 0
    )
    made = printed(capsys)
    code = made.pop("code")
    assert made["id"].startswith("inv_")
    assert (made["roles"], made["email"], made["state"]) == (["support"], "ada@example.com", "open")
    assert invites.list_all(settings, output="json") == 0
    listed = capsys.readouterr().out
    assert json.loads(listed) == [made]
    assert code not in listed
    assert invites.revoke(settings, made["id"], output="json") == 0
    assert printed(capsys) == {"id": made["id"], "state": "revoked"}
    assert invites.revoke(settings, made["id"], output="json") == 1
    assert "has ended already" in complaint(capsys)
    assert invites.revoke(settings, "inv_0", output="json") == 1
    assert "There is no invitation" in complaint(capsys)
    assert invites.list_all(settings, output="json") == 0
    assert [one["state"] for one in printed(capsys)] == ["revoked"]


@pytest.mark.parametrize(
    ("email", "expires", "code"),
    [(None, "soon", 2), (None, "0s", 2), (None, "9999d", 2), ("nowhere", "7d", 2)],
)
def test_what_is_wrong_with_an_invitation_is_said(
    settings: Settings, capsys: Printed, email: str | None, expires: str, code: int
) -> None:
    assert invites.create(settings, roles=[], email=email, expires=expires, output="json") == code
    assert complaint(capsys)


def test_an_invitation_that_nobody_could_use_comes_with_a_warning(
    settings: Settings, capsys: Printed
) -> None:
    settings.policies.write_text(POLICIES.replace("registration: invite", "registration: closed"))
    assert invites.create(settings, roles=[], email=None, expires="7d", output="json") == 0
    assert "lets nobody register" in capsys.readouterr().err
