"""The arithmetic of limits, by hand-made examples; the laws are among the properties."""

from dataclasses import replace

import pytest

from gateway.model import Algorithm, Limit
from gateway.model.rate import GcraMeter, WindowMeter, new_meter


def limit(quota: int, window_us: int, algorithm: Algorithm = Algorithm.WINDOW, *, burst: int = 0) -> Limit:
    return Limit(
        id="x",
        place="policies.yaml:1",
        algorithm=algorithm,
        per=("all",),
        quota=quota,
        window_us=window_us,
        burst=burst or quota,
    )


def spend(meter: WindowMeter | GcraMeter, *times: int) -> None:
    for now in times:
        assert meter.wait_us(now) == 0
        meter.spend(now)


def test_a_window_admits_its_quota_and_again_when_the_oldest_hit_is_a_window_old() -> None:
    meter = new_meter(limit(2, 100))
    spend(meter, 10, 50)
    assert meter.wait_us(50) == 60
    assert meter.wait_us(109) == 1
    assert meter.wait_us(110) == 0
    assert meter.left(50) == (0, 60)
    assert meter.left(110) == (1, 40)
    assert meter.left(150) == (2, 0)
    assert meter.neutral_at == 150


def test_asking_changes_nothing() -> None:
    meter = new_meter(limit(2, 100))
    spend(meter, 10, 50)
    assert [meter.wait_us(now) for now in (1000, 50, 109)] == [0, 60, 1]
    assert meter.left(1000) == (2, 0)
    assert meter.left(50) == (0, 60)


def test_hits_of_the_same_moment_are_counted_apart() -> None:
    meter = new_meter(limit(3, 100))
    spend(meter, 10, 10, 10)
    assert meter.wait_us(10) == 100
    assert meter.left(110) == (3, 0)


def test_a_large_quota_is_counted_in_slots_that_are_never_too_early() -> None:
    # Slots are 10 wide: a hit at 7 is in the first one, and counts until 650, not 647.
    large = new_meter(limit(257, 640))
    spend(large, *([7] * 257))
    assert large.wait_us(7) == 643
    assert large.wait_us(649) == 1
    assert large.wait_us(650) == 0
    exact = new_meter(limit(256, 640))
    spend(exact, *([7] * 256))
    assert exact.wait_us(7) == 640


def test_a_cost_waits_for_as_many_hits_as_it_needs() -> None:
    meter = WindowMeter(limit(3, 100))
    spend(meter, 10, 20, 30)
    meter.adopt(replace(limit(3, 100), cost=2), 30)
    assert meter.wait_us(30) == 90
    assert meter.wait_us(120) == 0


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_a_cost_above_the_quota_never_passes(algorithm: Algorithm) -> None:
    meter = new_meter(replace(limit(3, 99, algorithm), cost=4))
    assert meter.wait_us(0) > 0
    assert meter.wait_us(10_000) > 0


@pytest.mark.parametrize(
    ("before", "after"), [(10, 20), (20, 10), (256, 257), (257, 256), (10, 1000), (1000, 10)]
)
def test_another_quota_keeps_what_was_counted(before: int, after: int) -> None:
    meter = WindowMeter(limit(before, 6400))
    spend(meter, *range(10))
    meter.adopt(limit(after, 6400), 10)
    assert meter.left(10)[0] == after - 10
    admitted = 0
    while meter.wait_us(20) == 0:
        meter.spend(20)
        admitted += 1
    assert admitted == after - 10
    assert meter.wait_us(6399) > 0
    assert meter.left(13_000)[0] == after


def test_a_hit_from_before_slots_were_given_up_counts_no_longer_than_one_of_now() -> None:
    meter = WindowMeter(limit(257, 640))
    spend(meter, 7)
    assert meter.left(649) == (256, 1)
    meter.adopt(limit(3, 640), 8)
    spend(meter, 8)
    assert meter.left(647) == (1, 1)
    assert meter.left(648) == (3, 0)


def test_a_smaller_quota_waits_until_enough_hits_are_old() -> None:
    meter = WindowMeter(limit(4, 100))
    spend(meter, 10, 20, 30, 40)
    meter.adopt(limit(2, 100), 40)
    assert meter.left(40) == (0, 70)
    assert meter.wait_us(40) == 90
    assert meter.wait_us(130) == 0


def test_another_window_keeps_what_was_counted() -> None:
    meter = WindowMeter(limit(2, 86_400_000))
    spend(meter, 10, 20)
    meter.adopt(limit(2, 100), 30)
    assert meter.wait_us(30) == 80
    meter.adopt(limit(2, 1000), 30)
    assert meter.wait_us(30) == 980


