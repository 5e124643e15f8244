"""What is stored, as readers find it: damage is shown, and what is kept apart comes back."""

import zlib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.written_log import WrittenLog

from gateway.audit import decode
from gateway.model import with_persons
from gateway.ports import StoredRecord
from gateway.stores.sql.audit_chunk import chunks
from gateway.stores.sql.audit_stored import (
    StoredChunk,
    commitments,
    day_at,
    fields_of,
    gap,
    number_of,
    stray,
)
from gateway.stores.sql.audit_tables import SEQ_BITS

BODIES = tuple(
    orjson.dumps({"time": f"2026-01-01T00:00:0{number}.000000Z", "kind": "event"}) for number in range(5)
)


def stored(records: bytes | None = None, *, count: int = 5) -> StoredChunk:
    (chunk,) = chunks(WrittenLog("w").run(*BODIES))
    return StoredChunk(
        key=(3 << SEQ_BITS) + 1,
        last_key=(3 << SEQ_BITS) + count,
        day=chunk.day,
        since=chunk.since,
        until=chunk.until,
        records=chunk.records if records is None else records,
    )


def test_the_records_of_a_chunk_come_back() -> None:
    chunk = stored()
    text = chunk.text()
    assert text is not None
    assert chunk.bodies(text) == list(BODIES)
    assert (chunk.number, chunk.first, chunk.last, chunk.is_withheld) == (3, 1, 5, False)


@pytest.mark.parametrize("count", [-(1 << 50), -1, 0, 1, 4, 6, 100, 1 << 35, 1 << 62])
def test_a_chunk_that_says_another_number_of_records_is_damaged(count: int) -> None:
    assert stored(count=count).text() is None


@pytest.mark.parametrize(
    "records",
    [
        b"",
        b"x",
        zlib.compress(b""),
        zlib.compress(b"1234"),
        zlib.compress(bytes(21)),
        zlib.compress(bytes(19)),
    ],
)
def test_a_chunk_whose_records_are_something_else_is_damaged(records: bytes) -> None:
    chunk = stored(records)
    assert chunk.text() is None
    assert not chunk.is_withheld
    assert orjson.loads(chunk.damage())["attributes"] == {"unreadable": True, "count": 5}


def test_the_place_of_a_record_that_was_withheld_is_known() -> None:
    assert StoredChunk(key=1, last_key=1, day=1, since="", until="", records=b"").is_withheld


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"\xff", b'{"kind":"event"}', b'{"time":5}'])
def test_what_is_no_record_says_nothing(body: bytes) -> None:
    assert fields_of(body) is None


def test_a_gap_is_a_record() -> None:
    assert fields_of(gap("2026-01-01T00:00:00.000000Z"))


def test_a_writer_without_a_row_is_called_by_its_number() -> None:
    assert [number_of(stray(number)) for number in (0, 7, -1)] == [0, 7, -1]
    assert number_of("number x") is None
    assert number_of("5") is None


def test_days_are_counted_from_1970() -> None:
    assert day_at("1970-01-02T00:00:00.000000Z") == 1
    assert day_at("2026-01-01") == 20454
    assert day_at("") is day_at("2026-13-01") is None


FIELDS = st.dictionaries(
    st.sampled_from(["name", "source_ip", "user_agent", "attributes", "other"]),
    st.text(max_size=3) | st.dictionaries(st.sampled_from("xyz"), st.integers(0, 9), max_size=2),
    max_size=4,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "actor": st.none()
            | st.fixed_dictionaries({"id": st.just("usr_1")}, optional={"name": st.just("n")}),
            "attributes": st.none() | st.dictionaries(st.sampled_from("xyz"), st.integers(0, 9), max_size=2),
            "source_ip": st.just("192.0.2.1"),
            "personal": st.dictionaries(st.sampled_from(["usr_1", "usr_2"]), st.just("c"), max_size=2),
        },
    ),
    st.dictionaries(st.sampled_from(["usr_1", "usr_2", "usr_3"]), FIELDS, max_size=3),
)
def test_terms_see_a_record_as_readers_are_shown_it(
    fields: dict[str, object], said: dict[str, dict[str, object]]
) -> None:
    whole = with_persons(fields, said)
    record = StoredRecord(writer="w", seq=1, body=orjson.dumps(fields), personal=orjson.dumps(said))
    shown = decode(record)
    for name in ("source_ip", "user_agent"):
        assert whole.get(name) == shown[name]
    actor, shown_actor = whole.get("actor"), shown["actor"]
    assert (actor is None) is (shown_actor is None)
    if isinstance(actor, dict) and isinstance(shown_actor, dict):
        assert actor.get("name") == shown_actor.get("name")
    assert (whole.get("attributes") or {}) == shown["attributes"]


def test_only_commitments_count() -> None:
    assert commitments({"personal": {"usr_1": "c", "usr_2": 5}}) == {"usr_1": "c"}
    assert commitments({"personal": ["usr_1"]}) == commitments({}) == {}
