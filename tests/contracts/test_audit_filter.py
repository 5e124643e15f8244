"""Whatever is asked for, the trail gives just those records that match as they are shown, wherever they are."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from databases import DATABASES, database_url, opened
from hypothesis import given, settings
from hypothesis import strategies as st
from support.auditing import SEALER
from support.written_log import NAMES_KEY, WrittenLog

from gateway.audit import Filter, FilterError, WholeTrail, cursor_of, decode, parse_cursor, parse_filter
from gateway.crypto import PersonalPart
from gateway.model import Comparison, Term
from gateway.ports import AuditQuery, Place, Run, StoredRecord
from gateway.stores.sql import SqlAuditSink, SqlAuditTrail, SqlErasure

PARTS = {
    "alice": PersonalPart.of(
        "usr_1",
        {
            "name": "alice",
            "source_ip": "192.0.2.7",
            "user_agent": "curl",
            "attributes": {"claims.x": ["y", 7]},
        },
    ),
    "her key": PersonalPart.of("usr_1", {"name": "nightly", "source_ip": "192.0.2.7"}),
    "bob": PersonalPart.of("usr_2", {"name": 'b"ob\\', "source_ip": "2001:db8::1", "attributes": {"n": 1.5}}),
    "about bob": PersonalPart.of("usr_2", {"attributes": {"username": "bob"}}),
    "erased": PersonalPart.of("usr_gone", {"name": "gone", "source_ip": "192.0.2.7", "user_agent": "curl"}),
}
ACTORS = {"alice": "usr_1", "her key": "key_1", "bob": "usr_2", "erased": "usr_gone"}
TEXTS = ["a", "orders-list", "orders", "*", 'q"\\', "ü\u2028", "deny", "allow", "null", "1", "\x1b[1m", "a b"]
NUMBERS = [0, 1, 200, 403, 2**53, 1.5]
text_, number = st.sampled_from(TEXTS), st.sampled_from(NUMBERS)
FIELDS = st.fixed_dictionaries(
    {"kind": st.sampled_from(["decision", "completion", "event"])},
    optional={
        "decision": st.sampled_from(["allow", "deny"]),
        "route": text_,
        "path": text_,
        "action": text_,
        "roles": st.lists(text_, max_size=2),
        "status": number,
        "bytes_out": number,
        "duration_ms": number,
        "request_id": text_,
        "source_ip": st.sampled_from(["192.0.2.7", "198.51.100.1"]),
        "attributes": st.dictionaries(
            st.sampled_from(["claims.x", "n", "broken"]),
            text_ | number | st.booleans() | st.none(),
            max_size=2,
        ),
    },
)
RECORDS = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 2, 3, 3, 90_000]),
        FIELDS,
        st.sampled_from([None, "nobody", *sorted(ACTORS)]),
        st.booleans(),
    ),
    min_size=1,
    max_size=8,
)
TERM_FIELDS = st.sampled_from(
    [
        "kind",
        "decision",
        "route",
        "path",
        "action",
        "roles",
        "status",
        "bytes_out",
        "duration_ms",
        "request_id",
        "source_ip",
        "user_agent",
        "actor",
        "actor.id",
        "actor.name",
        "actor.kind",
        "attributes.claims.x",
        "attributes.n",
        "attributes.broken",
        "attributes.username",
        "attributes.erased",
        "seq",
        "outcome",
    ]
)
VALUES = st.sampled_from(
    [
        *TEXTS,
        *map(str, NUMBERS),
        "200.0",
        "alice",
        "usr_1",
        "usr_2",
        "usr_gone",
        "gone",
        "key_1",
        'b"ob\\',
        "curl",
        "nightly",
        "192.0.2.7",
        "true",
        "user",
        "y",
        "7",
        "event",
        "nobody",
        "bob",
    ]
)
PATTERNS = st.sampled_from(
    ["*", "a*", "*l*", "192.*", "or*s*", "*\\", "usr_*", "2*0", "*\u2028", "**", "c*l"]
)
SIGNS = [Comparison.GREATER, Comparison.AT_LEAST, Comparison.LESS, Comparison.AT_MOST]
TERMS = st.one_of(
    st.builds(
        Term,
        field=TERM_FIELDS,
        values=st.lists(VALUES, min_size=1, max_size=3).map(tuple),
        negated=st.booleans(),
    ),
    st.builds(
        Term,
        field=TERM_FIELDS,
        values=st.lists(PATTERNS, min_size=1, max_size=2).map(tuple),
        comparison=st.just(Comparison.LIKE),
        negated=st.booleans(),
    ),
    st.builds(
        Term,
        field=TERM_FIELDS,
        values=st.sampled_from(["1", "200", "0.5"]).map(lambda one: (one,)),
        comparison=st.sampled_from(SIGNS),
        negated=st.booleans(),
    ),
)
Given = tuple[int, dict[str, object], str | None, bool]


class Waiting:
    """What has not been shipped; a part of it has, and was not given up yet."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = runs

    def writers(self) -> Sequence[str]:
        return sorted({run.writer for run in self._runs})

    def read(self, writer: str, *, after: int) -> Iterator[Run]:
        for run in self._runs:
            if run.writer == writer and run.last > after:
                yield run.part(max(0, after + 1 - run.first), len(run.bodies))


