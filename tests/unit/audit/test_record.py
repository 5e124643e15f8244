"""How a record is written down and read again."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit import decode, encode
from gateway.model import RECORD_FIELDS
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
    assert tuple(record) == RECORD_FIELDS
    assert (record["writer"], record["seq"], record["kind"], record["attributes"]) == ("w", 3, "event", {})
    assert record["path"] is None


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff"])
def test_a_record_that_cannot_be_read_shows_as_a_gap(body: bytes) -> None:
    record = decode(StoredRecord(writer="w", seq=3, body=body))
    assert (record["seq"], record["action"]) == (3, "audit.gap")


def _read(personal: bytes, **more: object) -> dict[str, object]:
    body = {
        "kind": "decision",
        "attributes": {"broken": True},
        "actor": {"id": "usr_1", "kind": "user"},
        "personal": {"usr_1": "c1", "usr_2": "c2"},
        **more,
    }
    return decode(StoredRecord(writer="w", seq=3, body=encode(body), personal=personal))


def test_what_is_said_of_persons_stands_in_its_place() -> None:
    told = {
        "usr_1": {"name": "alice", "source_ip": "192.0.2.1", "user_agent": "x", "attributes": {"query.q": 1}},
        "usr_2": {"attributes": {"username": "bob"}},
        "usr_3": {"name": "not in the record"},
    }
    record = _read(encode(told))
    assert tuple(record) == RECORD_FIELDS
    assert record["actor"] == {"id": "usr_1", "kind": "user", "name": "alice"}
    assert (record["source_ip"], record["user_agent"]) == ("192.0.2.1", "x")
    assert record["attributes"] == {"query.q": 1, "username": "bob", "broken": True}


def test_what_was_erased_is_null_and_said_to_be() -> None:
    record = _read(encode({"usr_2": {"attributes": {"username": "bob"}}}))
    assert record["actor"] == {"id": "usr_1", "kind": "user", "name": None}
    assert (record["source_ip"], record["user_agent"]) == (None, None)
    assert record["attributes"] == {"username": "bob", "broken": True, "erased": ["usr_1"]}
    assert _read(b"")["attributes"] == {"broken": True, "erased": ["usr_1", "usr_2"]}


@pytest.mark.parametrize(
    "personal", [b"{", b"[]", b'"x"', b'{"usr_1": 1}', b'{"usr_1": null, "usr_2": {"attributes": 1}}']
)
def test_what_cannot_be_read_of_persons_does_not_hide_the_record(personal: bytes) -> None:
    record = _read(personal, actor=None, attributes=None)
    assert (record["kind"], record["actor"]) == ("decision", None)
    attributes = record["attributes"]
    assert isinstance(attributes, dict)
    assert "usr_1" in attributes["erased"]


def test_a_body_cannot_claim_another_place() -> None:
    record = decode(StoredRecord(writer="w", seq=3, body=b'{"writer": "x", "seq": 9}'))
    assert (record["writer"], record["seq"]) == ("w", 3)
