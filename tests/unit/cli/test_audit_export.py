"""`gateway audit export` and `hash`."""

import asyncio
import csv
import io
import json
import sys

import pytest
from support.records import leave_behind

from gateway.assembly import open_stores
from gateway.audit import keyed_hash
from gateway.cli import audit
from gateway.cli.audit_export import export, hash_
from gateway.formats import FORMATS
from gateway.model import timestamp
from gateway.ports import SystemClock
from gateway.settings import Settings


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("format", FORMATS)
def test_all_records_that_match_are_a_line_each_oldest_first(
    settings: Settings, capsys: pytest.CaptureFixture[str], format: str
) -> None:
    leave_behind(
        settings, *({"route": "r", "status": 200 + number} for number in range(3)), {"route": "other"}
    )
    assert export(settings, ["route:r"], format=format) == 0
    found = lines(capsys)
    if format == "csv":
        assert found[0].startswith("writer,seq,time,")
        assert [row["status"] for row in csv.DictReader(io.StringIO("\n".join(found)))] == [
            "200",
            "201",
            "202",
        ]
    else:
        assert len(found) == 3
        assert [str(status) in line for status, line in zip((200, 201, 202), found, strict=True)] == [
            True
        ] * 3


def test_more_than_a_page_is_exported_and_nothing_twice(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.operations.audit._AT_ONCE", 1000)
    leave_behind(settings, *({"status": number} for number in range(2500)))
    assert export(settings, ["kind:decision"], format="jsonl") == 0
    assert [json.loads(line)["status"] for line in lines(capsys)] == list(range(2500))


def test_a_trail_without_records_is_no_lines(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(settings, ["kind:decision"], format="jsonl") == 0
    assert lines(capsys) == []
    assert export(settings, ["kind:decision"], format="csv") == 0
    assert lines(capsys) == [FORMATS["csv"].header().decode()]


def test_an_export_has_limits_in_time_and_ends_when_it_began(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    now = SystemClock().now()
    leave_behind(settings, *({"time": timestamp(now + ago), "status": -ago} for ago in (-7200, -1800, 3600)))
    for since, until, found in (("3h", None, [7200, 1800]), ("3h", "1h", [7200]), ("1h", None, [1800])):
        assert export(settings, ["kind:decision"], format="jsonl", since=since, until=until) == 0
        assert [json.loads(line)["status"] for line in lines(capsys)] == found


def test_an_export_is_recorded(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(settings, ["decision:deny"], format="cef", since="100000d") == 0
    assert lines(capsys) == []
    assert audit.list_(settings, ["action:audit.read"], output="json") == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert record["attributes"].pop("until") <= record["time"]
    assert record["attributes"] == {
        "command": "export",
        "format": "cef",
        "filter": "decision:deny",
        "since": "1970-01-01T00:00:00.000000Z",
    }


@pytest.mark.parametrize(
    ("words", "options", "complaint"),
    [
        (["nonsense"], {}, "'nonsense' is not FIELD:VALUE"),
        ([], {"since": "soon"}, "--since: 'soon' is not a time"),
        (["until:1h"], {"until": "1h"}, "until: is given twice"),
    ],
)
def test_what_is_not_clear_is_one_sentence(
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    options: dict[str, str],
    complaint: str,
) -> None:
    assert export(settings, words, format="jsonl", **options) == 2
    said = capsys.readouterr()
    assert complaint in said.err
    assert said.out == ""
    assert {file.name for file in settings.data_dir.iterdir()} == {"gateway.db", "secret"}


@pytest.mark.parametrize("given", [b"203.0.113.7", b"203.0.113.7\n", b"203.0.113.7\r\n"])
def test_the_hash_of_a_value_is_the_one_that_records_have(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, given: bytes
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
    assert hash_(settings) == 0
    assert lines(capsys) == [keyed_hash(asyncio.run(_hash_key(settings)), "203.0.113.7")]


async def _hash_key(settings: Settings) -> bytes:
    async with open_stores(settings) as stores:
        return stores.roots.derive("audit-hash")


@pytest.mark.parametrize(
    ("given", "code", "complaint"),
    [
        (b"", 2, "there is no value on standard input"),
        (b"\n", 2, "there is no value"),
        (b"\xff", 1, "not UTF-8"),
    ],
)
def test_no_value_has_no_hash(
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    given: bytes,
    code: int,
    complaint: str,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
    assert hash_(settings) == code
    assert complaint in capsys.readouterr().err
