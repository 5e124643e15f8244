"""A record is read the same by everybody."""

from gateway.model import time_of, with_persons


def test_the_time_is_found_whatever_the_record_looks_like() -> None:
    assert time_of(b'{"time":"2026-01-01T00:00:00.000000Z","kind":"event"}') == "2026-01-01T00:00:00.000000Z"
    assert time_of(b'{"kind":"x","time":"t"}') == "t"
    assert time_of(b'{"time":"a\\"b"}') == 'a"b'
    assert time_of(b"[]") == time_of(b"{") == time_of(b"") == ""


def test_what_is_said_of_persons_stands_in_its_place() -> None:
    fields = {
        "actor": {"id": "usr_1"},
        "attributes": {"user": "usr_2"},
        "personal": {"usr_1": "c", "usr_2": "d"},
    }
    said = {"usr_1": {"name": "alice", "source_ip": "192.0.2.1", "attributes": {"email": "a@example.com"}}}
    whole = with_persons(fields, said)
    assert whole["actor"] == {"id": "usr_1", "name": "alice"}
    assert whole["source_ip"] == "192.0.2.1"
    assert whole["attributes"] == {"email": "a@example.com", "user": "usr_2", "erased": ["usr_2"]}


def test_a_record_that_speaks_of_nobody_stays_as_it_is() -> None:
    fields = {"actor": {"id": "op"}, "personal": "nobody"}
    assert with_persons(fields, {"op": {"name": "x"}}) is fields
