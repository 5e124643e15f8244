"""Fields, with the types that other systems expect."""

import pytest
from support.records import completion, decision, event, record, refusal

from gateway.formats import fields
from gateway.formats.fields import Gravity


@pytest.mark.parametrize(
    ("host", "name", "port"),
    [
        ("api.example.com", "api.example.com", None),
        ("api.example.com:8443", "api.example.com", 8443),
        ("[2001:db8::1]:80", "2001:db8::1", 80),
        ("[2001:db8::1]", "2001:db8::1", None),
        ("a:99999", "a", None),
        ("a:٣", "a:٣", None),
        ("", None, None),
        (None, None, None),
    ],
)
def test_a_host_is_a_name_and_a_port(host: str | None, name: str | None, port: int | None) -> None:
    assert fields.host_of(record(host=host)) == (name, port)


@pytest.mark.parametrize(
    ("source", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:DB8::1", "2001:db8::1"),
        ("203***", None),
        ("hmac:0123456789abcdef0123456789abcdef", None),
        ("", None),
        (None, None),
    ],
)
def test_an_address_is_one_of_ip_or_none(source: str | None, address: str | None) -> None:
    assert fields.address_of(record(source_ip=source)) == address


def test_a_path_and_its_query_are_told_apart() -> None:
    assert fields.target_of(record(path="/a?b=***")) == ("/a", "b=***")
    assert fields.target_of(record(path="/a?")) == ("/a", "")
    assert fields.target_of(record(path="/a")) == ("/a", None)
    assert fields.target_of(record()) == (None, None)


def test_a_value_of_another_type_is_none() -> None:
    odd = record(status="200", bytes_in=True, duration_ms="x", route=7, roles="admin", actor="x", time="soon")
    assert fields.number_of(odd, "status") is None
    assert fields.number_of(odd, "bytes_in") is None
    assert fields.duration_of(odd) is None
    assert fields.text_of(odd, "route") is None
    assert fields.names_of(odd, "roles") == []
    assert fields.actor_of(odd) == (None, None, None)
    assert fields.milliseconds_of(odd) == 0


def test_times_are_milliseconds() -> None:
    assert fields.milliseconds_of(record(time="2026-11-21T14:00:00.123456Z")) == 1795269600123


@pytest.mark.parametrize(
    ("told", "well", "gravity"),
    [
        (decision(), True, Gravity.USUAL),
        (refusal(), False, Gravity.NOTABLE),
        (completion(), True, Gravity.USUAL),
        (completion(status=502), False, Gravity.NOTABLE),
        (completion(status=200, outcome="cut"), False, Gravity.NOTABLE),
        (event("auth.login"), True, Gravity.USUAL),
        (event("auth.login_failed", reason="credentials-invalid"), False, Gravity.NOTABLE),
        (event("auth.reuse_detected"), True, Gravity.GRAVE),
        (event("audit.gap"), True, Gravity.GRAVE),
        (decision(action="audit.gap"), True, Gravity.USUAL),
    ],
)
def test_what_went_wrong_is_told_from_what_went_well(
    told: dict[str, object], well: bool, gravity: Gravity
) -> None:
    assert fields.succeeded(told) is well
    assert fields.gravity_of(told) is gravity


def test_what_says_nothing_is_left_out_and_zero_and_no_are_not() -> None:
    assert fields.without_nothing({"a": None, "b": "", "c": [], "d": {}, "e": 0, "f": False}) == {
        "e": 0,
        "f": False,
    }