def time_at(seconds: int) -> str:
    return f"2026-01-0{1 + seconds // 86_400}T{seconds // 3600 % 24:02}:00:{seconds % 60:02}.000000Z"


def told(host: str, one: Given) -> tuple[dict[str, object], list[PersonalPart]]:
    """Return a record, and what it says of persons."""
    seconds, fields, who, is_about_bob = one
    record: dict[str, object] = {"time": time_at(seconds), "host": host, **fields}
    parts = [PARTS["about bob"]] if is_about_bob and who != "bob" else []
    if who == "nobody":
        record["actor"] = {"id": "operator", "kind": "operator", "name": "nobody"}
    elif who is not None:
        record["actor"] = {"id": ACTORS[who], "kind": "user"}
        record.pop("source_ip", None)
        parts.insert(0, PARTS[who])
    return record, parts


@pytest.mark.parametrize("kind", DATABASES)
async def test_what_is_found_is_what_matches_as_it_is_shown(kind: str, tmp_path: Path) -> None:
    async with database_url(kind, tmp_path) as url:
        # Each example has a loop of its own.
        await asyncio.to_thread(_what_is_found_is_what_matches, url)


def _what_is_found_is_what_matches(url: str) -> None:
    @settings(max_examples=6)
    @given(
        logs=st.lists(st.tuples(RECORDS, st.integers(0, 8), st.integers(0, 3)), min_size=1, max_size=3),
        queries=st.lists(st.tuples(st.lists(TERMS, max_size=3), st.booleans()), min_size=5, max_size=5),
        limit=st.integers(1, 5),
        since=st.sampled_from([None, 2, 90_000]),
        until=st.sampled_from([None, 3, 90_000]),
    )
    def example(
        logs: list[tuple[list[Given], int, int]],
        queries: list[tuple[list[Term], bool]],
        limit: int,
        since: int | None,
        until: int | None,
    ) -> None:
        asyncio.run(_compare(url, logs, queries, limit, _time(since), _time(until)))

    example()


def _time(seconds: int | None) -> str | None:
    return None if seconds is None else time_at(seconds)


async def _compare(
    url: str,
    logs: list[tuple[list[Given], int, int]],
    queries: list[tuple[list[Term], bool]],
    limit: int,
    since: str | None,
    until: str | None,
) -> None:
    # Among what other examples have left.
    host = Term(field="host", values=(str(uuid4()),))
    async with opened(url) as database:
        erasure, sink = SqlErasure(database), SqlAuditSink(database, SEALER, NAMES_KEY)
        await erasure.erase("usr_gone", at=1.0)
        waiting = []
        for records, shipped, both in logs:
            log = WrittenLog()
            runs = [log.of_persons(told(host.values[0], one)) for one in records]
            for run in runs[:shipped]:
                await sink.ship(run)
            waiting += runs[max(0, shipped - both) :]
        shipped_trail = SqlAuditTrail(database, SEALER, NAMES_KEY)
        trail = WholeTrail(shipped_trail, sink, Waiting(waiting), SEALER, erasure)
        every = await trail.find(AuditQuery(terms=(host,), limit=1000, oldest_first=True))
        assert len(every) == sum(len(records) for records, _, _ in logs)
        assert not any(b"gone" in one.personal for one in every)
        for terms, oldest_first in queries:
            wanted = Filter(terms=(*terms, host), since=since, until=until)
            matching = [place(one) for one in every if wanted.matches(decode(one))]
            query = AuditQuery(
                since=since, until=until, terms=wanted.terms, oldest_first=oldest_first, limit=limit
            )
            found: list[Place] = []
            while page := await trail.find(query):
                found += map(place, page)
                assert [place(one) for one in page] == found[-len(page) :]
                query = replace(query, beyond=parse_cursor(cursor_of(found[-1])))
            assert found == (matching if oldest_first else matching[::-1]), terms


def place(stored: StoredRecord) -> Place:
    return Place(str(decode(stored)["time"]), stored.writer, stored.seq)


@given(st.text(max_size=30))
def test_whatever_is_asked_for_can_be_asked_of_a_record(text: str) -> None:
    try:
        wanted = parse_filter(text, now=0.0)
    except FilterError:
        return
    wanted.matches(decode(StoredRecord(writer="w", seq=1, body=b"{}")))
