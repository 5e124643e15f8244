"""What every counter store promises. Adapters are listed in one fixture."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from support.counting import SECOND, StandingClock, charge, counters_on, limit
from support.servers import empty_redis_url

from gateway.model import Algorithm
from gateway.ports import CounterStore
from gateway.stores.memory import MemoryCounters


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest, clock: StandingClock) -> AsyncIterator[CounterStore]:
    if request.param == "memory":
        yield MemoryCounters(clock)
        return
    async with counters_on(empty_redis_url(), clock) as (counters, _):
        yield counters
        # Nothing was answered in its place.
        assert counters.statistics.local_admitted == counters.statistics.local_refused == 0


ALGORITHMS = [
    pytest.param(3, Algorithm.WINDOW, id="log"),
    pytest.param(300, Algorithm.WINDOW, id="slots"),
    pytest.param(3, Algorithm.GCRA, id="gcra"),
]


@pytest.mark.parametrize(("quota", "algorithm"), ALGORITHMS)
async def test_a_limit_admits_its_quota_and_says_how_long_to_wait(
    store: CounterStore, clock: StandingClock, quota: int, algorithm: Algorithm
) -> None:
    charges = [charge(limit("x", quota, algorithm=algorithm))]
    for left in range(quota - 1, -1, -1):
        verdict = await store.take(charges)
        assert verdict.admitted
        assert (verdict.tallies[0].wait_us, verdict.tallies[0].remaining) == (0, left)
    verdict = await store.take(charges)
    assert not verdict.admitted
    (tally,) = verdict.tallies
    assert tally.remaining == 0
    assert 0 < tally.wait_us <= 10 * SECOND * 65 // 64 + 1
    assert store.known_wait(charges) == pytest.approx(tally.wait_us / SECOND)
    clock.advance(tally.wait_us - 1)
    assert not (await store.take(charges)).admitted
    clock.advance(1)
    assert store.known_wait(charges) == 0
    assert (await store.take(charges)).admitted


@pytest.mark.parametrize(("quota", "algorithm"), ALGORITHMS)
async def test_when_one_limit_refuses_none_is_charged(
    store: CounterStore, quota: int, algorithm: Algorithm
) -> None:
    wide = charge(limit("wide", quota, algorithm=algorithm))
    narrow = charge(limit("narrow", 1))
    assert (await store.take([wide, narrow])).admitted
    for _ in range(5):
        for charges in ([wide, narrow], [narrow, wide]):
            verdict = await store.take(charges)
            assert not verdict.admitted
            by_name = {tally.limit.id: tally for tally in verdict.tallies}
            assert by_name["narrow"].wait_us > 0
            assert (by_name["wide"].wait_us, by_name["wide"].remaining) == (0, quota - 1)


async def test_tallies_are_in_the_order_of_the_charges(store: CounterStore) -> None:
    charges = [charge(limit(name, 5)) for name in ("c", "a", "b")]
    assert [tally.limit.id for tally in (await store.take(charges)).tallies] == ["c", "a", "b"]


async def test_keys_are_counted_apart_whatever_is_in_them(store: CounterStore) -> None:
    x, y = limit("x", 1), limit("x:w", 1)
    keys = [(x, "1:a1:b"), (x, "a:b"), (x, "a\x00b"), (x, "a b"), (x, "w/:a"), (x, ""), (y, ""), (y, "a:b")]
    for of, part in keys:
        assert (await store.take([charge(of, part)])).admitted
        assert not (await store.take([charge(of, part)])).admitted


async def test_nothing_to_charge_is_admitted(store: CounterStore) -> None:
    verdict = await store.take([])
    assert verdict.admitted
    assert verdict.tallies == ()
    assert store.known_wait([]) == 0


@pytest.mark.parametrize(("quota", "algorithm"), ALGORITHMS)
async def test_asking_spends_nothing(store: CounterStore, quota: int, algorithm: Algorithm) -> None:
    charges = [charge(limit("x", quota, algorithm=algorithm))]
    for _ in range(3 * quota):
        assert store.known_wait(charges) == 0
    assert (await store.take(charges)).tallies[0].remaining == quota - 1


async def test_the_wait_is_the_longest_of_all_limits(store: CounterStore, clock: StandingClock) -> None:
    short = charge(limit("short", 1, window_us=2 * SECOND))
    long = charge(limit("long", 1, window_us=9 * SECOND))
    assert (await store.take([short, long])).admitted
    clock.advance(SECOND)
    assert [tally.wait_us for tally in (await store.take([short, long])).tallies] == [SECOND, 8 * SECOND]
    assert store.is_refusing
    assert store.known_wait([short, long]) == 8
    assert store.known_wait([short]) == 1


async def test_a_window_says_when_there_will_be_more(store: CounterStore, clock: StandingClock) -> None:
    charges = [charge(limit("x", 3))]
    assert (await store.take(charges)).tallies[0].reset_us == 10 * SECOND
    clock.advance(SECOND)
    assert (await store.take(charges)).tallies[0].reset_us == 9 * SECOND


async def test_another_quota_keeps_the_counts(store: CounterStore) -> None:
    assert (await store.take([charge(limit("x", 3))])).admitted
    assert (await store.take([charge(limit("x", 300))])).tallies[0].remaining == 298
    assert (await store.take([charge(limit("x", 3))])).tallies[0].remaining == 0
    assert not (await store.take([charge(limit("x", 2))])).admitted


async def test_another_window_keeps_the_counts(store: CounterStore, clock: StandingClock) -> None:
    hour = limit("x", 3, window_us=3600 * SECOND)
    assert (await store.take([charge(hour)])).admitted
    clock.advance(9 * SECOND)
    (tally,) = (await store.take([charge(limit("x", 3))])).tallies
    assert (tally.remaining, tally.reset_us) == (1, SECOND)
    clock.advance(SECOND)
    # What no longer counted does not count again.
    assert (await store.take([charge(hour)])).tallies[0].remaining == 1


async def test_what_a_shorter_window_forgot_does_not_count_again(
    store: CounterStore, clock: StandingClock
) -> None:
    hour, short, never = limit("x", 3, window_us=3600 * SECOND), limit("x", 3), limit("never", 1, cost=2)
    assert (await store.take([charge(hour)])).admitted
    clock.advance(20 * SECOND)
    assert not (await store.take([charge(short), charge(never)])).admitted
    assert (await store.take([charge(hour)])).tallies[0].remaining == 2


async def test_another_rate_and_burst_keep_the_count(store: CounterStore) -> None:
    for _ in range(10):
        assert (await store.take([charge(limit("x", 10, algorithm=Algorithm.GCRA))])).admitted
    smaller = charge(limit("x", 10, algorithm=Algorithm.GCRA, burst=2))
    assert (await store.take([smaller])).tallies[0].wait_us == SECOND


async def test_a_smaller_burst_locks_nobody_out(store: CounterStore, clock: StandingClock) -> None:
    for _ in range(10):
        assert (await store.take([charge(limit("x", 10, algorithm=Algorithm.GCRA))])).admitted
    smaller = [charge(limit("x", 10, algorithm=Algorithm.GCRA, burst=2))]
    assert not (await store.take(smaller)).admitted
    clock.advance(SECOND)
    assert (await store.take(smaller)).admitted


async def test_another_algorithm_begins_anew(store: CounterStore) -> None:
    for algorithm in Algorithm:
        charges = [charge(limit("x", 2, algorithm=algorithm))]
        assert [(await store.take(charges)).admitted for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize(("quota", "algorithm"), ALGORITHMS)
async def test_a_cost_is_charged_whole_or_not_at_all(
    store: CounterStore, quota: int, algorithm: Algorithm
) -> None:
    cost = quota - 1
    charges = [charge(limit("x", quota, algorithm=algorithm, cost=cost))]
    assert (await store.take(charges)).tallies[0].remaining == 1
    (tally,) = (await store.take(charges)).tallies
    assert tally.wait_us > 0
    assert tally.remaining == 1


@pytest.mark.parametrize(("quota", "algorithm"), ALGORITHMS)
async def test_a_cost_above_the_quota_never_passes(
    store: CounterStore, clock: StandingClock, quota: int, algorithm: Algorithm
) -> None:
    charges = [charge(limit("x", quota, algorithm=algorithm, cost=quota + 1))]
    for _ in range(3):
        (tally,) = (await store.take(charges)).tallies
        assert (tally.wait_us, tally.remaining) == (10 * SECOND, quota)
        clock.advance(20 * SECOND)


async def test_a_larger_quota_ends_a_denial_at_once(store: CounterStore) -> None:
    small, large = [charge(limit("x", 1))], [charge(limit("x", 3))]
    assert [(await store.take(small)).admitted for _ in range(3)] == [True, False, False]
    assert store.known_wait(small) == 10
    assert store.known_wait(large) == 0
    assert [(await store.take(large)).admitted for _ in range(3)] == [True, True, False]


async def test_keys_may_hold_anything(store: CounterStore) -> None:
    parts = ["\x00", "\r\n$3\r\nfoo", "*1\r\n", "\ud800", "ключ", "~", "a/w/b", "long" * 2500, "long" * 2501]
    for per in (("principal",), ("header.x-tenant",)):
        charges = [charge(limit(per[0], 1, per=per), part) for part in parts]
        assert [(await store.take([each])).admitted for each in charges] == [True] * len(parts)
        assert [(await store.take([each])).admitted for each in charges] == [False] * len(parts)


@pytest.mark.parametrize(("quota", "algorithm"), ALGORITHMS)
async def test_what_is_given_back_may_be_spent_again(
    store: CounterStore, quota: int, algorithm: Algorithm
) -> None:
    charges = [charge(limit("x", quota, algorithm=algorithm))]
    for _ in range(quota):
        assert (await store.take(charges)).admitted
    assert not (await store.take(charges)).admitted
    await store.give_back(charges)
    assert store.known_wait(charges) == 0
    assert (await store.take(charges)).tallies[0].remaining == 0
    assert not (await store.take(charges)).admitted


async def test_what_is_given_back_is_the_newest(store: CounterStore, clock: StandingClock) -> None:
    charges = [charge(limit("x", 2))]
    await store.take(charges)
    clock.advance(SECOND)
    await store.take(charges)
    await store.give_back(charges)
    assert (await store.take(charges)).tallies[0].reset_us == 9 * SECOND


async def test_giving_back_what_does_not_count_any_more_gives_nothing(
    store: CounterStore, clock: StandingClock
) -> None:
    charges = [charge(limit("x", 2))]
    await store.give_back(charges)
    await store.take(charges)
    clock.advance(10 * SECOND)
    await store.give_back(charges)
    await store.give_back([])
    assert [(await store.take(charges)).admitted for _ in range(3)] == [True, True, False]


async def test_a_cost_is_given_back_whole(store: CounterStore) -> None:
    costly = [charge(limit("x", 10, cost=4)), charge(limit("y", 10, algorithm=Algorithm.GCRA, cost=4))]
    for _ in range(2):
        assert (await store.take(costly)).admitted
    await store.give_back(costly)
    assert [tally.remaining for tally in (await store.take(costly)).tallies] == [2, 2]


@pytest.mark.parametrize("algorithm", list(Algorithm))
async def test_requests_of_several_costs_share_one_limit(
    store: CounterStore, clock: StandingClock, algorithm: Algorithm
) -> None:
    one = limit("x", 5, algorithm=algorithm)
    two, four, six = (replace(one, cost=cost) for cost in (2, 4, 6))
    spent = [(await store.take([charge(of)])).admitted for of in (two, four, one, four, two, one, two)]
    assert spent == [True, False, True, False, True, False, False]
    verdict = await store.take([charge(two)])
    assert verdict.tallies[0].remaining == 0
    clock.advance(verdict.tallies[0].wait_us)
    assert (await store.take([charge(two)])).admitted
    clock.advance(60 * SECOND)
    # More than fits into the whole limit never passes, and costs nothing.
    verdict = await store.take([charge(six)])
    assert not verdict.admitted
    assert (verdict.tallies[0].wait_us, verdict.tallies[0].remaining) == (10 * SECOND, 5)
    assert (await store.take([charge(four)])).admitted
