"""Rates as the policy writes them."""

import re

import pytest

from gateway.limits import parse_rate

SECOND = 1_000_000


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("120/min", (120, 60 * SECOND)),
        ("50/s", (50, SECOND)),
        ("5/15min", (5, 900 * SECOND)),
        ("1/h", (1, 3600 * SECOND)),
        ("10000/2d", (10_000, 172_800 * SECOND)),
        ("1000000000/366d", (1_000_000_000, 366 * 86_400 * SECOND)),
    ],
)
def test_a_rate_is_how_many_in_which_time(text: str, rate: tuple[int, int]) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("120/m", 'write "120/min"'),
        ("120/minute", 'write "120/min"'),
        ("120 / min", 'write "120/min"'),
        ("120 per minute", 'write "120/min"'),
        ("5/15mins", 'write "5/15min"'),
        ("50/sec", 'write "50/s"'),
        ("50/S", 'write "50/s"'),
        ("1/hour", 'write "1/h"'),
        ("1/days", 'write "1/d"'),
        ("120", '"120/min"'),
        ("", '"120/min"'),
        ("min/120", '"120/min"'),
        ("120/", '"120/min"'),
        ("/min", '"120/min"'),
        ("-1/min", '"120/min"'),
        ("1.5/s", '"120/min"'),
        ("1/week", '"120/min"'),
        ("1/500ms", '"120/min"'),
        ("١٢٠/min", '"120/min"'),
        ("120/min\n", 'write "120/min"'),
        ("0/min", "from 1"),
        ("9999999999/s", "1000000000"),
        ("1/0s", "1s to 366d"),
        ("1/367d", "1s to 366d"),
    ],
)
def test_a_wrong_rate_says_what_to_write(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        parse_rate(text)
