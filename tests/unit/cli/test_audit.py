"""`gateway audit`: on an empty directory, beside a process that lives, after one that was killed."""

import asyncio
import json
import re
import shutil

import pytest
from support.records import leave_behind
from typer.testing import CliRunner

from gateway.assembly import open_stores
from gateway.cli import audit
from gateway.cli.main import app
from gateway.model import RECORD_FIELDS, Event, EventKind, Principal, PrincipalKind, timestamp
from gateway.ports import SystemClock
from gateway.settings import Settings

ALICE = Principal(
    id="usr_1", kind=PrincipalKind.USER, name="alice", authn="gateway", authn_kind="gateway_jwt"
)


def _json(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return found


def test_an_empty_trail_is_said_to_be_empty(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.list_(settings) == 0
    assert capsys.readouterr().out == "No record matches.\n"
    assert audit.list_(settings, output="json", kind="decision") == 0
    assert _json(capsys) == []


def test_what_nobody_has_shipped_yet_is_listed_newest_first_with_all_fields(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    leave_behind(
        settings, *({"time": f"2026-01-01T00:00:0{number}.000000Z", "status": number} for number in range(5))
    )
    assert audit.list_(settings, output="json", limit=3) == 0
    found = _json(capsys)
    assert [record["status"] for record in found] == [4, 3, 2]
    assert all(tuple(record) == RECORD_FIELDS for record in found)


def test_reading_is_recorded_with_what_was_asked_for(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    leave_behind(settings, {"actor": {"id": "usr_1", "name": "alice"}})
    assert audit.list_(settings, actor="alice", since="100000d") == 0
    capsys.readouterr()
    assert audit.list_(settings, kind="event", output="json") == 0
    (record,) = _json(capsys)
    assert record["action"] == "audit.read"
    assert isinstance(record["actor"], dict)
    assert record["actor"]["kind"] == "operator"
    assert record["attributes"] == {
        "command": "list",
        "since": "1970-01-01T00:00:00.000000Z",
        "filter": "actor:***",
        "limit": 50,
        "records": 1,
    }


def test_the_table_shows_what_was_decided_why_and_for_whom(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    leave_behind(
        settings,
        {
            "actor": {"id": "usr_1", "name": "alice"},
            "method": "GET",
            "path": "/orders/7",
            "decision": "deny",
            "reason": "rate-exceeded",
            "status": 429,
            "rule": "defaults:0 policies.yaml:9",
            "source_ip": "203.0.113.7",
        },
    )
    assert audit.list_(settings) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert re.split(r"\s{2,}", head) == [
        *("TIME", "KIND", "DECISION", "REASON", "STATUS", "REQUEST", "ACTOR", "RULE", "ADDRESS")
    ]
    assert re.split(r"\s{2,}", row) == [
        *(
            "2026-01-01T00:00:00.000000Z",
            "decision",
            "deny",
            "rate-exceeded",
            "429",
            "GET /orders/7",
            "alice",
        ),
        *("defaults:0 policies.yaml:9", "203.0.113.7"),
    ]


def test_the_trail_can_be_read_when_nothing_can_be_recorded(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    async def story() -> None:
        async with open_stores(settings) as stores:
            await stores.events.event(Event(kind=EventKind.LOGIN, actor=ALICE))
            await stores.audit.deliverer().drain()

    asyncio.run(story())
    shutil.rmtree(settings.data_dir / "spool")
    # Nothing can be made there, as on a disk that is full.
    (settings.data_dir / "spool").symlink_to("/nonexistent/spool")
    assert audit.list_(settings, output="json") == 0
    said = capsys.readouterr()
    assert [record["action"] for record in json.loads(said.out)] == ["auth.login"]
    assert "this reading is not recorded: cannot open the audit spool" in said.err


@pytest.mark.parametrize("output", ["text", "json"])
def test_nothing_that_a_client_sent_steers_the_terminal(
    settings: Settings, capsys: pytest.CaptureFixture[str], output: str
) -> None:
    hostile = "ü\x1b[2J\x9b31m\x7f\u202eabc\u2028\r\nnew line\t\U000e0001"
    leave_behind(
        settings,
        {
            "method": "GET",
            "path": hostile,
            "actor": {"id": hostile, "name": hostile},
            "rule": hostile,
            "host": hostile,
        },
    )
    assert audit.list_(settings, output=output) == 0
    shown = capsys.readouterr().out
    assert all(char.isprintable() for char in shown.replace("\n", ""))
    assert "ü" in shown
    if output == "text":
        assert len(shown.splitlines()) == 2
    else:
        (record,) = json.loads(shown)
        assert record["path"] == hostile


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"since": "yesterday"}, "--since: 'yesterday' is not a time; write 30min, 1h or 7d"),
        ({"until": "1w"}, "--until: '1w' is not a time"),
        ({"since": "0h"}, "--since"),
        ({"since": "0001-01-01T00:00:00+23:59"}, "--since"),
        ({"decision": "maybe"}, "--decision: 'maybe' is not one of allow, deny"),
        ({"kind": "decisions"}, "--kind: 'decisions' is not one of decision, completion, event"),
        ({"limit": 0}, "--limit: 0 is not between 1 and"),
        ({"limit": 10**9}, "everything with `gateway audit export`"),
        ({"words": ["deny"]}, "'deny' is not FIELD:VALUE"),
        ({"words": ["--actr", "alice"]}, "--actr is no option of this command"),
        ({"words": ["since:1h"], "since": "2h"}, "since: is given twice"),
        ({"cursor": "next"}, "--cursor: 'next' is not where a page ended"),
        ({"request_id": "x", "kind": "y"}, "--kind: 'y' is not one of"),
    ],
)
def test_an_option_that_is_not_clear_is_one_sentence(
    settings: Settings, capsys: pytest.CaptureFixture[str], options: dict[str, object], complaint: str
) -> None:
    assert audit.list_(settings, **options) == 2  # type: ignore[arg-type] # the options of one case
    said = capsys.readouterr()
    assert complaint in said.err
    assert len(said.err.splitlines()) == 1
    assert said.out == ""
    assert {file.name for file in settings.data_dir.iterdir()} == {"gateway.db", "secret"}


@pytest.mark.parametrize(
    ("since", "count"),
    [
        ("2026-01-01T00:00:00Z", 2),
        ("2026-01-01T00:00:00.000001Z", 1),
        ("2026-01-01T02:00:01+02:00", 1),
        ("2026-01-01T00:00:00", 2),
        ("2026-01-02", 0),
    ],
)
def test_times_are_read_with_and_without_an_offset(
    settings: Settings, capsys: pytest.CaptureFixture[str], since: str, count: int
) -> None:
    leave_behind(settings, {}, {"time": "2026-01-01T00:00:01.000000Z"})
    assert audit.list_(settings, since=since, kind="decision", output="json") == 0
    assert len(_json(capsys)) == count


def test_a_duration_is_taken_back_from_now(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    now = SystemClock().now()
    leave_behind(settings, {"time": timestamp(now - 7200)}, {"time": timestamp(now - 1800)})
    for since, count in (("1h", 1), ("3h", 2), ("10min", 0), ("1d", 2), ("60s", 0)):
        assert audit.list_(settings, since=since, kind="decision", output="json") == 0
        assert len(_json(capsys)) == count


def test_a_filter_and_options_are_asked_for_together(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    leave_behind(
        settings,
        {"decision": "deny", "route": "orders", "status": 429},
        {"decision": "deny", "route": "orders-item", "status": 503},
        {"decision": "allow", "route": "orders"},
    )
    for words, options, found in (
        (["decision:deny"], {}, [503, 429]),
        (["decision:deny", "status:>=500"], {}, [503]),
        (["decision:deny status:<500"], {}, [429]),
        (["-route:orders"], {"decision": "deny"}, [503]),
        (["route:orders*", "kind:decision"], {"limit": 2}, [None, 503]),
        (['route:"orders*"'], {}, []),
    ):
        assert audit.list_(settings, words, output="json", **options) == 0
        assert [record["status"] for record in _json(capsys) if record["kind"] == "decision"] == found


def test_a_page_says_how_to_go_on_and_the_last_one_does_not(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    times = [f"2026-01-01T00:00:0{number}.000000Z" for number in range(5)]
    leave_behind(settings, *({"time": time} for time in times))
    seen, cursor = list[str](), None
    for _ in range(3):
        assert audit.list_(settings, kind="decision", limit=2, cursor=cursor) == 0
        _, *rows = capsys.readouterr().out.splitlines()
        seen += [row.split()[0] for row in rows if row.startswith("2026")]
        more = re.fullmatch(r"There are more: --cursor (\S+)", rows[-1])
        cursor = None if more is None else more[1]
    assert seen == times[::-1]
    assert cursor is None


def test_a_cursor_can_be_made_of_a_record(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    leave_behind(settings, *({"status": number} for number in range(3)))
    assert audit.list_(settings, kind="decision", limit=1, output="json") == 0
    (last,) = _json(capsys)
    cursor = f"{last['time']}/{last['writer']}/{last['seq']}"
    assert audit.list_(settings, kind="decision", cursor=cursor, output="json") == 0
    assert [record["status"] for record in _json(capsys)] == [1, 0]


@pytest.mark.parametrize(
    ("words", "complaint"), [(["until:1h"], "has no end"), (["x"], "is not FIELD:VALUE")]
)
def test_what_cannot_be_followed_is_one_sentence(
    settings: Settings, capsys: pytest.CaptureFixture[str], words: list[str], complaint: str
) -> None:
    assert audit.tail(settings, words) == 2
    assert complaint in capsys.readouterr().err


def test_following_shows_what_matches_until_it_is_ended(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    # Asked for once nothing new is there.
    monkeypatch.setattr("gateway.operations.audit.asyncio.sleep", interrupted)
    leave_behind(settings, {"decision": "deny", "reason": "rate-exceeded"}, {"decision": "allow"})
    assert audit.tail(settings, ["decision:*"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert "rate-exceeded" in first
    assert "allow" in second
    assert audit.tail(settings, ["decision:deny"], output="json") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["reason"] == "rate-exceeded"


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["-actor:alice"], ["bob"]),
        (["-actor:alice", "--kind", "decision"], ["bob"]),
        (["--kind", "decision", "-actor:alice"], ["bob"]),
        (["-actor:alice -actor:bob"], []),
        (["actor:alice", "--kind=decision"], ["alice"]),
        (["--", "-actor:bob"], ["alice"]),
    ],
)
def test_what_is_not_wanted_is_told_from_options(
    settings: Settings, arguments: list[str], found: list[str]
) -> None:
    leave_behind(settings, *({"actor": {"id": f"usr_{name}", "name": name}} for name in ("alice", "bob")))
    options = ["--format", "json", "--data-dir", str(settings.data_dir)]
    ended = CliRunner().invoke(app, ["audit", "list", *options, *arguments])
    assert ended.exit_code == 0, ended.output
    assert [record["actor"]["name"] for record in json.loads(ended.stdout)] == found


@pytest.mark.parametrize("command", ["list", "tail", "export"])
def test_an_option_that_does_not_exist_is_refused(settings: Settings, command: str) -> None:
    ended = CliRunner().invoke(
        app, ["audit", command, "--actr", "alice", "--data-dir", str(settings.data_dir)]
    )
    assert ended.exit_code == 2
    assert "--actr is no option of this command" in ended.stderr
    assert {file.name for file in settings.data_dir.iterdir()} == {"gateway.db", "secret"}
