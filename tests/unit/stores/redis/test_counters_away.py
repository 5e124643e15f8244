"""Counting while a real Redis is away, and what it is told when it is back."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from typing import NoReturn

import pytest
from support.counting import SECOND, StandingClock, State, UnreliableLink, charge, counters_on, limit
from support.redis_peer import answering, serving
from support.servers import RedisServer, empty_redis_url, redis_url

from gateway.model import Algorithm, Charge, Limit, OnStoreError
from gateway.model.rate import new_meter
from gateway.ports import StoreUnavailable
from gateway.stores.memory import MemoryCounters
from gateway.stores.redis import Link, RedisCounters, encode
from gateway.stores.redis.fallback import Fallback

HOUR = 3600 * SECOND
LONG = limit("long", 10, window_us=HOUR)
EVEN = limit("even", 10, window_us=HOUR, algorithm=Algorithm.GCRA)
OPEN = limit("open", 1, window_us=HOUR, on_store_error=OnStoreError.OPEN)
CLOSED = limit("closed", 10, window_us=HOUR, on_store_error=OnStoreError.CLOSED)


STATES: Sequence[State] = ("deaf", "slow", "down")


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def keeping() -> Iterator[RedisServer]:
    with RedisServer(empty=False) as server:
        yield server


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def _down(server: RedisServer, link: Link) -> None:
    await asyncio.to_thread(server.stop, "kill")
    await _until(lambda: link.fault is not None)


async def _up(server: RedisServer, *links: Link) -> None:
    await asyncio.to_thread(server.start)
    await _until(lambda: all(link.fault is None for link in links))


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.005)


async def _admitted(counters: RedisCounters, of: Limit, asks: int, who: str = "a") -> int:
    return sum([(await counters.take([charge(of, who)])).admitted for _ in range(asks)])


async def test_each_limit_says_what_happens_while_redis_is_away(server: RedisServer) -> None:
    async with counters_on(server.url, processes=lambda: 4) as (counters, link):
        await _down(server, link)
        # Nobody has heard of this key: it has this process's share.
        assert await _admitted(counters, LONG, 5, "new") == 3
        assert await _admitted(counters, EVEN, 5, "new") == 3
        assert await _admitted(counters, OPEN, 5) == 5
        with pytest.raises(StoreUnavailable):
            await counters.take([charge(OPEN), charge(LONG), charge(CLOSED)])
        # An open limit is not counted, and nothing is said of it.
        verdict = await counters.take([charge(OPEN), charge(LONG, "other")])
        assert [(tally.limit, tally.remaining) for tally in verdict.tallies] == [(LONG, 2)]
        assert [tally.limit for tally in (await counters.take([charge(OPEN)])).tallies] == []
        statistics = counters.statistics
        assert (statistics.local_admitted, statistics.local_refused) == (7, 4)
        assert (statistics.open_admitted, statistics.closed_refused) == (6, 1)


async def test_shares_are_taken_all_or_none_and_refusals_are_known(server: RedisServer) -> None:
    narrow = limit("narrow", 1, window_us=10 * SECOND)
    async with counters_on(server.url, processes=lambda: 2) as (counters, link):
        await _down(server, link)
        both = [charge(LONG), charge(narrow)]
        assert (await counters.take(both)).admitted
        refused = await counters.take(both)
        assert not refused.admitted
        assert [tally.remaining for tally in refused.tallies] == [4, 0]
        assert counters.is_refusing
        assert counters.known_wait(both) == pytest.approx(10, abs=0.5)
        assert counters.known_wait([charge(LONG)]) == 0


async def test_a_share_lets_at_least_one_request_through(server: RedisServer) -> None:
    costly = limit("costly", 10, cost=6)
    async with counters_on(server.url, processes=lambda: 1000) as (counters, link):
        await _down(server, link)
        assert await _admitted(counters, costly, 3) == 1
        # What does not fit into the whole limit does not fit into a share.
        assert await _admitted(counters, limit("never", 10, cost=11), 3) == 0
        rate = limit("rate", 10, window_us=HOUR, algorithm=Algorithm.GCRA, burst=50, cost=40)
        assert await _admitted(counters, rate, 3) == 1
        verdict = await counters.take([charge(rate)])
        # At the rate of the share, however much one request costs.
        assert verdict.tallies[0].wait_us == pytest.approx(40 * HOUR, rel=0.01)


@pytest.mark.parametrize(
    "of", [LONG, limit("slots", 500, window_us=HOUR, cost=50), EVEN], ids=lambda of: of.id
)
async def test_who_always_comes_here_is_given_the_quota_once_through_an_outage(
    keeping: RedisServer, of: Limit
) -> None:
    async with (
        counters_on(keeping.url) as (counters, link),
        counters_on(keeping.url) as (others, others_link),
    ):
        assert await _admitted(counters, of, 4) == 4
        await _down(keeping, link)
        assert await _admitted(counters, of, 3) == 3
        await _up(keeping, link, others_link)
        assert (await others.take([charge(of)])).tallies[0].remaining == of.cost * 2
        assert await _admitted(counters, of, 5) == 2
        await _down(keeping, link)
        assert await _admitted(counters, of, 5) == 0


async def test_after_an_empty_restart_only_what_redis_had_counted_is_forgotten(server: RedisServer) -> None:
    async with counters_on(server.url) as (counters, link):
        assert await _admitted(counters, LONG, 4) == 4
        await _down(server, link)
        assert await _admitted(counters, LONG, 20) == 6
        await _up(server, link)
        assert await _admitted(counters, LONG, 20) == 4


async def test_all_debts_are_paid_without_anybody_asking(server: RedisServer, stack: AsyncExitStack) -> None:
    counters, link = await stack.enter_async_context(counters_on(server.url))
    others, others_link = await stack.enter_async_context(counters_on(server.url))
    await _down(server, link)
    names = [str(number) for number in range(300)]
    for name in names:
        assert await _admitted(counters, LONG, 2, name) == 2
    await _up(server, link, others_link)
    await _until(lambda: not counters._fallback.has_debts and not link.waiting)
    assert len(counters._fallback.local) == 0
    left = [(await others.take([charge(LONG, name)])).tallies[0].remaining for name in names]
    assert left == [10 - 2 - 1] * 300


async def test_a_debt_is_not_forgotten_when_redis_is_lost_again_before_it_is_paid(
    keeping: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with counters_on(keeping.url) as (counters, link):
        assert await _admitted(counters, LONG, 4) == 4
        await _down(keeping, link)
        assert await _admitted(counters, LONG, 3) == 3

        # It is back for a moment that is too short for paying.
        def fail(command: bytes) -> NoReturn:
            raise StoreUnavailable("lost again")

        monkeypatch.setattr(link, "send", fail)
        counters._repayment.begin()
        monkeypatch.undo()
        assert counters._fallback.has_debts
        assert await _admitted(counters, LONG, 2) == 2
        await _up(keeping, link)
        assert await _admitted(counters, LONG, 20) == 1


async def test_a_stalled_redis_holds_nobody_for_long(server: RedisServer) -> None:
    plenty = limit("plenty", 1000, window_us=HOUR)
    async with counters_on(server.url, timeout=0.05) as (counters, link):
        assert (await counters.take([charge(plenty)])).admitted
        server.pause()
        try:
            for _ in range(3):
                begun = time.monotonic()
                verdicts = await asyncio.gather(*(counters.take([charge(plenty)]) for _ in range(100)))
                assert time.monotonic() - begun < 0.05 * 2 + 0.2
                assert all(verdict.admitted for verdict in verdicts)
            with pytest.raises(StoreUnavailable):
                await counters.take([charge(CLOSED)])
        finally:
            server.resume()
        await _until(lambda: link.fault is None)
        statistics = counters.statistics
        assert statistics.local_admitted == 300
        # What Redis did after all is counted there too: stricter, never too much.
        assert 0 <= statistics.late_admitted <= 100
        left = (await counters.take([charge(plenty)])).tallies[0].remaining
        assert 1000 - 1 - 2 * 300 - 1 <= left <= 1000 - 1 - 300 - 1


async def test_a_limit_that_was_reloaded_during_an_outage_keeps_its_debt(keeping: RedisServer) -> None:
    larger = limit("long", 20, window_us=HOUR)
    async with counters_on(keeping.url) as (counters, link):
        assert await _admitted(counters, LONG, 4) == 4
        await _down(keeping, link)
        assert await _admitted(counters, LONG, 3) == 3
        assert await _admitted(counters, larger, 20) == 13
        await _up(keeping, link)
        assert await _admitted(counters, larger, 5) == 0


async def test_a_limit_that_is_gone_owes_nothing(server: RedisServer) -> None:
    async with counters_on(server.url) as (counters, link):
        await _down(server, link)
        assert await _admitted(counters, LONG, 3) == 3
        assert await _admitted(counters, limit("gone"), 1) == 1
        counters._knowledge._limits.pop("gone")
        other_way = limit("long", 10, window_us=HOUR, algorithm=Algorithm.GCRA)
        assert not counters._fallback.has_debts
        counters._knowledge.encoded(other_way)
        await _up(server, link)
        await _until(lambda: not counters._fallback.has_debts)
        assert await _admitted(counters, other_way, 20) == 10


def test_debts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.stores.redis.fallback.MOST_UNPAID", 5)
    fallback = Fallback(MemoryCounters(StandingClock()), lambda: 1)
    for number in range(20):
        fallback.local.put(("x", str(number)), new_meter(LONG))
        fallback.settle()
    assert [key[1] for key, _ in fallback.debts(100)] == ["19", "18", "17", "16", "15"]


async def test_nothing_to_charge_needs_no_redis(server: RedisServer) -> None:
    async with counters_on(server.url) as (counters, link):
        await _down(server, link)
        assert (await counters.take([])).admitted
        assert counters.known_wait([Charge(LONG, ("long", "a"))]) == 0


@pytest.fixture
async def failing() -> AsyncIterator[tuple[RedisCounters, UnreliableLink, StandingClock]]:
    clock = StandingClock()
    async with counters_on(empty_redis_url(), clock) as (counters, link):
        assert isinstance(link, UnreliableLink)
        yield counters, link, clock


Failing = tuple[RedisCounters, UnreliableLink, StandingClock]


async def test_a_key_that_is_asked_for_is_paid_for_first(failing: Failing) -> None:
    counters, link, _ = failing
    link.become("down")
    for number in range(300):
        assert await _admitted(counters, LONG, 2, str(number)) == 2
    link.become("up")
    # The last of all in the background, and not paid yet.
    (tally,) = (await counters.take([charge(LONG, "0")])).tallies
    assert tally.remaining == 10 - 2 - 1


@pytest.mark.parametrize("of", [LONG, EVEN], ids=lambda of: of.id)
async def test_what_was_paid_is_known_when_redis_is_lost_again(failing: Failing, of: Limit) -> None:
    counters, link, _ = failing
    assert await _admitted(counters, of, 4) == 4
    link.become("down")
    assert await _admitted(counters, of, 3) == 3
    link.become("up")
    await _until(lambda: not link.waiting)
    link.become("down")
    assert await _admitted(counters, of, 20) == 3


async def test_a_reload_just_before_an_outage_gives_nothing_away(failing: Failing) -> None:
    counters, link, _ = failing
    assert await _admitted(counters, LONG, 4) == 4
    link.become("down")
    assert await _admitted(counters, limit("long", 20, window_us=HOUR), 30) == 16


@pytest.mark.parametrize("of", [LONG, EVEN], ids=lambda of: of.id)
async def test_a_debt_is_charged_even_when_nothing_is_left(failing: Failing, of: Limit) -> None:
    counters, link, clock = failing
    async with counters_on(redis_url(), clock) as (others, _):
        link.become("down")
        assert await _admitted(counters, of, 5) == 5
        assert await _admitted(others, of, 20) == 10
        clock.advance(SECOND)
        link.become("up")
        await _until(lambda: not link.waiting)
        known = counters._knowledge.get(charge(of).key)
        assert known is not None
        assert known.tally is not None
        assert known.tally.remaining == 0
        if of is LONG:
            # What the others had is old, the debt is a second younger.
            clock.advance(HOUR - SECOND)
            assert await _admitted(others, of, 20) == 5
        else:
            # Nobody is locked out for longer than the burst takes.
            clock.advance(HOUR // 10)
            assert await _admitted(others, of, 20) == 1


async def test_what_was_paid_counts_from_when_it_was_paid(failing: Failing) -> None:
    counters, link, clock = failing
    assert await _admitted(counters, LONG, 4) == 4
    link.become("down")
    clock.advance(HOUR // 2)
    assert await _admitted(counters, LONG, 3) == 3
    link.become("up")
    await _until(lambda: not link.waiting)
    link.become("down")
    clock.advance(HOUR // 2 + 1)
    # The first four are old, but how old nobody said: at most seven, and it is the three that were left.
    assert await _admitted(counters, LONG, 20) == 3


@pytest.mark.parametrize("of", [LONG, EVEN], ids=lambda of: of.id)
async def test_what_redis_counted_late_is_charged_once(failing: Failing, of: Limit) -> None:
    counters, link, clock = failing
    assert await _admitted(counters, of, 2) == 2
    link.become("slow")
    assert await _admitted(counters, of, 3) == 3
    await asyncio.sleep(0)
    assert counters.statistics.late_admitted == 3
    # Everything that was counted here becomes debt.
    link.become("down")
    assert await _admitted(counters, of, 1) == 1
    link.become("up")
    await _until(lambda: not link.waiting)
    async with counters_on(redis_url(), clock) as (others, _):
        assert (await others.take([charge(of)])).tallies[0].remaining == 10 - 2 - 3 - 1 - 1


async def test_what_was_admitted_here_and_refused_by_redis_late_is_owed(failing: Failing) -> None:
    counters, link, clock = failing
    async with counters_on(redis_url(), clock) as (others, _):
        assert await _admitted(others, LONG, 10) == 10
        clock.advance(HOUR // 2)
        link.become("slow")
        # From the late refusal it is known here too that nothing is left.
        assert await _admitted(counters, LONG, 10) == 1
        assert counters.statistics.late_admitted == 0
        link.become("up")
        # Any answer will do for beginning to pay.
        assert await _admitted(counters, LONG, 1, "somebody else") == 1
        await _until(lambda: not link.waiting)
        # The ten of the others are old then, the one that was paid for is not.
        clock.advance(HOUR // 2)
        assert await _admitted(others, LONG, 20) == 9


async def test_a_payment_that_redis_took_late_is_not_made_again(failing: Failing) -> None:
    counters, link, clock = failing
    link.become("down")
    assert await _admitted(counters, LONG, 4) == 4
    link.become("slow")
    await _until(lambda: not link.waiting)
    await asyncio.sleep(0)
    link.become("up")
    for _ in range(3):
        await counters.take([charge(LONG, "somebody else")])
        await _until(lambda: not link.waiting)
    link.become("down")
    link.become("up")
    await _until(lambda: not link.waiting)
    async with counters_on(redis_url(), clock) as (others, _):
        assert (await others.take([charge(LONG)])).tallies[0].remaining == 10 - 4 - 1


async def test_a_payment_that_nobody_knows_of_is_made_again(failing: Failing) -> None:
    counters, link, clock = failing
    link.become("down")
    assert await _admitted(counters, LONG, 2) == 2
    link.state = "deaf"
    counters._repayment.begin()
    await _until(lambda: not link.waiting)
    await asyncio.sleep(0)
    link.become("up")
    await _until(lambda: not link.waiting)
    async with counters_on(redis_url(), clock) as (others, _):
        assert (await others.take([charge(LONG)])).tallies[0].remaining == 10 - 2 * 2 - 1


async def test_a_redis_that_is_full_now_and_then_gives_nobody_the_quota_anew(server: RedisServer) -> None:
    async with counters_on(server.url) as (counters, link), counters_on(server.url) as (_, operator):

        async def room(size: bytes) -> None:
            await operator.send(encode(b"CONFIG", b"SET", b"maxmemory", size))

        await room(b"1")
        assert await _admitted(counters, LONG, 30) == 10
        assert link.fault is not None
        for _ in range(4):
            await room(b"0")
            # Now and then one request is sent as a trial.
            counted = counters.statistics.exact_admitted
            async with asyncio.timeout(5):
                while counters.statistics.exact_admitted == counted and link.fault is not None:
                    assert await _admitted(counters, LONG, 1) <= 1
                    await asyncio.sleep(0.01)
            await room(b"1")
            assert await _admitted(counters, LONG, 30) == 0


@pytest.mark.parametrize(
    "answer",
    [
        b"+OK\r\n",
        b":1\r\n",
        b"$-1\r\n",
        b"*0\r\n",
        b"*1\r\n*0\r\n",
        b"*4\r\n$-1\r\n:0\r\n:0\r\n:0\r\n",
        b"*4\r\n*0\r\n:0\r\n:0\r\n:0\r\n",
    ],
)
async def test_what_only_looks_like_redis_is_taken_for_a_redis_that_is_away(answer: bytes) -> None:
    async with (
        serving(answering({b"SCRIPT": b"+OK\r\n", b"EVALSHA": answer})) as port,
        counters_on(f"redis://127.0.0.1:{port}") as (counters, _),
    ):
        assert await _admitted(counters, LONG, 20) == 10
        assert await _admitted(counters, OPEN, 20) == 20
        with pytest.raises(StoreUnavailable):
            await counters.take([charge(CLOSED)])


async def test_what_is_given_back_while_redis_is_away_is_not_owed(keeping: RedisServer) -> None:
    async with counters_on(keeping.url) as (counters, link):
        assert await _admitted(counters, LONG, 2) == 2
        await _down(keeping, link)
        assert await _admitted(counters, LONG, 3) == 3
        for _ in range(2):
            await counters.give_back([charge(LONG)])
        # Nobody has heard of this key: there is nothing to give back.
        await counters.give_back([charge(LONG, "unheard of")])
        assert (await counters.take([charge(LONG)])).tallies[0].remaining == 6
        await _up(keeping, link)
        # Of three and one that were admitted here, two were given back, and two came before.
        assert (await counters.take([charge(LONG)])).tallies[0].remaining == 5


async def test_giving_back_never_raises_though_nobody_answers() -> None:
    clock = StandingClock()
    async with counters_on(redis_url(), clock) as (counters, link):
        assert isinstance(link, UnreliableLink)
        await counters.take([charge(LONG, "deaf")])
        for state in STATES:
            link.become(state)
            await counters.give_back([charge(LONG, "deaf")])
        link.become("up")
        assert counters.statistics.late_admitted == 0
