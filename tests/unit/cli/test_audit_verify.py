"""`gateway audit verify` and `prune`, on a real database and a real spool."""

import asyncio
import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from gateway.assembly import StoreAway, open_stores
from gateway.audit import encode
from gateway.cli import audit, audit_prune, audit_verify
from gateway.crypto import NoteKey, NoteSigner
from gateway.model import timestamp
from gateway.ports import SystemClock
from gateway.settings import Settings
from gateway.stores.spool import SpoolWriter

DAY = 86400.0


def _write(settings: Settings, count: int = 5, *, age: float = 0.0) -> str:
    """Write records as a process does that is killed afterwards; return its writer."""

    async def story() -> str:
        spool = SpoolWriter.open(settings.data_dir / "spool")
        at = timestamp(time.time() - age)
        for number in range(count):
            spool.append(encode({"time": at, "kind": "event", "action": "audit.read", "status": number}))
        await spool.flushed()
        spool.close()
        return spool.writer

    settings.data_dir.mkdir(mode=0o700, exist_ok=True)
    return asyncio.run(story())


def _ship(settings: Settings, *, age: float = 0.0) -> list[str]:
    """Bring everything to the database, and sign for it at some time; return the checkpoints."""

    class Past(SystemClock):
        def now(self) -> float:
            return super().now() - age

    async def story() -> list[str]:
        async with open_stores(settings) as stores:
            stores.audit.notary._clock = Past()
            await stores.audit.deliverer().drain()
            return [one.note for one in await stores.audit.checkpoints.after(0, limit=100)]

    return asyncio.run(story())


def _tamper(settings: Settings, *statements: str) -> None:
    """Change the database as its owner can."""
    with closing(sqlite3.connect(settings.data_dir / "gateway.db", isolation_level=None)) as connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            connection.execute(f'DROP TRIGGER "{name}"')
        for statement in statements:
            connection.execute(statement)


