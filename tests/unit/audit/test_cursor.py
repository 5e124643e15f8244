"""Where a page ended."""

import pytest

from gateway.audit import FilterError, cursor_of, parse_cursor
from gateway.ports import Place

WRITER = "0192f0c1-7d2b-7000-8000-00000000000a"


@pytest.mark.parametrize(
    "place", [Place("2026-11-21T14:00:00.123456Z", WRITER, 7), Place("", WRITER, 1), Place("0", "w", 10**17)]
)
def test_a_place_is_text_and_a_place_again(place: Place) -> None:
    assert parse_cursor(cursor_of(place)) == place


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "2026/w",
        "2026/w/",
        "2026/w/x",
        "2026/w/1/2",
        "2026'/w/1",
        "2026/w/٣",
        f"2026/w/{10**18}",
        "2026//1",
        "2026/w/1\n",
    ],
)
def test_anything_else_is_refused_with_its_form(text: str) -> None:
    with pytest.raises(FilterError, match="TIME/WRITER/SEQ of the last record"):
        parse_cursor(text)
