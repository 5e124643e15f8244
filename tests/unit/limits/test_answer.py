"""What callers are told."""

from typing import Any

import pytest

from gateway.limits import rate_fields, retry_after
from gateway.model import Tally, Verdict


def test_every_limit_shows_its_policy_and_what_is_left(limit: Any) -> None:
    tallies = (
        Tally(limit("role:customer:0", quota=100, seconds=60), 12_000_001, 0, 9),
        Tally(limit("defaults:1", per=("client_ip",), quota=600, seconds=1), 0, 541, 1),
    )
    assert rate_fields(tallies) == (
        b'"role:customer:0";q=100;w=60, "defaults:1";q=600;w=1',
        b'"role:customer:0";r=0;t=13, "defaults:1";r=541;t=1',
    )


def test_a_limit_that_is_shared_by_all_does_not_show_what_others_left(limit: Any) -> None:
    own = Tally(limit("own", quota=5), 0, 4, 60_000_000)
    shared = Tally(limit("shared", per=("route",), quota=7), 0, 3, 1)
    everybody = Tally(limit("everybody", per=("all",), quota=9), 0, 3, 1)
    assert rate_fields((shared, own)) == (b'"shared";q=7;w=60, "own";q=5;w=60', b'"own";r=4;t=60')
    assert rate_fields((shared, everybody)) is None


def test_without_limits_there_is_nothing_to_say() -> None:
    assert rate_fields(()) is None


def test_a_name_cannot_break_out_of_its_string(limit: Any) -> None:
    fields = rate_fields((Tally(limit('role:"a\\b\r\né:0', quota=1), 0, 0, 0),))
    assert fields is not None
    assert fields[1] == b'"role:%22a%5Cb%0D%0A%C3%A9:0";r=0;t=0'


@pytest.mark.parametrize(
    ("waits", "seconds"), [((0, 0), 0.0), ((0, 1_500_000), 1.5), ((2, 1), 0.000_002), ((), 0.0)]
)
def test_the_longest_wait_is_when_to_come_back(limit: Any, waits: tuple[int, ...], seconds: float) -> None:
    tallies = tuple(Tally(limit(str(wait)), wait, 0, 90_000_000) for wait in waits)
    assert retry_after(Verdict(not any(waits), tallies)) == seconds
