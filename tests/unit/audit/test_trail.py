"""The trail is what was shipped and what was not, each record once."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit import WholeTrail, decode
from gateway.audit.places import place_of
from gateway.crypto import MasterSecret, PersonalPart, Sealer, seal_parts
from gateway.model import Comparison, Term
from gateway.ports import AuditQuery, Place, Position, Run, StoredRecord

SEALER = Sealer(MasterSecret(b"s" * 32))


def _record(writer: str, seq: int, **fields: object) -> StoredRecord:
    body = orjson.dumps({"time": f"2026-01-01T00:00:00.{seq:06d}Z", "kind": "decision", **fields})
    return StoredRecord(writer=writer, seq=seq, body=body)


class Shipped:
    """A trail and sink in memory."""

    def __init__(self) -> None:
        self.records: list[StoredRecord] = []

    async def find(self, query: AuditQuery) -> Sequence[StoredRecord]:
        found = [
            record
            for record in sorted(self.records, key=place_of, reverse=not query.oldest_first)
            if query.beyond is None
            or (place_of(record) > query.beyond if query.oldest_first else place_of(record) < query.beyond)
        ]
        return found[: query.limit]

    async def end(self) -> Position:
        return {record.writer: await self.cursor(record.writer) for record in self.records}

    async def after(self, position: Position, *, limit: int) -> Sequence[StoredRecord]:
        new = [record for record in self.records if record.seq > position.get(record.writer, 0)]
        return sorted(new, key=lambda record: (record.writer, record.seq))[:limit]

    async def cursor(self, writer: str) -> int:
        return max((record.seq for record in self.records if record.writer == writer), default=0)

    async def ship(self, run: Run) -> None:
        raise NotImplementedError

    async def skip(self, run: Run) -> None:
        raise NotImplementedError


class Gone:
    """Who was erased."""

    def __init__(self) -> None:
        self.subjects: set[str] = set()
        self.asked = 0

    async def among(self, subjects: Collection[str]) -> Collection[str]:
        self.asked += bool(subjects)
        return self.subjects & set(subjects)


class Waiting:
    """A spool in memory."""

    def __init__(self) -> None:
        self.records: list[StoredRecord] = []

    def writers(self) -> Sequence[str]:
        return sorted({record.writer for record in self.records})

    def read(self, writer: str, *, after: int) -> Iterator[Run]:
        """Give them one by one, as if there were holes between all of them."""
        return iter([_run(one) for one in self.records if one.writer == writer and one.seq > after])


def _run(record: StoredRecord) -> Run:
    """Return a run of one record, whose personal part is sealed."""
    said = orjson.loads(record.personal or b"{}").items()
    sealed = seal_parts(SEALER, [PersonalPart.of(subject, fields) for subject, fields in said])
    return Run(
        writer=record.writer,
        first=record.seq,
        bodies=(record.body,),
        before=b"",
        heads=(b"",),
        personal=(sealed if said else b"",),
    )


def _is(field: str, value: str) -> Term:
    return Term(field=field, values=(value,))


def _numbers(records: Sequence[StoredRecord]) -> list[tuple[str, int]]:
    return [(record.writer, record.seq) for record in records]


@pytest.fixture
def shipped() -> Shipped:
    return Shipped()


@pytest.fixture
def waiting() -> Waiting:
    return Waiting()


@pytest.fixture
def erased() -> Gone:
    return Gone()


@pytest.fixture
def trail(shipped: Shipped, waiting: Waiting, erased: Gone) -> WholeTrail:
    return WholeTrail(shipped, shipped, waiting, SEALER, erased)


async def test_both_places_are_one_list_newest_first(
    trail: WholeTrail, shipped: Shipped, waiting: Waiting
) -> None:
    shipped.records = [_record("a", seq) for seq in (1, 2, 3)]
    waiting.records = [_record("a", seq) for seq in (2, 3, 4, 5)] + [_record("b", 7)]
    found = await trail.find(AuditQuery(limit=100))
    assert _numbers(found) == [("b", 7), ("a", 5), ("a", 4), ("a", 3), ("a", 2), ("a", 1)]
    assert _numbers(await trail.find(AuditQuery(limit=2))) == [("b", 7), ("a", 5)]


async def test_a_record_that_is_shipped_while_the_list_is_read_is_there_once(
    shipped: Shipped, waiting: Waiting
) -> None:
    class Slow(Waiting):
        def read(self, writer: str, *, after: int) -> Iterator[Run]:
            found = list(super().read(writer, after=after))
            shipped.records, self.records = [*shipped.records, *self.records], []
            return iter(found)

    slow = Slow()
    slow.records = [_record("a", 1), _record("a", 2)]
    found = await WholeTrail(shipped, shipped, slow, SEALER, Gone()).find(AuditQuery())
    assert _numbers(found) == [("a", 2), ("a", 1)]


async def test_what_is_shipped_while_the_end_is_looked_for_lies_before_the_end(
    shipped: Shipped, waiting: Waiting
) -> None:
    class Leaving(Waiting):
        def read(self, writer: str, *, after: int) -> Iterator[Run]:
            shipped.records, self.records = [*shipped.records, *self.records], []
            return super().read(writer, after=after)

    gone = Leaving()
    gone.records = [_record("a", 1), _record("a", 2)]
    assert await WholeTrail(shipped, shipped, gone, SEALER, Gone()).end() == {"a": 2}


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        (AuditQuery(), True),
        (AuditQuery(terms=(_is("actor", "usr_1"),)), True),
        (AuditQuery(terms=(_is("actor", "alice"),)), True),
        (AuditQuery(terms=(_is("actor", "bob"),)), False),
        (AuditQuery(terms=(_is("decision", "deny"),)), True),
        (AuditQuery(terms=(_is("decision", "allow"),)), False),
        (AuditQuery(terms=(_is("route", "r"),)), True),
        (AuditQuery(terms=(_is("route", "s"),)), False),
        (AuditQuery(terms=(_is("request_id", "q"),)), True),
        (AuditQuery(terms=(_is("request_id", "p"),)), False),
        (AuditQuery(terms=(_is("kind", "decision"),)), True),
        (AuditQuery(terms=(_is("kind", "event"),)), False),
        (AuditQuery(since="2026-01-01T00:00:00.000005Z"), True),
        (AuditQuery(since="2026-01-01T00:00:00.000006Z"), False),
        (AuditQuery(until="2026-01-01T00:00:00.000006Z"), True),
        (AuditQuery(until="2026-01-01T00:00:00.000005Z"), False),
        (AuditQuery(terms=(_is("actor", "alice"), _is("decision", "allow"))), False),
    ],
)
async def test_what_waits_is_filtered_as_what_was_shipped(
    trail: WholeTrail, waiting: Waiting, query: AuditQuery, matches: bool
) -> None:
    waiting.records = [
        _record("a", 5, actor={"id": "usr_1", "name": "alice"}, decision="deny", route="r", request_id="q")
    ]
    assert bool(await trail.find(query)) == matches


async def test_a_damaged_record_is_shown_rather_than_an_error(trail: WholeTrail, waiting: Waiting) -> None:
    waiting.records = [
        StoredRecord(writer="a", seq=1, body=b"{"),
        StoredRecord(writer="a", seq=2, body=b"[]"),
    ]
    assert len(await trail.find(AuditQuery())) == 2
    assert await trail.find(AuditQuery(terms=(_is("actor", "alice"),))) == []


async def test_following_gives_each_record_once_however_it_travels(
    trail: WholeTrail, shipped: Shipped, waiting: Waiting
) -> None:
    shipped.records = [_record("a", 1)]
    waiting.records = [_record("a", 2), _record("b", 1)]
    position = dict(await trail.end())
    assert position == {"a": 2, "b": 1}
    seen = []

    async def follow(limit: int = 100) -> None:
        for record in await trail.after(position, limit=limit):
            assert record.seq == position.get(record.writer, 0) + 1
            position[record.writer] = record.seq
            seen.append((record.writer, record.seq))

    await follow()
    assert seen == []
    waiting.records += [_record("a", 3), _record("a", 4), _record("c", 1)]
    await follow()
    assert sorted(seen) == [("a", 3), ("a", 4), ("c", 1)]
    shipped.records += waiting.records
    await follow()
    assert len(seen) == 3
    shipped.records += [_record("a", seq) for seq in range(5, 9)]
    waiting.records = [_record("a", seq) for seq in range(9, 12)]
    for _ in range(9):
        await follow(limit=2)
    assert [seq for writer, seq in seen if writer == "a"] == list(range(3, 12))


async def test_what_waits_says_what_it_says_of_persons(trail: WholeTrail, waiting: Waiting) -> None:
    part = {"name": "alice", "source_ip": "192.0.2.1", "attributes": {"claims.team": "blue"}}
    said = orjson.dumps({"usr_1": part})
    record = _record("a", 1, actor={"id": "usr_1", "kind": "user"}, personal={"usr_1": "..."})
    waiting.records = [
        StoredRecord(writer="a", seq=1, body=record.body, personal=said),
        _record("a", 2, actor={"id": "usr_2", "kind": "user", "name": "bob"}),
    ]
    for field, value in (("actor", "alice"), ("source_ip", "192.0.2.1"), ("attributes.claims.team", "blue")):
        (found,) = await trail.find(AuditQuery(terms=(_is(field, value),)))
        assert found.personal == said
    (read,) = [decode(one) for one in await trail.after({}, limit=10) if one.seq == 1]
    assert read["source_ip"] == "192.0.2.1"
    bob = Term(field="actor", values=("al*",), comparison=Comparison.LIKE, negated=True)
    assert _numbers(await trail.find(AuditQuery(terms=(bob,)))) == [("a", 2)]


async def test_what_waits_says_nothing_of_the_erased_any_more(
    trail: WholeTrail, waiting: Waiting, erased: Gone
) -> None:
    said = {"usr_1": {"name": "alice", "source_ip": "192.0.2.1"}, "usr_2": {"attributes": {"email": "b@c"}}}
    for subjects in (["usr_1"], ["usr_1", "usr_2"], []):
        seq = len(waiting.records) + 1
        body = _record(
            "a",
            seq,
            actor={"id": "usr_1", "kind": "user"} if subjects else None,
            personal=dict.fromkeys(subjects, "..."),
        ).body
        personal = orjson.dumps({one: said[one] for one in subjects}) if subjects else b""
        waiting.records.append(StoredRecord(writer="a", seq=seq, body=body, personal=personal))
    assert _numbers(await trail.find(AuditQuery(terms=(_is("actor", "alice"),)))) == [("a", 2), ("a", 1)]
    erased.subjects = {"usr_1", "usr_9"}
    for found in (await trail.find(AuditQuery(oldest_first=True)), await trail.after({}, limit=9)):
        read = [decode(one) for one in found]
        assert [one["source_ip"] for one in read] == [None] * 3
        assert [one["attributes"] for one in read] == [
            {"erased": ["usr_1"]},
            {"email": "b@c", "erased": ["usr_1"]},
            {},
        ]
    assert await trail.find(AuditQuery(terms=(_is("actor", "alice"),))) == []
    # It is found as it is shown: without a name.
    nameless = Term(field="actor.name", values=("alice",), negated=True)
    assert len(await trail.find(AuditQuery(terms=(nameless,), limit=2))) == 2
    erased.asked = 0
    waiting.records = waiting.records[2:]
    await trail.find(AuditQuery())
    assert erased.asked == 0, "nobody is said anything of"


async def test_what_was_said_of_persons_and_cannot_be_opened_is_as_if_it_were_gone(
    shipped: Shipped,
) -> None:
    class Broken(Waiting):
        def read(self, writer: str, *, after: int) -> Iterator[Run]:
            one = _run(_record("a", 1, personal={"usr_1": "..."}))
            return iter([replace(one, personal=(b"broken",))])

    broken = Broken()
    broken.records = [_record("a", 1)]
    (found,) = await WholeTrail(shipped, shipped, broken, SEALER, Gone()).find(AuditQuery())
    assert found.personal == b""
    assert decode(found)["attributes"] == {"erased": ["usr_1"]}


@given(
    shipped_count=st.integers(0, 12),
    waiting_count=st.integers(0, 12),
    size=st.integers(1, 7),
    oldest_first=st.booleans(),
)
async def test_pages_of_any_size_give_everything_once_and_in_order(
    shipped_count: int, waiting_count: int, size: int, oldest_first: bool
) -> None:
    shipped, waiting = Shipped(), Waiting()
    every = [
        # Several at one time: the writer and the number decide.
        StoredRecord(writer=writer, seq=seq, body=orjson.dumps({"time": f"t{seq // 3}"}))
        for writer in ("a", "b")
        for seq in range(1, shipped_count + waiting_count + 1)
    ]
    shipped.records = [record for record in every if record.seq <= shipped_count]
    # What is being given up is in both places.
    waiting.records = [record for record in every if record.seq > max(0, shipped_count - 2)]
    trail = WholeTrail(shipped, shipped, waiting, SEALER, Gone())
    beyond: Place | None = None
    pages: list[Place] = []
    while page := await trail.find(AuditQuery(oldest_first=oldest_first, beyond=beyond, limit=size)):
        pages += map(place_of, page)
        beyond = pages[-1]
    assert pages == sorted(map(place_of, every), reverse=not oldest_first)


@pytest.mark.parametrize(
    ("body", "time"),
    [
        (b'{"time":"2026","kind":"event"}', "2026"),
        (b'{"kind":"event","time":"2026"}', "2026"),
        (b'{"time":"20\\u0032"}', "202"),
        (b'{"time":7}', "7"),
        (b"{}", ""),
        (b"[]", ""),
        (b"{", ""),
    ],
)
def test_a_records_place_has_its_time_where_it_has_one(body: bytes, time: str) -> None:
    assert place_of(StoredRecord(writer="a", seq=1, body=body)) == (time, "a", 1)
