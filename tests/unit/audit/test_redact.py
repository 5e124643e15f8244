"""What a record may say of what a client sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit import Redaction, keyed_hash, redact

KEY = b"k" * 32
PLAIN = redact.Redactor(Redaction(), KEY)
HIDING = redact.Redactor(
    Redaction(
        masked=frozenset({"query.token", "header.x-id", "claims.groups", "client.ip"}),
        visible=3,
        hashed=frozenset({"query.q", "claims.email", "header.user-agent"}),
    ),
    KEY,
)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("/orders/1", "/orders/1"),
        ("/a?token=abc", "/a?token=***"),
        ("/a?page=2&token=abc&page=3", "/a?page=***&token=***&page=***"),
        ("/a?", "/a?"),
        ("/a?debug", "/a?debug"),
        ("/a?debug&x=", "/a?debug&x="),
        ("/a?x==", "/a?x=***"),
        ("/a?x=1=2?3&y", "/a?x=***&y"),
        ("/a?x=1;token=2", "/a?x=***"),
        ("/a?&&", "/a?&&"),
        ("/a?eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.e30.c2ln", "/a?***"),
        ("/a?c2VjcmV0LXNlY3JldC1zZWNyZXQtMTIz==", "/a?***"),
        ("/a?filter[attributes.created_at][gte]=1", "/a?filter[attributes.created_at][gte]=***"),
        ("/a?" + "n" * 65 + "=1", "/a?***"),
        ("", ""),
    ],
)
def test_names_of_a_query_are_kept_and_values_masked(sent: str, kept: str) -> None:
    assert PLAIN.target(sent) == kept


@given(st.text(alphabet="ab?&=;%#/", max_size=30), st.text(alphabet="&=?/ab", max_size=10))
def test_no_value_of_a_query_is_ever_kept(before: str, after: str) -> None:
    kept = PLAIN.target(f"/x?{before}=name={'S' * 30}{after}")
    assert "S" not in kept
    # Where a name stands, only what is short enough for one.
    assert "S" * 70 not in PLAIN.target(f"/x?{before}{'S' * 70}{after}")


def test_a_target_is_cut_at_two_kibibytes_and_a_long_one_costs_no_more() -> None:
    assert len(PLAIN.target("/" + "a" * 5000)) == 2048
    assert len(PLAIN.target("/a?" + "b=1&" * 1_000_000)) <= 2048
    assert "secret" not in PLAIN.target("/" + "a" * 2040 + "?b=secret")


def test_a_user_agent_is_bounded_and_always_text() -> None:
    assert redact.user_agent(b"curl/8.0") == "curl/8.0"
    assert redact.user_agent(b"\xff\xfe") == "\ufffd\ufffd"
    assert redact.user_agent(b"a" * 10_000) == "a" * 256
    assert redact.user_agent("ü".encode() * 300) == "ü" * 256
    assert redact.user_agent("😀".encode() * 300) == "😀" * 256


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("token=abcdef", "token=abc***"),
        ("token=abc", "token=***"),
        ("token=%61%62%63", "token=***"),
        ("token=%61bcd", "token=%61***"),
        ("token=a&token=abcd&x=1", "token=***&token=abc***&x=***"),
        ("tok%65n=abcdef", "tok%65n=abc***"),
        ("token=", "token="),
        ("TOKEN=abcdef", "TOKEN=***"),
        ("q=jane%40example.com", f"q={keyed_hash(KEY, 'jane@example.com')}"),
        ("q=%ff", f"q={keyed_hash(KEY, chr(0xFFFD))}"),
        ("q", "q"),
    ],
)
def test_listed_parameters_are_shown_masked_or_hashed(sent: str, kept: str) -> None:
    assert HIDING.target(f"/a?{sent}") == f"/a?{kept}"


def test_half_a_value_is_never_hashed_as_if_it_were_a_whole_one() -> None:
    kept = HIDING.target("/a?q=" + "x" * 5000)
    assert kept == "/a?q=***"
    assert "hmac:" in HIDING.target("/a?q=" + "x" * 1000)


def test_the_address_and_the_agent_are_fields_like_others() -> None:
    assert HIDING.address("203.0.113.7") == "203***"
    assert HIDING.address("") == ""
    assert HIDING.agent(b"curl/8") == HIDING.agent_text("curl/8") == keyed_hash(KEY, "curl/8")
    assert PLAIN.address("203.0.113.7") == "203.0.113.7"
    assert PLAIN.agent(b"a" * 999) == PLAIN.agent_text("a" * 999) == "a" * 256


def test_attributes_are_hidden_by_name_and_keep_their_shape() -> None:
    given = {
        "header.x-id": "4711",
        "header.y": None,
        "claims.groups": ["admin", "it", 12345, True, ["x"]],
        "claims.email": "a@example.com",
        "claims.level": 3,
        "claims.address": {"street": "x"},
        "claims.list": ["a", {"b": 1}, None],
        "query.token": True,
    }
    assert HIDING.attributes(given) == {
        "header.x-id": "471***",
        "header.y": None,
        "claims.groups": ["adm***", "***", "123***", "tru***", "..."],
        "claims.email": keyed_hash(KEY, "a@example.com"),
        "claims.level": 3,
        "claims.address": "...",
        "claims.list": ["a", "...", None],
        "query.token": "tru***",
    }
    long = PLAIN.attributes({"a": "x" * 5000, "b": ("y",) * 500})
    assert long == {"a": "x" * 1024, "b": [*["y"] * 64, "..."]}


def test_a_hash_needs_the_key_and_says_what_it_is() -> None:
    made = keyed_hash(KEY, "jane")
    assert made.startswith("hmac:")
    assert len(made) == 37
    assert made == keyed_hash(KEY, "jane") != keyed_hash(b"other", "jane")
    assert keyed_hash(KEY, "\ud800")


@given(st.text(max_size=30), st.integers(0, 64))
def test_a_mask_never_shows_the_whole_value(value: str, visible: int) -> None:
    shown = redact.masked(value, visible)
    assert shown.endswith("***")
    assert len(shown) - 3 in {0, visible}
    assert len(shown) == 3 or len(value) > visible


def test_attributes_are_bounded() -> None:
    kept = redact.attributes({"a": "x" * 5000, "b": ["y" * 5000] * 500, "n": 3, "yes": True, "k" * 999: 1})
    assert kept["a"] == "x" * 1024
    assert kept["b"] == ["y" * 1024] * 64
    assert (kept["n"], kept["yes"]) == (3, True)
    assert all(len(name) <= 256 for name in kept)


def test_what_stores_refuse_is_replaced_wherever_it_is() -> None:
    hostile = {"a\0": ["\0", {"b": "\ud800x"}], "n": 2**64, "m": -(2**63) - 1, "f": 1.5, "t": True, "z": None}
    assert redact.storable(hostile) == {
        "a\ufffd": ["\ufffd", {"b": "\ufffd\ufffd\ufffdx"}],
        "n": str(2**64),
        "m": str(-(2**63) - 1),
        "f": 1.5,
        "t": True,
        "z": None,
    }
