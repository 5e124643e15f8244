"""What is special about counters in memory: a bound on the entries, and who is dropped first."""

from dataclasses import dataclass, replace

from gateway.model import Algorithm, Charge, Limit
from gateway.model.rate import new_meter
from gateway.stores.memory import MemoryCounters


@dataclass
class StandingClock:
    """A clock that moves when told."""

    at: float = 1000.0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


def limit(quota: int = 2, seconds: int = 10, algorithm: Algorithm = Algorithm.WINDOW) -> Limit:
    return Limit(
        id="x",
        place="policies.yaml:1",
        algorithm=algorithm,
        per=("principal",),
        quota=quota,
        window_us=seconds * 1_000_000,
        burst=quota,
    )


TWO = limit()


def charge(name: str, of: Limit = TWO) -> tuple[Charge, ...]:
    return (Charge(of, ("x", name)),)


async def admitted(counters: MemoryCounters, name: str, of: Limit = TWO) -> bool:
    return (await counters.take(charge(name, of))).admitted


async def test_there_are_never_more_entries_than_allowed() -> None:
    counters = MemoryCounters(StandingClock(), capacity=10)
    for number in range(100):
        assert await admitted(counters, str(number))
        assert len(counters) <= 10
        assert len(counters._ends) == len(counters)


async def test_entries_with_nothing_left_to_remember_are_dropped_first() -> None:
    clock = StandingClock()
    counters = MemoryCounters(clock, capacity=3)
    await admitted(counters, "old")
    clock.at += 6
    await admitted(counters, "a")
    await admitted(counters, "b")
    clock.at += 4
    assert await admitted(counters, "new")
    assert {key[1] for key in counters._meters} == {"a", "b", "new"}


async def test_an_entry_that_was_used_again_is_not_taken_for_an_old_one() -> None:
    clock = StandingClock()
    counters = MemoryCounters(clock, capacity=2)
    await admitted(counters, "used")
    clock.at += 5
    await admitted(counters, "idle")
    await admitted(counters, "used")
    await admitted(counters, "used")
    clock.at += 5.5
    await admitted(counters, "used")
    clock.at += 4.6
    # "idle" is neutral now, "used" was spent 4.6 seconds ago.
    assert await admitted(counters, "new")
    assert {key[1] for key in counters._meters} == {"used", "new"}


async def test_a_flood_of_new_keys_does_not_free_who_is_blocked() -> None:
    counters = MemoryCounters(StandingClock(), capacity=50)
    assert [await admitted(counters, "blocked") for _ in range(3)] == [True, True, False]
    for number in range(1000):
        await admitted(counters, f"flood-{number}")
    assert not await admitted(counters, "blocked")


async def test_when_everybody_is_blocked_the_one_who_will_be_free_first_goes() -> None:
    clock = StandingClock()
    counters = MemoryCounters(clock, capacity=3)
    for name in ("first", "second", "third"):
        await admitted(counters, name)
        await admitted(counters, name)
        clock.at += 1
    assert await admitted(counters, "new")
    assert {key[1] for key in counters._meters} == {"second", "third", "new"}


async def test_the_memory_is_given_back_while_others_go_on() -> None:
    clock = StandingClock()
    counters = MemoryCounters(clock)
    for number in range(100):
        await admitted(counters, str(number))
    clock.at += 11
    for _ in range(100):
        await admitted(counters, "busy", limit(quota=1000))
    assert len(counters) == 1


async def test_a_refused_request_leaves_no_entry() -> None:
    counters = MemoryCounters(StandingClock())
    await admitted(counters, "a")
    await admitted(counters, "a")
    both = (*charge("a"), Charge(limit(), ("x", "b")))
    assert not (await counters.take(both)).admitted
    assert len(counters) == 1


async def test_asking_leaves_no_entry() -> None:
    counters = MemoryCounters(StandingClock())
    assert counters.known_wait(charge("a")) == 0
    assert len(counters) == 0


async def test_a_reload_keeps_the_counts_when_only_the_quota_changed() -> None:
    counters = MemoryCounters(StandingClock())
    assert await admitted(counters, "a")
    assert await admitted(counters, "a")
    assert [await admitted(counters, "a", limit(quota=3)) for _ in range(2)] == [True, False]
    assert counters.known_wait(charge("a", limit(quota=1))) == 10


async def test_a_reload_to_another_algorithm_begins_anew() -> None:
    counters = MemoryCounters(StandingClock())
    assert [await admitted(counters, "a") for _ in range(3)] == [True, True, False]
    even = limit(algorithm=Algorithm.GCRA)
    assert counters.known_wait(charge("a", even)) == 0
    assert [await admitted(counters, "a", even) for _ in range(3)] == [True, True, False]
    assert len(counters) == len(counters._ends) == 1


async def test_one_request_may_need_more_entries_than_there_are() -> None:
    counters = MemoryCounters(StandingClock(), capacity=1)
    charges = [Charge(TWO, ("x", str(number))) for number in range(3)]
    assert (await counters.take(charges)).admitted
    assert len(counters) == 1


async def test_a_meter_that_was_made_elsewhere_goes_on_here() -> None:
    clock = StandingClock()
    counters = MemoryCounters(clock)
    begun = new_meter(TWO)
    begun.begin(round(clock.at * 1_000_000), 1)
    assert [await admitted(counters, "a") for _ in range(3)] == [True, True, False]
    assert counters.known_wait(charge("a")) == 10
    counters.put(("x", "a"), begun)
    assert counters.known_wait(charge("a")) == 0
    assert counters.meter(("x", "a")) is begun
    assert [await admitted(counters, "a") for _ in range(2)] == [True, False]
    assert len(counters) == len(counters._ends) == 1


async def test_drained_counters_begin_with_nothing() -> None:
    counters = MemoryCounters(StandingClock())
    assert [await admitted(counters, "a") for _ in range(3)] == [True, True, False]
    drained = counters.drain()
    assert list(drained) == [("x", "a")]
    assert len(counters) == 0
    assert counters.meter(("x", "a")) is None
    assert not counters.is_refusing
    assert [await admitted(counters, "a") for _ in range(3)] == [True, True, False]


async def test_a_request_that_never_fits_makes_no_key_count_as_exhausted() -> None:
    counters = MemoryCounters(StandingClock())
    for algorithm in Algorithm:
        assert not await admitted(counters, "a", replace(limit(algorithm=algorithm), cost=3))
    assert not counters.is_refusing
