"""One segment, decoded once."""

import pytest

from gateway.routing.segment import Unreadable, decode_segment


def test_a_segment_is_decoded_exactly_once() -> None:
    assert decode_segment("a%20b%25") == "a b%"
    assert decode_segment("") == ""


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ("%2F", "separator"),
        ("%5c", "separator"),
        ("%2e.", "`..`"),
        ("%2541", "twice"),
        ("%4", "hexadecimal"),
        ("%c0%af", "UTF-8"),
        ("%00", "control"),
    ],
)
def test_a_segment_that_reads_in_two_ways_says_what_is_in_it(raw: str, says: str) -> None:
    with pytest.raises(Unreadable, match=says):
        decode_segment(raw)
