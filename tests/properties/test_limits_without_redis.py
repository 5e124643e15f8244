"""The law of the local fallback: who always comes to one process is never given more than the quota."""

from collections.abc import AsyncIterator
from itertools import count

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.counting import KEY_SECRET, SECOND, StandingClock, State, UnreliableLink, charge, limit
from support.servers import redis_url

from gateway.model import Algorithm
from gateway.stores.memory import MemoryCounters
from gateway.stores.redis import RedisAddress, RedisCounters
from gateway.stores.redis.knowledge import Denials

_fresh = count()


@pytest.fixture
async def link() -> AsyncIterator[UnreliableLink]:
    link = UnreliableLink(RedisAddress.parse(redis_url()), scripts=[RedisCounters.script], timeout=5)
    link.clock = StandingClock()
    await link.start()
    yield link
    await link.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(
            st.one_of(st.integers(0, SECOND), st.integers(0, 40 * SECOND)),
            st.integers(0, 8),
            st.sampled_from(["up", "up", "slow", "down", "deaf"]),
            st.integers(0, 2),
        ),
        max_size=25,
    ),
    which=st.sampled_from(["log", "slots", "gcra"]),
    processes=st.integers(1, 4),
)
@example(steps=[(0, 5, "down", 0), (0, 0, "up", 0), (0, 1, "down", 0)], which="log", processes=1)
@example(steps=[(0, 5, "up", 0), (0, 0, "down", 2), (0, 3, "down", 0)], which="log", processes=1)
async def test_a_client_of_one_process_never_has_more_than_the_quota(
    link: UnreliableLink, steps: list[tuple[int, int, State, int]], which: str, processes: int
) -> None:
    of = {
        "log": limit(f"log{next(_fresh)}", 5, window_us=20 * SECOND),
        "slots": limit(f"slots{next(_fresh)}", 500, window_us=20 * SECOND, cost=100),
        "gcra": limit(f"gcra{next(_fresh)}", 4, window_us=20 * SECOND, burst=5, algorithm=Algorithm.GCRA),
    }[which]
    clock = link.clock
    link.state = "up"
    counters = RedisCounters(
        link, MemoryCounters(clock), clock, key_secret=KEY_SECRET, processes=lambda: processes
    )
    # A clock that was never disturbed must agree with every admission; slots may hold a hit a little longer.
    judge = MemoryCounters(clock)
    exact = limit("judge", 5, window_us=20 * SECOND) if which != "gcra" else of
    taken = 0
    for pause, hits, state, back in steps:
        clock.advance(pause)
        link.become(state)
        for _ in range(hits):
            counters._denials = Denials()
            if (await counters.take([charge(of)])).admitted:
                assert (await judge.take([charge(exact)])).admitted
                taken += 1
        # What is given back counts no more for the judge; here it may.
        for _ in range(min(taken, back)):
            await counters.give_back([charge(of)])
            await judge.give_back([charge(exact)])
            taken -= 1
    link.become("up")
