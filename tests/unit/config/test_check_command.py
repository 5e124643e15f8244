"""`gateway check` and `gateway schema`, as a script sees them."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.cli.check import check
from gateway.cli.schema import schema


@pytest.fixture
def files(
    tmp_path: Path,
    policies: str,
    upstreams: str,
    environ: Mapping[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Path, Path]:
    (tmp_path / "policies.yaml").write_text(policies)
    (tmp_path / "upstreams.yaml").write_text(upstreams)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return Path("policies.yaml"), Path("upstreams.yaml")


def _check(
    files: tuple[Path, Path], *, strict: bool = False, no_secrets: bool = False, output: str = "text"
) -> int:
    return check(*files, strict=strict, no_secrets=no_secrets, output=output)


def test_a_sound_configuration_is_summed_up(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert _check(files, strict=True) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-1] == (
        "5 routes, 6 (method, route) pairs, 3 roles, 3 scopes, 2 upstreams · 0 errors, 0 warnings"
    )
    assert out[-2] == "policies.yaml:32:84: note[W311]: public: GET /healthz: Probe"


def test_warnings_fail_only_where_that_is_asked_for(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    files[0].write_text(files[0].read_text().replace("roles:\n", "roles:\n  empty: {}\n", 1))
    assert _check(files) == 0
    assert _check(files, strict=True) == 1
    assert "warning[W303]" in capsys.readouterr().out


def test_errors_fail(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    files[1].write_text("version: 2\n")
    assert _check(files) == 1
    assert "error[E125]" in capsys.readouterr().out


def test_a_file_that_cannot_be_read_is_another_answer(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    files[0].unlink()
    assert _check(files) == 2
    assert capsys.readouterr().out.startswith(
        "policies.yaml: error[E002]: the file cannot be read: no such file"
    )


def test_secret_files_are_left_alone_when_asked(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    files[1].write_text(files[1].read_text().replace("${env:TOKEN}", "${file:/nowhere/token}"))
    assert _check(files) == 1
    assert _check(files, no_secrets=True) == 0
    capsys.readouterr()


def test_machines_get_json(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert _check(files, output="json") == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["errors"], data["warnings"], data["routes"], data["upstreams"]) == (0, 0, 5, 2)
    assert len(data["revision"]) == 12
    assert {each["code"] for each in data["findings"]} == {"W310", "W311"}


def test_ci_gets_its_own_formats(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert _check(files, output="sarif") == 0
    assert json.loads(capsys.readouterr().out)["version"] == "2.1.0"
    assert _check(files, output="github") == 0
    assert capsys.readouterr().out.startswith("::notice file=policies.yaml,line=")


def test_a_schema_is_printed_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert schema("policies") == 0
    assert "routes" in json.loads(capsys.readouterr().out)["properties"]
    assert schema("upstreams") == 0
    assert "upstreams" in json.loads(capsys.readouterr().out)["properties"]
    assert schema("routes") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "policies or upstreams" in captured.err
