"""How a record is written down and read again."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit import FIELDS, decode, encode, timestamp
from gateway.audit.record import Timestamps
from gateway.ports import StoredRecord

HOSTILE = [
    "\0",
    "a\0b",
    "\\u0000",
    "\x1b[31m\r\n\x7f\x9b\x85",
    "\u2028\u202e",
    '"}{"kind":"event',
    "\ud800",
    "\udfff\ud800",
    "😀" * 10,
    "\\",
    "\ufffe\uffff",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_becomes_one_line_of_json_that_every_store_takes(text: str) -> None:
    body = encode({"path": text, "attributes": {text: [text]}})
    body.decode()
    assert b"\n" not in body
    assert b"\0" not in body
    read = json.loads(body)
    assert set(read) == {"path", "attributes"}
    assert "\0" not in read["path"]
    assert not any(0xD800 <= ord(char) <= 0xDFFF for char in read["path"])


@given(
    st.dictionaries(st.text(), st.text() | st.integers() | st.booleans() | st.none() | st.lists(st.text()))
)
def test_anything_can_be_written_down(record: dict[str, object]) -> None:
    read = json.loads(encode(record))
    assert "\0" not in json.dumps(read, ensure_ascii=False)


def test_text_that_only_looks_like_an_escaped_nul_stays_as_it_is() -> None:
    assert json.loads(encode({"path": "\\u0000"})) == {"path": "\\u0000"}


def test_a_record_that_is_read_has_all_fields_in_the_order_of_the_contract() -> None:
    stored = StoredRecord(writer="w", seq=3, body=encode({"kind": "event", "time": "t", "unknown": 1}))
    record = decode(stored)
    assert tuple(record) == FIELDS
    assert (record["writer"], record["seq"], record["kind"], record["attributes"]) == ("w", 3, "event", {})
    assert record["path"] is None


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff"])
def test_a_record_that_cannot_be_read_shows_as_a_gap(body: bytes) -> None:
    record = decode(StoredRecord(writer="w", seq=3, body=body))
    assert (record["seq"], record["action"]) == (3, "audit.gap")


def test_a_body_cannot_claim_another_place() -> None:
    record = decode(StoredRecord(writer="w", seq=3, body=b'{"writer": "x", "seq": 9}'))
    assert (record["writer"], record["seq"]) == ("w", 3)


@given(st.floats(0, 4_000_000_000))
def test_a_time_is_rfc_3339_in_utc_with_microseconds(seconds: float) -> None:
    text = timestamp(seconds)
    assert len(text) == 27
    assert text.endswith("Z")
    assert abs(datetime.fromisoformat(text).timestamp() - seconds) < 2e-6
    assert datetime.fromisoformat(text).tzinfo == UTC


@given(st.lists(st.floats(1.7e9, 1.7e9 + 5), min_size=2))
def test_times_sort_as_their_texts_do(times: list[float]) -> None:
    stamps = Timestamps()
    assert sorted(stamps.text(one) for one in times) == [stamps.text(one) for one in sorted(times)]
