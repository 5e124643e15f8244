"""What a start says of settings that do not go with the policy, and goes on."""

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.assembly.whole import _warn_of_certificates
from gateway.config import Snapshot, load_configuration
from gateway.identity import AuthenticatorSpec
from gateway.settings import load_settings

MACHINES = AuthenticatorSpec(name="machines", kind="mtls", subject="san_uri")
TLS = {"GATEWAY_TLS_CERT": "c", "GATEWAY_TLS_KEY": "k"}


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    (tmp_path / "policies.yaml").write_text("version: 1\n")
    (tmp_path / "upstreams.yaml").write_text("version: 1\n")
    loaded = load_configuration(tmp_path / "policies.yaml", tmp_path / "upstreams.yaml", environ={})
    assert loaded.snapshot is not None, loaded.findings
    return loaded.snapshot


@pytest.mark.parametrize(
    ("settings", "knows_machines", "said"),
    [
        ({}, False, ""),
        ({}, True, "client_certificates_not_asked_for"),
        (TLS, False, "public_url_without_tls"),
        (
            {**TLS, "GATEWAY_TLS_CLIENT_CA": "a", "GATEWAY_PUBLIC_URL": "https://api.example.com"},
            True,
            "",
        ),
    ],
)
def test_what_does_not_go_together_is_said(
    snapshot: Snapshot,
    settings: dict[str, str],
    knows_machines: bool,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    known = {"machines": MACHINES} if knows_machines else {}
    _warn_of_certificates(load_settings(settings), replace(snapshot, authenticators=known))
    shown = capsys.readouterr().out
    assert said in shown
    assert bool(shown) is bool(said)
