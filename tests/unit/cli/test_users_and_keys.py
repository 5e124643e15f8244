"""`gateway users` and `gateway keys`, on an empty directory as an operator finds it."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import keys, users
from gateway.settings import Settings

POLICIES = """\
version: 1
scopes:
  orders:read: List orders
  orders:write: Change orders
roles:
  customer: {scopes: [orders:read]}
authenticators:
  gateway: {kind: gateway_jwt}
accounts:
  password: {min_length: 10}
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
PASSWORD = "ten letter"


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


def type_in(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def create(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    name: str = "ada",
    *,
    roles: tuple[str, ...] = (),
    password: bytes = PASSWORD.encode() + b"\n",
    output: str = "json",
) -> int:
    type_in(monkeypatch, password)
    return users.create(settings, name, email=None, roles=roles, password_stdin=True, output=output)


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_a_user_is_made_on_an_empty_directory(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert create(settings, monkeypatch, roles=("customer",)) == 0
    made = printed(capsys)
    assert made["id"].startswith("usr_")
    assert (made["username"], made["roles"], made["verified"]) == ("ada", ["customer"], True)
    assert users.list_all(settings, output="json") == 0
    assert printed(capsys) == [made]
    assert create(settings, monkeypatch, "ADA") == 1
    assert "taken" in capsys.readouterr().err


def test_a_misspelt_role_is_answered_with_the_nearest_and_nothing_is_made(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert create(settings, monkeypatch, roles=("custmer",)) == 1
    assert "there is no role 'custmer'; did you mean 'customer'?" in capsys.readouterr().err
    assert users.list_all(settings, output="json") == 0
    assert printed(capsys) == []


def test_without_a_policy_roles_are_taken_as_they_are_and_that_is_said(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.policies.unlink()
    assert create(settings, monkeypatch, roles=("custmer",), password=b"twelve letters") == 0
    said = capsys.readouterr()
    assert "not checked" in said.err
    assert json.loads(said.out)["roles"] == ["custmer"]


@pytest.mark.parametrize(
    ("password", "code", "said"),
    [
        (b"nine char", 2, "at least 10 characters"),
        (b"\n", 2, "at least 10 characters"),
        (b"one line\nand another\n", 2, "more than one line"),
        (b"\xff\xfe\xfa latin letters", 2, "not UTF-8"),
    ],
)
def test_a_password_that_cannot_be_one_is_refused(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    password: bytes,
    code: int,
    said: str,
) -> None:
    assert create(settings, monkeypatch, password=password) == code
    assert said in capsys.readouterr().err


def test_without_a_terminal_nothing_is_asked(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    type_in(monkeypatch, b"")
    assert users.create(settings, "ada", email=None, roles=(), password_stdin=False, output="text") == 2
    assert "--password-stdin" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answers", "code", "said"),
    [
        ((PASSWORD, PASSWORD), 0, ""),
        ((PASSWORD, PASSWORD + "s"), 2, "differ"),
        ((EOFError, ""), 2, "no password"),
    ],
)
def test_on_a_terminal_the_password_is_asked_for_twice(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answers: tuple[str | type[EOFError], str],
    code: int,
    said: str,
) -> None:
    left = list(answers)

    def answer(_prompt: str) -> str:
        typed = left.pop(0)
        if not isinstance(typed, str):
            raise typed
        return typed

    type_in(monkeypatch, b"")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("getpass.getpass", answer)
    assert users.create(settings, "ada", email=None, roles=(), password_stdin=False, output="text") == code
    shown = capsys.readouterr()
    assert said in shown.err
    assert PASSWORD not in shown.out + shown.err


def test_a_key_is_shown_once_and_ends_when_it_is_revoked(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    create(settings, monkeypatch, roles=("customer",))
    capsys.readouterr()
    assert keys.create(settings, "ci", user="ada", scopes=["orders:read"], expires="90d", output="json") == 0
    made = printed(capsys)
    assert made["key"].startswith("gwk_")
    assert (made["scopes"], made["state"]) == (["orders:read"], "valid")
    assert keys.list_all(settings, output="json") == 0
    listed = capsys.readouterr().out
    assert made["key"] not in listed
    assert keys.revoke(settings, made["id"], output="text") == 0
    capsys.readouterr()
    assert keys.list_all(settings, output="json") == 0
    (row,) = printed(capsys)
    assert (row["id"], row["state"]) == (made["id"], "revoked")
    assert keys.revoke(settings, made["id"], output="text") == 1
    assert "revoked already" in capsys.readouterr().err


def test_a_scope_that_the_owner_does_not_have_is_pointed_out(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    create(settings, monkeypatch, roles=())
    capsys.readouterr()
    assert keys.create(settings, "ci", user="ada", scopes=["orders:read"], expires=None, output="text") == 0
    assert "ada has no orders:read now" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("user", "scopes", "expires", "code", "said"),
    [
        ("nobody", [], None, 1, "There is no user 'nobody'"),
        ("nobody", ["orders:reed"], None, 1, "did you mean 'orders:read'?"),
        ("nobody", ["orders:write"], None, 1, "some role has"),
        ("nobody", [], "90", 2, "90d"),
        ("nobody", [], "0d", 2, "90d"),
        ("nobody", [], "999999999d", 2, "expires must be"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
    user: str,
    scopes: list[str],
    expires: str | None,
    code: int,
    said: str,
) -> None:
    assert keys.create(settings, "ci", user=user, scopes=scopes, expires=expires, output="text") == code
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.out == ""


def test_empty_lists_say_so_to_people_and_are_empty_for_programs(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert users.list_all(settings, output="text") == 0
    assert capsys.readouterr().out == "There are no users.\n"
    assert keys.list_all(settings, output="json") == 0
    assert printed(capsys) == []


def test_a_database_that_is_none_is_one_sentence(settings: Settings, tmp_path: Path) -> None:
    from gateway.assembly import StartRefused

    broken = settings.model_copy(update={"database_url": f"sqlite:///{tmp_path}/policies.yaml"})
    with pytest.raises(StartRefused, match="not a database"):
        users.list_all(broken, output="text")


def test_a_user_is_deleted_and_what_is_left_is_erased_by_id(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    create(settings, monkeypatch)
    made = printed(capsys)
    assert users.delete(settings, "ADA", erase=False, output="json") == 0
    assert printed(capsys) == {"id": made["id"], "username": "ada", "state": "deleted", "erased": False}
    assert users.list_all(settings, output="json") == 0
    assert printed(capsys) == []
    assert users.delete(settings, "ada", erase=True, output="text") == 1
    assert "is erased by its id" in capsys.readouterr().err
    assert users.delete(settings, made["id"], erase=True, output="json") == 0
    assert printed(capsys) == {
        "id": made["id"],
        "username": None,
        "state": "deleted before",
        "erased": True,
    }


def test_an_erasure_that_fails_says_what_is_left_to_do(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from gateway.ports import StoreUnavailable
    from gateway.stores.sql import SqlErasure

    async def fail(_self: SqlErasure, _subject: str, *, at: float) -> None:
        raise StoreUnavailable("the database went away")

    create(settings, monkeypatch)
    made = printed(capsys)
    monkeypatch.setattr(SqlErasure, "erase", fail)
    assert users.delete(settings, "ada", erase=True, output="text") == 1
    said = capsys.readouterr().err
    assert f"the database went away; `gateway users delete {made['id']} --erase` does that" in said
