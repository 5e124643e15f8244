"""`gateway clients`, on an empty directory as an operator finds it."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import clients
from gateway.settings import Settings

POLICIES = """\
version: 1
scopes:
  orders:read: List orders
roles:
  customer: {scopes: [orders:read]}
authenticators:
  gateway: {kind: gateway_jwt}
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


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_the_life_of_a_client(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert clients.list_all(settings, output="text") == 0
    assert "no OAuth clients" in capsys.readouterr().out
    assert clients.create(settings, "billing", roles=["customer"], output="json") == 0
    made = printed(capsys)
    assert made["id"].startswith("cli_")
    assert made["secret"].startswith("gws_")
    assert (made["name"], made["roles"], made["state"]) == ("billing", ["customer"], "valid")
    assert made["old_until"] is None

    assert clients.rotate(settings, made["id"], overlap="1h", output="json") == 0
    rotated = printed(capsys)
    assert rotated["secret"] not in {made["secret"], None}
    assert rotated["old_until"] is not None
    assert clients.list_all(settings, output="json") == 0
    (listed,) = printed(capsys)
    assert listed == {name: value for name, value in rotated.items() if name != "secret"}

    assert clients.revoke(settings, made["id"], output="json") == 0
    assert printed(capsys)["state"] == "revoked"
    assert clients.revoke(settings, made["id"], output="json") == 1
    assert "revoked already" in capsys.readouterr().err
    assert clients.rotate(settings, made["id"], overlap="0s", output="json") == 1
    assert "revoked already" in capsys.readouterr().err


def test_a_secret_on_a_terminal_is_said_to_be_shown_once(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clients.create(settings, "billing", roles=[], output="text") == 0
    said = capsys.readouterr()
    assert "gws_" in said.out
    assert "shown once" in said.err
    assert clients.create(settings, "Billing", roles=[], output="text") == 1
    assert "There is a client named 'Billing' already." in capsys.readouterr().err


def test_a_misspelt_role_is_answered_with_the_nearest(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clients.create(settings, "billing", roles=["custmer"], output="json") == 1
    assert "there is no role 'custmer'; did you mean 'customer'?" in capsys.readouterr().err


@pytest.mark.parametrize("overlap", ["", "1", "-1h", "1 h", "1w", "01h", "\u0661h"])
def test_what_is_no_duration_is_refused(
    settings: Settings, capsys: pytest.CaptureFixture[str], overlap: str
) -> None:
    assert clients.rotate(settings, "cli_1", overlap=overlap, output="json") == 2
    assert "not a duration" in capsys.readouterr().err


def test_a_client_that_is_not_there(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert clients.revoke(settings, "cli_1", output="json") == 1
    assert "gateway clients list" in capsys.readouterr().err