def test_what_no_longer_counts_does_not_count_again_in_a_longer_window() -> None:
    meter = WindowMeter(limit(2, 100))
    spend(meter, 10, 50)
    meter.adopt(limit(2, 1000), 120)
    assert meter.left(120) == (1, 930)


@pytest.mark.parametrize(
    ("quota", "algorithm"), [(10, Algorithm.WINDOW), (300, Algorithm.WINDOW), (10, Algorithm.GCRA)]
)
def test_a_meter_that_begins_with_what_was_counted_elsewhere_tells_it_from_its_own(
    quota: int, algorithm: Algorithm
) -> None:
    meter = new_meter(limit(quota, 6400, algorithm))
    meter.begin(100, quota - 2)
    assert meter.begun_at == 100
    assert meter.own(100) == 0
    spend(meter, 100, 120)
    assert meter.wait_us(120) > 0
    assert meter.own(120) == 2
    assert meter.own(20_000) == 0
    assert meter.wait_us(20_000) == 0
    meter.adopt(limit(2 * quota, 6400, algorithm), 130)
    assert meter.own(130) in {2, 4}
    assert meter.own(20_000) == 0


@pytest.mark.parametrize(
    ("quota", "algorithm"), [(10, Algorithm.WINDOW), (300, Algorithm.WINDOW), (10, Algorithm.GCRA)]
)
def test_what_was_counted_elsewhere_too_still_counts_here_and_is_not_its_own(
    quota: int, algorithm: Algorithm
) -> None:
    meter = new_meter(limit(quota, 6400, algorithm))
    meter.begin(100, 2)
    spend(meter, 110, 120, 130)
    meter.counted_elsewhere(120)
    assert (meter.own(130), meter.left(130)[0]) == (2, quota - 5)
    meter.counted_elsewhere(130)
    meter.counted_elsewhere(130)
    assert (meter.own(130), meter.left(130)[0]) == (0, quota - 5)
    spend(meter, 140)
    assert meter.own(140) == 1
    meter.adopt(limit(quota, 12_800, algorithm), 150)
    assert meter.own(150) == 1
    assert meter.own(40_000) == 0


@pytest.mark.parametrize(
    ("quota", "algorithm"), [(10, Algorithm.WINDOW), (300, Algorithm.WINDOW), (10, Algorithm.GCRA)]
)
def test_a_meter_may_go_on_with_what_was_spent_before(quota: int, algorithm: Algorithm) -> None:
    meter = new_meter(limit(quota, 6400, algorithm))
    meter.begin(100, quota - 5)
    meter.owe(100, 2)
    meter.owe(110, 3)
    assert meter.own(110) == 5
    assert meter.wait_us(110) > 0
    assert meter.own(40_000) == 0


def test_a_meter_may_begin_with_nothing() -> None:
    for algorithm in Algorithm:
        meter = new_meter(limit(3, 99, algorithm))
        assert meter.begun_at == -1
        meter.begin(100, 0)
        assert (meter.begun_at, meter.own(100), meter.left(100)) == (100, 0, (3, 0))


def test_gcra_admits_the_burst_and_then_the_even_rate() -> None:
    meter = new_meter(limit(10, 1000, Algorithm.GCRA, burst=3))
    spend(meter, 5000, 5000, 5000)
    assert meter.wait_us(5000) == 100
    assert meter.left(5000) == (0, 300)
    assert meter.wait_us(5099) == 1
    spend(meter, 5100)
    assert meter.wait_us(5100) == 100
    assert meter.left(5250) == (1, 150)
    assert meter.left(5400) == (3, 0)
    assert meter.neutral_at == 5400


def test_gcra_is_never_faster_than_its_rate_when_the_interval_is_no_whole_number() -> None:
    meter = new_meter(limit(7, 60_000_000, Algorithm.GCRA, burst=1))
    admitted = 0
    for now in range(0, 60_000_000, 10_007):
        if meter.wait_us(now) == 0:
            meter.spend(now)
            admitted += 1
    assert admitted == 7


def test_a_smaller_burst_locks_nobody_out() -> None:
    meter = GcraMeter(limit(10, 1000, Algorithm.GCRA, burst=100))
    spend(meter, *([0] * 100))
    meter.adopt(limit(10, 1000, Algorithm.GCRA, burst=2), 0)
    assert meter.wait_us(0) == 100
    assert meter.left(0) == (0, 200)
    assert meter.wait_us(100) == 0
