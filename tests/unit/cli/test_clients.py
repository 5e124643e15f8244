"""`gateway clients`, on an empty directory as an operator finds it."""

import io
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


JWK = {"kty": "OKP", "crv": "X25519", "x": "3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08", "kid": "2026"}
"""The public key of RFC 8037, appendix A.6."""
THUMBPRINT = "giQqigT_IKcuzHl0FVJ3k5ts3_TWNAxvsC08UZsfcM8"


@pytest.fixture
def jwk_file(tmp_path: Path) -> str:
    file = tmp_path / "billing.jwk"
    file.write_text(json.dumps({**JWK, "use": "enc", "note": "ours"}))
    return str(file)


def listed(settings: Settings, capsys: pytest.CaptureFixture[str]) -> Any:
    assert clients.list_all(settings, output="json") == 0
    return printed(capsys)[0]


def test_a_client_may_come_with_a_public_key(
    settings: Settings, capsys: pytest.CaptureFixture[str], jwk_file: str
) -> None:
    assert clients.create(settings, "billing", roles=[], jwk_file=jwk_file, output="json") == 0
    assert printed(capsys)["key_thumbprint"] == THUMBPRINT
    assert listed(settings, capsys)["key_thumbprint"] == THUMBPRINT
    assert clients.rotate(settings, "billing", overlap="0s", output="json") == 0
    assert printed(capsys)["key_thumbprint"] == THUMBPRINT


def test_a_client_is_given_a_public_key_and_loses_it(
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
    jwk_file: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert clients.create(settings, "billing", roles=[], output="json") == 0
    assert printed(capsys)["key_thumbprint"] is None
    assert clients.set_jwk(settings, "billing", jwk_file=jwk_file, none=False, output="json") == 0
    assert printed(capsys)["key_thumbprint"] == THUMBPRINT
    assert clients.set_jwk(settings, "billing", jwk_file=None, none=True, output="json") == 0
    assert printed(capsys)["key_thumbprint"] is None
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps(JWK).encode())))
    assert clients.set_jwk(settings, "billing", jwk_file="-", none=False, output="text") == 0
    assert THUMBPRINT in capsys.readouterr().out
    assert listed(settings, capsys)["key_thumbprint"] == THUMBPRINT


@pytest.mark.parametrize("members", [{"d": "AA"}, {"crv": "Ed25519"}, {"kty": "RSA"}, {"use": "sig"}])
def test_a_key_that_is_not_for_that_is_not_taken(
    settings: Settings, capsys: pytest.CaptureFixture[str], tmp_path: Path, members: dict[str, str]
) -> None:
    file = tmp_path / "billing.jwk"
    file.write_text(json.dumps({**JWK, **members}))
    assert clients.create(settings, "billing", roles=[], jwk_file=str(file), output="json") == 2
    assert clients.set_jwk(settings, "billing", jwk_file=str(file), none=False, output="json") == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count(f"the key in --jwk-file {file} cannot be used") == 2
    assert clients.list_all(settings, output="json") == 0
    assert printed(capsys) == []


def test_a_key_is_given_or_taken_and_not_both(
    settings: Settings, capsys: pytest.CaptureFixture[str], jwk_file: str
) -> None:
    for file, none in ((None, False), (jwk_file, True)):
        assert clients.set_jwk(settings, "billing", jwk_file=file, none=none, output="json") == 2
        assert "--none" in capsys.readouterr().err
    assert clients.set_jwk(settings, "billing", jwk_file=None, none=True, output="json") == 1
    assert "gateway clients list" in capsys.readouterr().err
    assert clients.set_jwk(settings, "billing", jwk_file="missing", none=False, output="json") == 2
    assert "missing cannot be read" in capsys.readouterr().err