def _found(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_an_empty_trail_is_whole(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit_verify.verify(settings) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["trail", "whole"],
        ["records", "0 of 0 writers"],
        ["checkpoints", "0"],
        ["proved", "nothing: there is no checkpoint"],
        ["unproven", "0 records"],
        ["findings", "0"],
    ]


def test_what_is_shipped_and_what_is_not_is_checked(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    _write(settings, 5)
    (note,) = _ship(settings)
    _write(settings, 3)
    assert audit_verify.verify(settings, output="json") == 0
    found = _found(capsys)
    assert found["whole"] is True
    assert (found["records"], found["unproven"], found["checkpoints"]) == (8, 3, 1)
    assert isinstance(found["proved"], dict)
    assert found["proved"]["checkpoint"] == 1
    assert found["proved"]["place"] == "the database"
    assert found["proved"]["time"] in note


def test_records_that_nothing_vouches_for_are_named(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    _write(settings, 5)
    _ship(settings)
    writer = _write(settings, 3)
    assert audit_verify.verify(settings, output="json") == 0
    found = _found(capsys)
    assert isinstance(found["unproven_stretches"], list)
    (stretch,) = found["unproven_stretches"]
    assert stretch.pop("since") == stretch.pop("until")
    why = "no checkpoint knows this writer yet; its log is on this machine"
    assert stretch == {"writer": writer, "first": 1, "last": 3, "records": 3, "why": why}
    assert found["unproven_stretches_found"] == 1
    for _ in range(21):
        _write(settings, 1)
    assert audit_verify.verify(settings) == 0
    lines = capsys.readouterr().out.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("UNPROVEN"))
    assert lines[start].split() == ["UNPROVEN", "RECORDS", "SINCE", "UNTIL", "WHY"]
    assert any(line.startswith(f"{writer}  1 to 3 ") and line.endswith(why) for line in lines)
    assert len(lines[start + 1 :]) == 21
    assert lines[-1].startswith("and ")


def test_checking_is_recorded(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    _write(settings, 5)
    assert audit_verify.verify(settings) == 0
    capsys.readouterr()
    assert audit.list_(settings, ["action:audit.read", "actor.kind:operator"], output="json") == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert record["attributes"] == {"command": "verify", "records": 5, "findings": 0}


def test_a_record_that_is_gone_is_a_finding_that_names_it(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = _write(settings, 5)
    _ship(settings)
    _tamper(settings, "DELETE FROM audit_chunks")
    assert audit_verify.verify(settings) == 1
    shown = capsys.readouterr().out
    assert "NOT WHOLE" in shown
    assert any(line.startswith(writer) and "1 to 5" in line for line in shown.splitlines())
    assert audit_verify.verify(settings, output="json") == 1
    found = _found(capsys)
    assert (found["whole"], found["found"]) == (False, 1)
    assert isinstance(found["findings"], list)
    (finding,) = found["findings"]
    assert (finding["writer"], finding["first"], finding["last"]) == (writer, 1, 5)


def test_a_name_that_would_steer_the_terminal_does_not(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    _write(settings)
    _ship(settings)
    _tamper(settings, "UPDATE audit_writers SET writer = 'a' || char(27) || '[2J'")
    assert audit_verify.verify(settings) == 1
    assert "\x1b" not in capsys.readouterr().out


class TestElsewhere:
    def test_the_copy_says_how_far_the_proof_reaches(
        self, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        _write(settings, 5)
        copy = tmp_path / "copy.txt"
        copy.write_text("\n".join(_ship(settings)))
        _write(settings, 4)
        _ship(settings)
        assert audit_verify.verify(settings, checkpoints=str(copy), output="json") == 0
        found = _found(capsys)
        assert isinstance(found["proved"], dict)
        assert (found["proved"]["checkpoint"], found["proved"]["place"]) == (1, str(copy))
        assert found["unproven"] == 4

    def test_the_copies_that_the_settings_name_are_taken_by_themselves_where_they_exist(
        self, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        copy, absent = tmp_path / "a copy", tmp_path / "absent"
        urls = ["stdout:", f"file:{absent}", f"file:{tmp_path}/a%20copy"]
        settings = settings.model_copy(update={"audit_checkpoints": tuple(urls)})
        _write(settings, 5)
        notes = _ship(settings)
        assert audit_verify.verify(settings, output="json") == 0
        proved = _found(capsys)["proved"]
        assert isinstance(proved, dict)
        assert proved["place"] == "the database"
        copy.write_text("\n".join(notes))
        _tamper(settings, "DELETE FROM audit_checkpoints")
        assert audit_verify.verify(settings, output="json") == 1
        proved = _found(capsys)["proved"]
        assert isinstance(proved, dict)
        assert proved["place"] == str(copy)
        copy.unlink()
        copy.mkdir()
        assert audit_verify.verify(settings) == 2
        assert f"GATEWAY_AUDIT_CHECKPOINTS: {copy}: Is a directory" in capsys.readouterr().err

    def test_what_is_gone_with_its_checkpoints_is_missing_elsewhere(
        self, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        writer = _write(settings, 5)
        copy = tmp_path / "copy.txt"
        copy.write_text("\n".join(_ship(settings)))
        _tamper(
            settings,
            *(
                f"DELETE FROM {table}"
                for table in ("audit_chunks", "audit_writers", "audit_checkpoints", "audit_terms")
            ),
        )
        assert audit_verify.verify(settings) == 0
        capsys.readouterr()
        assert audit_verify.verify(settings, checkpoints=str(copy), output="json") == 1
        findings = _found(capsys)["findings"]
        assert isinstance(findings, list)
        assert [(one["writer"], one["first"], one["last"]) for one in findings] == [
            (None, None, None),
            (writer, 1, 5),
        ]

    def test_a_file_that_is_not_text_has_no_checkpoints(
        self, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        copy = tmp_path / "copy.txt"
        copy.write_bytes(bytes(range(256)) * 10)
        assert audit_verify.verify(settings, checkpoints=str(copy)) == 2
        assert "nothing" in capsys.readouterr().out


class TestKeys:
    def test_the_key_is_shown(self, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
        assert audit_verify.verify(settings, show_key=True) == 0
        assert NoteKey.parse(capsys.readouterr().out.strip()).name == "gateway-audit"

    def test_the_keys_of_a_file_are_taken_instead(
        self, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        _write(settings)
        _ship(settings)
        audit_verify.verify(settings, show_key=True)
        own = capsys.readouterr().out
        other = NoteSigner("gateway-audit", bytes(32)).key
        keys = tmp_path / "keys"
        keys.write_text(f"{other}\n\n{own}")
        assert audit_verify.verify(settings, key=str(keys)) == 0
        keys.write_text(f"{other}\n")
        assert audit_verify.verify(settings, key=str(keys)) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("absent", None), "--checkpoints: absent: No such file"),
        ((".", None), "--checkpoints: .: Is a directory"),
        ((None, "absent"), "--key: absent: No such file"),
        ((None, "empty"), "--key: empty: there is no key; `gateway audit verify --show-key` prints them"),
        ((None, "wrong"), "--key: wrong: this is no Ed25519 key"),
    ],
)
def test_a_file_that_cannot_be_used_is_two(
    settings: Settings,
    tmp_path: Path,
    arguments: tuple[str | None, str | None],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").write_text("\n")
    Path("wrong").write_text("ssh-ed25519 AAAA\n")
    checkpoints, key = arguments
    assert audit_verify.verify(settings, checkpoints=checkpoints, key=key) == 2
    assert said in capsys.readouterr().err


def test_a_database_that_is_away_is_two(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def away(settings: Settings) -> None:
        raise StoreAway("the database does not answer")

    monkeypatch.setattr(audit_verify, "at_the_command_line", away)
    assert audit_verify.verify(settings) == 2
    assert capsys.readouterr().err == "gateway: the database does not answer\n"


class TestPrune:
    def _pruned(self, settings: Settings, **arguments: str) -> int:
        return audit_prune.prune(settings, **arguments)

    def test_old_days_are_removed_and_the_trail_is_still_whole(
        self, settings: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        _write(settings, 5, age=10 * DAY)
        _write(settings, 4, age=9 * DAY)
        _ship(settings, age=9 * DAY)
        _write(settings, 3)
        _ship(settings)
        assert self._pruned(settings, before="5d") == 0
        assert capsys.readouterr().out == "Removed: 2 days.\n"
        assert audit_verify.verify(settings, output="json") == 0
        # The three that stay, and what tells of the removal.
        assert _found(capsys)["records"] == 4
        assert audit.list_(settings, ["action:audit.gap"], output="json") == 0
        (record,) = json.loads(capsys.readouterr().out)
        assert record["attributes"]["days"] == 2
        assert record["actor"]["kind"] == "operator"

    def test_more_than_the_old_days_being_gone_is_found(self, settings: Settings) -> None:
        _write(settings, 5, age=10 * DAY)
        _ship(settings, age=10 * DAY)
        _write(settings, 3)
        _ship(settings)
        assert self._pruned(settings, before="5d") == 0
        _tamper(settings, "DELETE FROM audit_chunks")
        assert audit_verify.verify(settings) == 1

    def test_young_records_are_not_removed_as_old_ones_by_who_writes_to_the_database(
        self, settings: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        writer = _write(settings, 5)
        _ship(settings)
        # The last of them seems to be old, so that all that are before it count as removed on purpose.
        _tamper(settings, "UPDATE audit_chunks SET day = 10", "UPDATE audit_terms SET day = 10")
        assert self._pruned(settings, before="5d") == 0
        assert "Nothing is old enough" in capsys.readouterr().out
        _tamper(settings, "DELETE FROM audit_chunks WHERE day = 10")
        assert audit_verify.verify(settings, output="json") == 1
        findings = _found(capsys)["findings"]
        assert isinstance(findings, list)
        assert [(one["writer"], one["first"], one["last"]) for one in findings] == [(writer, 1, 5)]

    def test_what_is_kept_by_the_settings_is_the_default(
        self, settings: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        _write(settings, 5, age=10 * DAY)
        _ship(settings, age=10 * DAY)
        kept = settings.model_copy(update={"audit_keep": 30 * DAY})
        assert self._pruned(kept) == 0
        assert capsys.readouterr().out == "Nothing is old enough.\n"
        assert self._pruned(settings.model_copy(update={"audit_keep": 2 * DAY})) == 0
        assert capsys.readouterr().out == "Removed: 1 day.\n"

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ({}, "nothing says how long records are kept"),
            ({"before": "soon"}, "--before: 'soon' is no number of days"),
            ({"before": "0d"}, "--before: '0d' is no number of days"),
            ({"before": "12h"}, "--before: '12h' is no number of days"),
        ],
    )
    def test_a_time_that_is_none_is_said_to_be_none(
        self,
        settings: Settings,
        arguments: dict[str, str],
        said: str,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        assert self._pruned(settings, **arguments) == 2
        assert said in capsys.readouterr().err


def test_a_copy_without_a_checkpoint_that_can_be_trusted_proves_nothing(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _write(settings)
    _ship(settings)
    copy = tmp_path / "copy"
    copy.write_text("root:x:0:0\n")
    assert audit_verify.verify(settings, checkpoints=str(copy)) == 2
    assert f"{copy}: no checkpoint in it can be trusted" in capsys.readouterr().err


def test_a_copy_that_the_settings_name_and_that_is_not_there_is_told(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "missing"
    asked = settings.model_copy(update={"audit_checkpoints": (f"file:{missing}",)})
    assert audit_verify.verify(asked) == 0
    assert f"{missing}: there is no such file" in capsys.readouterr().err
