"""Nothing hides in a line."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.formats.text import escaped, json_line, legible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain /text?a=b", "plain /text?a=b"),
        ("ü ﬁ 漢", "ü ﬁ 漢"),
        ("\x1b[2J", "\\u001b[2J"),
        ("a\r\nb\tc", "a\\u000d\\u000ab\\u0009c"),
        ("\u202eabc", "\\u202eabc"),
        ("\x9b31m", "\\u009b31m"),
        ("\u2028", "\\u2028"),
        ("\U000e0001", "\\udb40\\udc01"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_cannot_be_seen_is_escaped_and_all_else_stays(text: str, shown: str) -> None:
    assert legible(text) == shown


def test_a_character_is_escaped_as_json_does_it() -> None:
    assert json.loads(f'"{escaped(chr(0x1F600))}"') == "\U0001f600"


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_json_is_one_line_that_reads_as_the_same_value(value: object) -> None:
    line = json_line(value)
    assert line.decode().isprintable()
    assert json.loads(line) == value
