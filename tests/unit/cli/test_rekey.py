"""`gateway rekey` as its users see it."""

import asyncio
import io
import json
import sys
from pathlib import Path

import pytest

from gateway.assembly import StartRefused, open_stores
from gateway.cli.rekey import cancel, rekey
from gateway.crypto import load_or_create
from gateway.operations import rekey as module
from gateway.settings import Settings

NEW = "a new master secret that is long enough"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to hear of it here."""
    for name in ("ADOPTED_SECONDS", "HEARD_SECONDS", "_BETWEEN_ROUNDS"):
        monkeypatch.setattr(module, name, 0.0)


@pytest.fixture
def new_file(tmp_path: Path) -> Path:
    file = tmp_path / "new-secret"
    file.write_text(f"{NEW}\n")
    return file


def run(settings: Settings, file: str | None = None, *, keep_old: bool = False, output: str = "json") -> int:
    return rekey(settings, new_secret_file=file, keep_old=keep_old, output=output)


def test_it_says_what_was_done_and_where_the_new_secret_is(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    before = load_or_create(settings.data_dir / "secret").value.decode()
    assert run(settings) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == {
        "generation": 2,
        "values": 0,
        "sealed_anew": 0,
        "damaged": [],
        "old_secret": "shut out",
    }
    assert said.err == (
        f"The new master secret is in {settings.data_dir}/secret: back it up, apart from the database.\n"
    )
    after = load_or_create(settings.data_dir / "secret").value.decode()
    assert before != after
    assert before not in said.out + said.err
    assert after not in said.out + said.err


def test_people_read_lines(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(settings, keep_old=True, output="text") == 0
    said = capsys.readouterr()
    assert said.out == (
        "generation   2\nvalues       0\nsealed anew  0\ndamaged      -\nold secret   opens too\n"
    )
    assert "The old one opens too, until gateway rekey is run again without --keep-old.\n" in said.err
    assert run(settings, output="text") == 0
    assert "old secret   shut out\n" in capsys.readouterr().out


def test_a_secret_may_come_from_a_file_or_standard_input(
    settings: Settings, new_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(settings, str(new_file)) == 0
    assert load_or_create(settings.data_dir / "secret").value == NEW.encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{NEW} too\n".encode())))
    assert run(settings, "-") == 0
    assert load_or_create(settings.data_dir / "secret").value == f"{NEW} too".encode()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("short\n", "has 5 bytes, at least 32 are needed"),
        ("", "a master secret is one line of UTF-8 text"),
        (None, "No such file or directory"),
    ],
)
def test_what_is_no_secret_changes_nothing(
    settings: Settings,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: str | None,
    complaint: str,
) -> None:
    file = tmp_path / "given"
    if content is not None:
        file.write_text(content)
    assert run(settings, str(file)) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"gateway: --new-secret-file: {file}: ")
    assert complaint in said.err
    assert said.out == ""
    assert not (settings.data_dir / "spool").exists()


def test_a_secret_that_was_typed_wrongly_is_not_repeated(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"hunter2\n")))
    assert run(settings, "-") == 2
    said = capsys.readouterr()
    assert "standard input: the master secret has 7 bytes" in said.err
    assert "hunter2" not in said.err


def test_with_a_setting_it_says_what_to_set(
    settings: Settings, new_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = Settings.model_validate(
        {"data_dir": tmp_path / "other", "secret": "the secret that a setting has, in full"}
    )
    assert run(given) == 2
    assert "name the file that has the new one with --new-secret-file" in capsys.readouterr().err
    assert run(given, str(new_file)) == 0
    said = capsys.readouterr()
    assert said.err == (
        "Every gateway and command needs the new master secret before it starts again: "
        f"set GATEWAY_SECRET_FILE to {new_file}. Those that run go on, but a worker that ends comes back only then.\n"
    )
    with pytest.raises(StartRefused, match="was changed, and shut out on"):
        run(given, str(new_file))


def test_a_refusal_is_one_sentence_and_exit_code_one(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cancel(settings, output="json") == 1
    assert capsys.readouterr().err == "gateway: No change of the master secret has begun.\n"


def test_a_file_that_cannot_be_written_is_a_failure(
    settings: Settings, new_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (settings.data_dir / "secret.new").mkdir()
    assert run(settings, str(new_file)) == 1
    said = capsys.readouterr().err
    assert "secret.new: cannot be written: Is a directory; run the command again when that is mended" in said


def test_a_change_that_is_given_up_is_told(
    settings: Settings, new_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    present = load_or_create(settings.data_dir / "secret")
    assert run(settings, str(new_file), keep_old=True) == 0
    (settings.data_dir / "secret").write_bytes(present.value + b"\n")
    capsys.readouterr()
    assert cancel(settings, output="json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "generation": 2,
        "new_secret": "shut out",
        "old_secret": "in use",
    }


def test_the_change_is_recorded_with_who_made_it(settings: Settings) -> None:
    assert run(settings) == 0
    assert asyncio.run(_recorded(settings)) == ["secret.changed", "secret.changed"]


async def _recorded(settings: Settings) -> list[str]:
    from gateway.ports import AuditQuery

    async with open_stores(settings) as stores:
        found = await stores.trail.find(AuditQuery(limit=10))
    bodies = [json.loads(record.body) for record in found]
    assert {body["actor"]["kind"] for body in bodies} == {"operator"}
    assert [body["attributes"]["step"] for body in bodies] == ["finished", "begun"]
    return [body["action"] for body in bodies]
