"""Laws of limits that are counted by the script: the same as in memory, whatever happens and in any order."""

from collections.abc import AsyncIterator
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.counting import SECOND, StandingClock, StandingLink, charge, counters_on, limit
from support.servers import redis_url

from gateway.model import Algorithm, Limit
from gateway.stores.memory import MemoryCounters
from gateway.stores.redis import RedisCounters
from gateway.stores.redis.knowledge import Denials

On = tuple[RedisCounters, StandingLink, StandingClock]
# The fixture is a connection, and every example has keys of its own.
shared_connection = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
_fresh = count()

# Keys live in the server's time, so windows are long enough to outlast an example.
WINDOW, GCRA = Algorithm.WINDOW, Algorithm.GCRA
VARIANTS: list[list[Limit]] = [
    [
        limit("log", 2, window_us=10 * SECOND),
        limit("log", 5, window_us=10 * SECOND, cost=2),
        limit("log", 256, window_us=9 * SECOND + 7, cost=100),
        limit("log", 257, window_us=64 * SECOND, cost=100),
        limit("log", 3, window_us=3600 * SECOND),
    ],
    [
        limit("slots", 300, window_us=64 * SECOND + 1, cost=100),
        limit("slots", 1000, window_us=99_999_999, cost=150),
        limit("slots", 10, window_us=64 * SECOND, cost=3),
        limit("slots", 1_000_000_000, window_us=366 * 86400 * SECOND, cost=1_000_000),
    ],
    [
        limit("even", 4, window_us=60 * SECOND + 1, burst=2, algorithm=GCRA),
        limit("even", 7, window_us=60 * SECOND, burst=9, cost=3, algorithm=GCRA),
        limit("even", 1, window_us=366 * 86400 * SECOND, burst=99, cost=40, algorithm=GCRA),
    ],
    [
        limit("other", 1, window_us=30 * SECOND),
        limit("other", 3, window_us=30 * SECOND, algorithm=GCRA),
    ],
]
PAUSES = st.one_of(
    st.integers(0, 3),
    st.integers(0, 20 * SECOND),
    st.integers(0, 200 * SECOND),
    st.sampled_from([SECOND, 9 * SECOND + 7, 10 * SECOND, 64 * SECOND + 1, 3600 * SECOND]),
)
CHOSEN = st.lists(st.integers(0, 3), unique=True, min_size=1)


@pytest.fixture
async def redis() -> AsyncIterator[On]:
    clock = StandingClock()
    async with counters_on(redis_url(), clock) as (counters, link):
        assert isinstance(link, StandingLink)
        yield counters, link, clock
        # Nothing was answered in the place of Redis.
        assert counters.statistics.local_admitted == counters.statistics.local_refused == 0


@shared_connection
@given(
    steps=st.lists(
        st.tuples(PAUSES, CHOSEN, st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), max_size=2)),
        max_size=30,
    )
)
async def test_redis_says_what_memory_says_through_any_reloads(
    redis: On, steps: list[tuple[int, list[int], list[tuple[int, int]]]]
) -> None:
    counters, _, clock = redis
    memory = MemoryCounters(clock)
    who = f"same-{next(_fresh)}"
    limits = [variants[0] for variants in VARIANTS]
    for pause, chosen, reloads in steps:
        clock.advance(pause)
        for which, variant in reloads:
            # Never back to the first algorithm: memory has forgotten at once what was counted that way, and
            # Redis forgets it when it no longer matters.
            if limits[which].algorithm is VARIANTS[which][0].algorithm:
                limits[which] = VARIANTS[which][variant % len(VARIANTS[which])]
        charges = [charge(limits[index], who) for index in chosen]
        counters._denials = Denials()
        assert await counters.take(charges) == await memory.take(charges)


@shared_connection
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["take", "take", "give back"]),
            PAUSES,
            CHOSEN,
            st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4)), max_size=1),
        ),
        max_size=40,
    )
)
async def test_redis_gives_back_what_memory_gives_back(
    redis: On, steps: list[tuple[str, int, list[int], list[tuple[int, int]]]]
) -> None:
    counters, _, clock = redis
    memory = MemoryCounters(clock)
    who = f"back-{next(_fresh)}"
    limits = [variants[0] for variants in VARIANTS]
    for action, pause, chosen, reloads in steps:
        clock.advance(pause)
        for which, variant in reloads:
            limits[which] = VARIANTS[which][variant % len(VARIANTS[which])]
        charges = [charge(limits[index], who) for index in chosen]
        if action == "give back":
            await counters.give_back(charges)
            await memory.give_back(charges)
        else:
            counters._denials = Denials()
            assert await counters.take(charges) == await memory.take(charges)


@shared_connection
@given(steps=st.lists(st.tuples(PAUSES, CHOSEN), max_size=30))
async def test_a_denial_that_is_remembered_is_one_that_memory_would_give(
    redis: On, steps: list[tuple[int, list[int]]]
) -> None:
    counters, _, clock = redis
    memory = MemoryCounters(clock)
    who = f"denied-{next(_fresh)}"
    for pause, chosen in steps:
        clock.advance(pause)
        charges = [charge(VARIANTS[index][0], who) for index in chosen]
        known = counters.known_wait(charges)
        asked = counters.statistics.deny_cache_refused
        verdict, expected = await counters.take(charges), await memory.take(charges)
        assert (known > 0) is (counters.statistics.deny_cache_refused > asked)
        if known:
            assert not verdict.admitted
            assert not expected.admitted
            for tally, true in zip(verdict.tallies, expected.tallies, strict=True):
                assert tally.wait_us in {0, true.wait_us}
                assert tally.remaining <= true.remaining
            assert round(known * SECOND) == max(tally.wait_us for tally in verdict.tallies)
        else:
            assert verdict == expected


@shared_connection
@given(
    steps=st.lists(st.tuples(PAUSES, st.integers(0, 4), st.integers(0, 100 * SECOND)), max_size=12),
    which=st.integers(0, 2),
)
async def test_when_the_servers_clock_steps_back_nobody_gains_and_nobody_is_locked_out(
    redis: On, steps: list[tuple[int, int, int]], which: int
) -> None:
    counters, link, clock = redis
    link.clock = StandingClock(clock.us + 10_000 * SECOND)
    of = VARIANTS[which][0]
    charges = [charge(of, f"back-{next(_fresh)}")]
    true = MemoryCounters(clock)
    hits_at: list[int] = []
    longest = of.window_us * 65 // 64 + 65
    for pause, hits, step in steps:
        clock.advance(pause)
        link.clock.advance(pause)
        for _ in range(hits):
            counters._denials = Denials()
            if (await counters.take(charges)).admitted:
                # What is admitted would be admitted by a clock that never stepped, too. Slots begin with the
                # clock, so that the same limit in memory may refuse for a slot longer than it must.
                hits_at.append(clock.us)
                if of.algorithm is WINDOW:
                    assert of.cost * sum(at > clock.us - of.window_us for at in hits_at) <= of.quota
                else:
                    assert (await true.take(charges)).admitted
        link.clock.advance(-step)
    counters._denials = Denials()
    (tally,) = (await counters.take(charges)).tallies
    assert tally.wait_us <= longest
    if tally.wait_us:
        counters._denials = Denials()
        link.clock.advance(tally.wait_us)
        clock.advance(tally.wait_us)
        assert (await counters.take(charges)).admitted
