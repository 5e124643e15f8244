"""What is noted of records so that they are found again: from a glance as from reading them whole."""

from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.shipped import run_of

from gateway.crypto import HEAD_BYTES
from gateway.model import time_of
from gateway.ports import RecordRefused, Run
from gateway.stores.sql import audit_notes
from gateway.stores.sql.audit_chunk import MARK_BYTES, Links, chunks, divided, opened, until_of
from gateway.stores.sql.audit_notes import Actor, taken

START = datetime(2026, 1, 1, tzinfo=UTC)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
HOSTILE = st.one_of(
    TEXT,
    st.sampled_from(
        ['"', "\\", '"}', '\\"}', ',"actor":{', '","actor":{"id":"x","name":"y"}}', '","request_id":"', "}"]
    ),
)
_ORDER = ("path", "attributes", "actor", "personal")


def _time(after: timedelta = timedelta()) -> str:
    return (START + after).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _request(number: int, after: timedelta = timedelta()) -> str:
    digits = f"{int((START + after).timestamp() * 1000):012x}"
    return f"{digits[:8]}-{digits[8:]}-7000-8000-{number:012x}"


def _body(number: int, after: timedelta = timedelta(), **fields: object) -> bytes:
    head = {"time": _time(timedelta(milliseconds=number)), "request_id": _request(number, after)}
    return orjson.dumps({**head, "kind": "decision", **fields})


def _run(*bodies: bytes) -> Run:
    return run_of(bodies)


@given(
    st.lists(
        st.fixed_dictionaries(
            {"path": HOSTILE, "attributes": st.dictionaries(HOSTILE, HOSTILE, max_size=2)},
            optional={
                "actor": st.none()
                | st.fixed_dictionaries({"id": HOSTILE, "kind": HOSTILE}, optional={"name": HOSTILE}),
                "personal": st.dictionaries(HOSTILE, HOSTILE, min_size=1, max_size=2),
            },
        ),
        min_size=1,
        max_size=5,
    )
)
def test_a_glance_sees_what_reading_would(records: list[dict[str, object]]) -> None:
    # In the order of the encoder.
    ordered = [{name: record[name] for name in _ORDER if name in record} for record in records]
    run = _run(*(_body(number, timedelta(), **record) for number, record in enumerate(ordered)))
    glanced, read = audit_notes._glance(run.bodies), audit_notes._read(run)
    if glanced is not None:
        assert (glanced.since, glanced.until, list(glanced.requests), glanced.actors) == (
            *(read.since, read.until, read.requests, read.actors),
        )


def test_records_of_requests_are_not_read_whole() -> None:
    actor = {"id": "usr_1", "kind": "user", "name": 'a}"lice'}
    assert audit_notes._glance([_body(1, actor=actor), _body(2)]) is not None


@pytest.mark.parametrize(
    "odd",
    [
        b"",
        b"{",
        orjson.dumps({"time": _time(), "kind": "event"}),
        orjson.dumps({"time": "t", "request_id": _request(1), "kind": "event"}),
        orjson.dumps({"time": _time(), "request_id": "q1", "kind": "event", "path": "x" * 80}),
        orjson.dumps({"request_id": _request(1), "time": _time(), "kind": "event"}),
        _body(1, actor={"id": 5, "name": "x"}),
        _body(1, actor={"id": "usr_1", "name": "x"}, nested={"x": 1, "actor": {"id": "usr_2", "name": "y"}}),
        _body(1)[:-1],
    ],
)
def test_what_looks_otherwise_is_read_whole(odd: bytes) -> None:
    assert audit_notes._glance([_body(1), odd]) is None


def test_an_actor_without_a_name_has_it_in_what_the_record_commits_to() -> None:
    actor = {"id": "key_1", "kind": "api_key"}
    bodies = (
        _body(1, actor=actor, personal={"usr_1": "c1", "usr_2": "c2"}),
        _body(2, actor=actor, personal={"usr_1": "c1"}),
        _body(3, actor={"id": "cli_1", "kind": "client", "name": "billing"}, personal={"usr_3": "c3"}),
    )
    notes = taken(_run(*bodies))
    assert notes == audit_notes._glance(bodies)
    assert notes.actors == {
        Actor("key_1", commitment="c1"),
        Actor("key_1", commitment="c2"),
        Actor("cli_1", "billing"),
    }


