"""The command line itself: whatever is wrong with it is one sentence, and never a traceback."""

from pathlib import Path

import pytest

from gateway.cli import main as command_line


def ended(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[object, str, str]:
    monkeypatch.setattr("sys.argv", ["gateway", *words])
    with pytest.raises(SystemExit) as end:
        command_line.main()
    return end.value.code, *capsys.readouterr()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("nope", "gateway: no such command 'nope'; `gateway --help` says more"),
        ("users create", "gateway: missing argument 'name'; `gateway users create --help` says more"),
        ("keys create k1", "gateway: missing option '--user'; `gateway keys create --help` says more"),
    ],
)
def test_what_is_wrong_with_a_command_line_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str, sentence: str
) -> None:
    assert ended(monkeypatch, capsys, *words.split()) == (2, "", f"{sentence}\n")


def test_a_value_that_does_not_parse_names_its_option(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, told = ended(monkeypatch, capsys, "users", "list", "--format", "xml")
    assert (code, out, told.count("\n")) == (2, "", 1)
    assert "'--format'" in told
    assert "'text', 'json'" in told


def test_a_group_without_a_command_shows_its_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, told = ended(monkeypatch, capsys, "users")
    assert code == 2
    assert "set-password" in out + told


@pytest.mark.parametrize("words", ["--version", "schema policies"])
def test_what_cannot_be_written_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr("sys.stdout", full)
        code, _, told = ended(monkeypatch, capsys, *words.split())
    assert (code, told) == (1, "gateway: not everything could be written: No space left on device\n")


def test_a_command_that_is_fine_ends_with_0(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, told = ended(monkeypatch, capsys, "--version")
    assert (code, told) == (0, "")
    assert out.startswith("gateway ")
