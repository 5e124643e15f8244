"""Laws of limits: never too many, a true time to come back, all or nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from gateway.model import Algorithm, Charge, Limit
from gateway.model.rate import new_meter
from gateway.stores.memory import MemoryCounters

WINDOWS = st.sampled_from([1, 7, 64, 100, 1000, 6400, 99_999, 60_000_000])


def limit(
    quota: int,
    window_us: int,
    algorithm: Algorithm = Algorithm.WINDOW,
    *,
    burst: int = 0,
    cost: int = 1,
    name: str = "x",
) -> Limit:
    return Limit(
        id=name,
        place="policies.yaml:1",
        algorithm=algorithm,
        per=("all",),
        quota=quota,
        window_us=window_us,
        burst=burst or quota,
        cost=cost,
    )


@st.composite
def floods(draw: st.DrawFn, window_us: int, quota: int) -> list[int]:
    """Times, in bursts around the moments at which a window ends."""
    now = draw(st.integers(0, 10 * window_us))
    times: list[int] = []
    for _ in range(draw(st.integers(1, 12))):
        now += draw(
            st.one_of(
                st.integers(0, 3),
                st.integers(0, 2 * window_us),
                st.integers(max(0, window_us - 3), window_us + 3),
                st.just(window_us // 64),
            )
        )
        times += [now] * draw(st.integers(1, quota + 2))
    return times


def most_in_any_window(times: Sequence[int], window_us: int) -> int:
    """Return the largest number of times in a half-open window."""
    most = first = 0
    for last, time in enumerate(times):
        while times[first] <= time - window_us:
            first += 1
        most = max(most, last - first + 1)
    return most


def admitted_of(of: Limit, times: Sequence[int]) -> list[int]:
    meter = new_meter(of)
    admitted = []
    for now in times:
        if meter.wait_us(now) == 0:
            meter.spend(now)
            admitted.append(now)
    return admitted


@given(st.data(), st.integers(1, 12), WINDOWS)
def test_a_log_admits_never_more_than_its_quota_in_any_window_and_is_exact(
    data: st.DataObject, quota: int, window_us: int
) -> None:
    times = data.draw(floods(window_us, quota))
    admitted = admitted_of(limit(quota, window_us), times)
    assert most_in_any_window(admitted, window_us) <= quota
    # Exact: whoever was refused would have been one too many.
    expected: list[int] = []
    for now in times:
        if sum(1 for past in expected if past > now - window_us) < quota:
            expected.append(now)
    assert admitted == expected


@given(st.data(), st.sampled_from([257, 300]), WINDOWS)
def test_slots_admit_never_more_than_the_quota_in_any_window(
    data: st.DataObject, quota: int, window_us: int
) -> None:
    times = data.draw(floods(window_us, quota))
    admitted = admitted_of(limit(quota, window_us), times)
    assert most_in_any_window(admitted, window_us) <= quota
    # Whoever was refused would be too many for a window that is a slot longer.
    longer = window_us + -(-window_us // 64) + 64
    for now in set(times):
        if times.count(now) > admitted.count(now):
            assert sum(1 for past in admitted if now - longer < past <= now) >= quota


@given(st.data(), st.integers(1, 20), st.integers(1, 20), WINDOWS)
def test_gcra_admits_at_most_the_burst_and_the_even_rate_in_any_time(
    data: st.DataObject, quota: int, burst: int, window_us: int
) -> None:
    interval = -(-window_us // quota)
    admitted = admitted_of(
        limit(quota, window_us, Algorithm.GCRA, burst=burst), data.draw(floods(window_us, burst))
    )
    for first, start in enumerate(admitted):
        for last in range(first, len(admitted)):
            assert last - first + 1 <= burst + (admitted[last] - start) // interval


@given(
    st.data(),
    st.sampled_from([(Algorithm.WINDOW, 5), (Algorithm.WINDOW, 260), (Algorithm.GCRA, 5)]),
    WINDOWS,
    st.integers(1, 3),
)
def test_waiting_exactly_as_long_as_told_admits_and_less_does_not(
    data: st.DataObject, how: tuple[Algorithm, int], window_us: int, cost: int
) -> None:
    algorithm, quota = how
    of = limit(quota, window_us, algorithm, cost=cost)
    meter = new_meter(of)
    now = 0
    for now in data.draw(floods(window_us, quota)):
        if meter.wait_us(now) == 0:
            meter.spend(now)
    wait = meter.wait_us(now)
    if wait:
        assert meter.wait_us(now + wait) == 0
        assert meter.wait_us(now + wait - 1) == 1
        assert meter.left(now)[0] < cost


@given(st.data(), st.sampled_from([5, 260]), WINDOWS)
def test_a_meter_that_is_neutral_says_the_same_as_a_new_one(
    data: st.DataObject, quota: int, window_us: int
) -> None:
    for algorithm in Algorithm:
        of = limit(quota, window_us, algorithm)
        meter = new_meter(of)
        for now in data.draw(floods(window_us, quota)):
            if meter.wait_us(now) == 0:
                meter.spend(now)
        end = meter.neutral_at
        assert (meter.wait_us(end), *meter.left(end)) == (0, quota, 0)


@given(
    st.data(), st.sampled_from([3, 256, 257, 1000]), st.sampled_from([3, 256, 257, 1000]), WINDOWS, WINDOWS
)
def test_a_reload_never_admits_more_than_the_larger_quota_in_the_shorter_window(
    data: st.DataObject, before: int, after: int, window_us: int, other_us: int
) -> None:
    """Changed in the middle: quotas across the border between the two ways of counting, and windows."""
    times = data.draw(floods(window_us, before))
    meter = new_meter(limit(before, window_us))
    admitted = []
    for position, now in enumerate(times):
        if position == len(times) // 2:
            meter.adopt(limit(after, other_us), now)
        if meter.wait_us(now) == 0:
            meter.spend(now)
            admitted.append(now)
        assert meter.left(now)[0] >= 0
    assert most_in_any_window(admitted, min(window_us, other_us)) <= max(before, after)


@given(
    st.data(),
    st.sampled_from([(Algorithm.WINDOW, 5), (Algorithm.WINDOW, 260), (Algorithm.GCRA, 5)]),
    WINDOWS,
    st.integers(1, 3),
)
def test_what_is_spent_and_given_back_at_once_was_never_spent(
    data: st.DataObject, how: tuple[Algorithm, int], window_us: int, cost: int
) -> None:
    algorithm, quota = how
    of = limit(quota, window_us, algorithm, cost=cost)
    tried, plain = new_meter(of), new_meter(of)
    for now in data.draw(floods(window_us, quota)):
        assert tried.wait_us(now) == plain.wait_us(now)
        if plain.wait_us(now) == 0:
            if data.draw(st.booleans()):
                tried.spend(now)
                tried.give_back(now)
            else:
                tried.spend(now)
                plain.spend(now)
        assert tried.left(now) == plain.left(now)


@given(
    st.data(),
    st.sampled_from([(Algorithm.WINDOW, 3), (Algorithm.WINDOW, 260), (Algorithm.GCRA, 3)]),
    WINDOWS,
)
def test_giving_back_more_than_was_spent_leaves_a_new_meter_and_no_better_one(
    data: st.DataObject, how: tuple[Algorithm, int], window_us: int
) -> None:
    algorithm, quota = how
    of = limit(quota, window_us, algorithm)
    meter = new_meter(of)
    now = 0
    for now in data.draw(floods(window_us, quota)):
        if meter.wait_us(now) == 0:
            meter.spend(now)
    for _ in range(quota + 1):
        meter.give_back(now)
    fresh = new_meter(of)
    assert (meter.wait_us(now), *meter.left(now)) == (0, quota, 0)
    assert meter.spend(now) == fresh.spend(now)


@dataclass
class StandingClock:
    us: int = 0

    def now(self) -> float:
        return self.us / 1_000_000

    def monotonic(self) -> float:
        return self.us / 1_000_000


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.lists(st.integers(0, 3), unique=True, min_size=1)),
        max_size=40,
    )
)
async def test_a_request_is_charged_to_all_of_its_limits_or_to_none(
    requests: list[tuple[int, list[int]]],
) -> None:
    """Compared with meters that are charged by hand, only when all of them would admit."""
    limits = [
        limit(2, 100, name="0"),
        limit(4, 50, Algorithm.GCRA, burst=2, name="1"),
        limit(300, 64, name="2"),
        limit(1, 30, name="3"),
    ]
    clock = StandingClock()
    counters = MemoryCounters(clock)
    meters = [new_meter(each) for each in limits]
    for pause, chosen in requests:
        clock.us += pause
        charges = [Charge(limits[index], (limits[index].id, "")) for index in chosen]
        waits = [meters[index].wait_us(clock.us) for index in chosen]
        asked = counters.known_wait(charges)
        verdict = await counters.take(charges)
        assert verdict.admitted is not any(waits)
        assert [tally.wait_us for tally in verdict.tallies] == waits
        assert round(asked * 1_000_000) == max(waits)
        if verdict.admitted:
            for index in chosen:
                meters[index].spend(clock.us)
        assert [(tally.remaining, tally.reset_us) for tally in verdict.tallies] == [
            meters[index].left(clock.us) for index in chosen
        ]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9)), max_size=80), st.integers(1, 6))
async def test_the_bound_on_entries_holds_and_never_changes_the_answer_for_who_is_blocked(
    requests: list[tuple[int, int]], capacity: int
) -> None:
    clock = StandingClock()
    of = limit(1, 50)
    counters = MemoryCounters(clock, capacity)
    unbounded = MemoryCounters(clock)
    for pause, who in requests:
        clock.us += pause
        charges = [Charge(of, ("x", str(who)))]
        bounded_verdict = await counters.take(charges)
        assert len(counters) <= capacity
        if len(unbounded) < capacity:
            # Nothing had to be dropped yet.
            assert bounded_verdict == await unbounded.take(charges)
        else:
            await unbounded.take(charges)
