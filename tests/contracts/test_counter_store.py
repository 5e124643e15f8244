"""What every counter store promises. Adapters are listed in one fixture."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from gateway.model import Algorithm, Charge, Limit
from gateway.ports import CounterStore
from gateway.stores.memory import MemoryCounters

SECOND = 1_000_000


@dataclass
class StandingClock:
    """A clock that moves when told; in whole microseconds, so that nothing is lost to rounding."""

    us: int = 5_000 * SECOND

    def advance(self, us: int) -> None:
        self.us += us

    def now(self) -> float:
        return self.us / SECOND

    def monotonic(self) -> float:
        return self.us / SECOND


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture(params=[MemoryCounters], ids=["memory"])
def store(request: pytest.FixtureRequest, clock: StandingClock) -> CounterStore:
    make: Callable[[StandingClock], CounterStore] = request.param
    return make(clock)


def limit(
    name: str, quota: int, *, window_us: int = 10 * SECOND, algorithm: Algorithm = Algorithm.WINDOW
) -> Limit:
    return Limit(
        id=name,
        place="policies.yaml:1",
        algorithm=algorithm,
        per=("principal",),
        quota=quota,
        window_us=window_us,
        burst=quota,
    )


def charge(of: Limit, who: str = "a") -> Charge:
    return Charge(of, (of.id, who))


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
    of = limit("x", 1)
    keys = [("x", "1:a1:b"), ("x", "a:b"), ("x", "a\x00b"), ("x", "a b"), ("x", ""), ("y", "")]
    for key in keys:
        assert (await store.take([Charge(of, key)])).admitted
        assert not (await store.take([Charge(of, key)])).admitted


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
    assert store.known_wait([short, long]) == 8
    assert [tally.wait_us for tally in (await store.take([short, long])).tallies] == [SECOND, 8 * SECOND]


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
