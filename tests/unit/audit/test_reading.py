"""`gateway audit list` and `tail`: on an empty directory, beside a process that lives, after one that was killed."""

import asyncio
import json
import re
import shutil
from pathlib import Path

import pytest

from gateway.assembly import open_stores
from gateway.audit import FIELDS, Auditor, Deliverer, encode, timestamp
from gateway.cli import audit
from gateway.model import Event, EventKind, Principal, PrincipalKind
from gateway.operations import list_records, note_reading, tail
from gateway.ports import AuditQuery, AuditUnavailable, Position, StoredRecord, SystemClock
from gateway.settings import Settings
from gateway.stores.spool import SpoolWriter

ALICE = Principal(
    id="usr_1", kind=PrincipalKind.USER, name="alice", authn="gateway", authn_kind="gateway_jwt"
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.model_validate({"data_dir": tmp_path / "data"})


def _write(settings: Settings, *records: dict[str, object]) -> None:
    """Write records as a process does that is killed afterwards."""

    async def story() -> None:
        spool = SpoolWriter.open(settings.data_dir / "spool")
        for record in records:
            spool.append(encode({"time": "2026-01-01T00:00:00.000000Z", "kind": "decision", **record}))
        await spool.flushed()
        spool.close()

    settings.data_dir.mkdir(mode=0o700, exist_ok=True)
    asyncio.run(story())


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
    _write(
        settings, *({"time": f"2026-01-01T00:00:0{number}.000000Z", "status": number} for number in range(5))
    )
    assert audit.list_(settings, output="json", limit=3) == 0
    found = _json(capsys)
    assert [record["status"] for record in found] == [4, 3, 2]
    assert all(tuple(record) == FIELDS for record in found)


def test_reading_is_recorded_with_what_was_asked_for(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    _write(settings, {"actor": {"id": "usr_1", "name": "alice"}})
    assert audit.list_(settings, actor="alice", since="100000d") == 0
    capsys.readouterr()
    assert audit.list_(settings, kind="event", output="json") == 0
    (record,) = _json(capsys)
    assert record["action"] == "audit.read"
    assert isinstance(record["actor"], dict)
    assert record["actor"]["kind"] == "operator"
    assert record["attributes"] == {
        "follow": False,
        "since": "1970-01-01T00:00:00.000000Z",
        "actor": "alice",
        "limit": 50,
        "records": 1,
    }


def test_the_table_shows_what_was_decided_why_and_for_whom(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    _write(
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
            await Deliverer(stores.backlog, stores.sink, stores.events).drain()

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
    _write(
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
        ({"limit": 10**9}, "narrow the search"),
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
    assert not settings.data_dir.exists()


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
    _write(settings, {}, {"time": "2026-01-01T00:00:01.000000Z"})
    assert audit.list_(settings, since=since, kind="decision", output="json") == 0
    assert len(_json(capsys)) == count


def test_a_duration_is_taken_back_from_now(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    now = SystemClock().now()
    _write(settings, {"time": timestamp(now - 7200)}, {"time": timestamp(now - 1800)})
    for since, count in (("1h", 1), ("3h", 2), ("10min", 0), ("1d", 2), ("60s", 0)):
        assert audit.list_(settings, since=since, kind="decision", output="json") == 0
        assert len(_json(capsys)) == count


class Trail:
    """A trail in memory."""

    def __init__(self, *seqs: int) -> None:
        self.records = [self.record(seq) for seq in seqs]

    @staticmethod
    def record(seq: int) -> StoredRecord:
        return StoredRecord(writer="w", seq=seq, body=encode({"time": f"{seq:03}", "kind": "event"}))

    async def find(self, query: AuditQuery) -> list[StoredRecord]:
        return self.records[::-1][: query.limit]

    async def end(self) -> Position:
        return {"w": self.records[-1].seq} if self.records else {}

    async def after(self, position: Position, *, limit: int) -> list[StoredRecord]:
        return [record for record in self.records if record.seq > position.get("w", 0)][:limit]


async def test_following_begins_with_the_last_few_and_goes_on_with_what_comes() -> None:
    trail = Trail(*range(1, 31))
    following = tail(trail, last=3)
    seen = [(await anext(following))["seq"] for _ in range(3)]
    trail.records += [Trail.record(31), Trail.record(32)]
    seen += [(await anext(following))["seq"] for _ in range(2)]
    trail.records.append(Trail.record(33))
    async with asyncio.timeout(1.0):
        seen.append((await anext(following))["seq"])
    assert seen == [28, 29, 30, 31, 32, 33]


async def test_a_look_at_the_end_does_not_follow() -> None:
    assert [record["seq"] async for record in tail(Trail(1, 2), last=5, follow=False)] == [1, 2]
    assert [record["seq"] async for record in tail(Trail(1, 2), last=0, follow=False)] == []
    assert [record["seq"] for record in await list_records(Trail(1, 2), AuditQuery(limit=1))] == [2]


async def test_a_reading_that_cannot_be_recorded_is_told(tmp_path: Path) -> None:
    class Full:
        async def event(self, event: Event) -> None:
            raise AuditUnavailable("no space")

    assert await note_reading(Full(), AuditQuery(), records=1, operator=ALICE) == "no space"
    spool = SpoolWriter.open(tmp_path)
    auditor = Auditor(spool, SystemClock())
    assert await note_reading(auditor, None, records=None, operator=ALICE) is None
    await auditor.event(Event(kind=EventKind.LOGOUT, actor=ALICE))
    assert spool.last == 2
    spool.close()