@pytest.mark.parametrize("count", [1, 2, 1024])
def test_the_chain_of_a_chunk_comes_back_unless_it_was_cut(count: int) -> None:
    run = _run(*(_body(number) for number in range(count)))
    (chunk,) = chunks(run)
    links = Links.unpacked(chunk.chain, count)
    assert links == Links(
        before=run.before, head=run.heads[-1], marks=tuple(head[:MARK_BYTES] for head in run.heads)
    )
    assert links.packed() == chunk.chain
    assert len(chunk.chain) == 2 * HEAD_BYTES + count * MARK_BYTES
    assert Links.unpacked(chunk.chain[:-1], count) is None
    assert Links.unpacked(chunk.chain, count + 1) is None


def test_what_is_said_of_persons_is_in_a_chunk_once() -> None:
    bodies = [_body(number) for number in range(4)]
    (chunk,) = chunks(run_of(bodies, personal=[b"", b"one", b"two", b"one"]))
    assert chunk.personal == {b"one", b"two"}


@given(st.lists(st.integers(0, 4), min_size=1, max_size=8))
def test_the_records_of_a_chunk_are_of_one_day(days: list[int]) -> None:
    bodies = [
        orjson.dumps({"time": _time(timedelta(days=day, milliseconds=number)), "kind": "event"})
        for number, day in enumerate(days)
    ]
    made = list(chunks(_run(*bodies)))
    assert [one for chunk in made for one in range(chunk.first, chunk.last + 1)] == list(
        range(1, len(days) + 1)
    )
    for chunk in made:
        assert {20454 + day for day in days[chunk.first - 1 : chunk.last]} == {chunk.day}
        assert chunk.since[:10] == chunk.until[:10]


@pytest.mark.parametrize(
    "time", ["", "t", "2026-01-01T00:00:00Z", "2026-13-01T00:00:00.000000Z", "0000-01-01T00:00:00.000000Z", 5]
)
def test_what_has_no_time_is_no_record(time: object) -> None:
    odd = orjson.dumps({"time": time, "request_id": _request(1), "kind": "event"})
    with pytest.raises(RecordRefused, match="record 2 is not an audit record"):
        list(chunks(_run(_body(1), odd)))


def test_all_bytes_come_back() -> None:
    bodies = [_body(number, path="x\n" * number) for number in range(2500)]
    made = list(chunks(_run(*bodies)))
    assert [(chunk.first, chunk.last) for chunk in made] == [(1, 1024), (1025, 2048), (2049, 2500)]
    found = []
    for chunk in made:
        data = opened(chunk.records)
        assert data is not None
        found += divided(data, chunk.last - chunk.first + 1)
        assert opened(chunk.records[:-5]) is None
    assert found == bodies


def test_requests_that_began_long_before_do_not_widen_the_range() -> None:
    old = timedelta(hours=-2)
    (chunk,) = chunks(_run(_body(1), _body(2, old), _body(3)))
    assert (chunk.first_request, chunk.last_request) == (_request(1), _request(3))
    assert chunk.terms == {_request(2, old)}
    (chunk,) = chunks(_run(_body(2, old)))
    assert (chunk.first_request, chunk.last_request) == (None, None)
    assert chunk.terms == {_request(2, old)}


@given(st.timedeltas(-timedelta(minutes=3), timedelta(minutes=3)))
def test_a_request_in_the_range_of_a_chunk_is_looked_for_there(after: timedelta) -> None:
    (chunk,) = chunks(_run(_body(1, after)))
    times = until_of(_request(1, after))
    assert times is not None
    assert chunk.terms or times[0] <= chunk.until <= times[1]


def test_ids_that_do_not_begin_with_a_time_are_looked_for_everywhere() -> None:
    assert until_of("q1") is None
    assert until_of("+198f3c2-7d1e-") is None
    assert until_of("0198F3C2-7d1e-x") is None
    assert until_of("ffffffff-ffff-7000") is None
    assert until_of("00000000-0000-7000") is not None


def test_the_time_of_a_record_is_found_whatever_it_looks_like() -> None:
    assert time_of(_body(0)) == _time()
    assert time_of(orjson.dumps({"kind": "x", "time": "t"})) == "t"
    assert time_of(b'{"time":"t"}') == "t"
    assert time_of(b"[]") == time_of(b"{") == time_of(b"") == ""
