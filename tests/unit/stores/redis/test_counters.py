"""Counting on a real Redis, while it answers."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from support.counting import SECOND, StandingClock, charge, counters_on, limit
from support.servers import RedisServer, empty_redis_url, redis_url

from gateway.model import Algorithm, Charge
from gateway.stores.redis import Link, RedisCounters
from gateway.stores.redis.knowledge import Denials, Knowledge
from gateway.stores.redis.script import EncodedLimit

On = tuple[RedisCounters, Link]
TESTS = Path(__file__).parents[3]
ALL_WAYS = [
    pytest.param(100, Algorithm.WINDOW, id="log"),
    pytest.param(1000, Algorithm.WINDOW, id="slots"),
    pytest.param(100, Algorithm.GCRA, id="gcra"),
]

FLOOD = """
import asyncio, sys
from support.counting import charge, counters_on, limit
from gateway.model import Algorithm

async def main(url, quota, algorithm, requests):
    of = limit("flood", quota, window_us=3_600_000_000, algorithm=Algorithm(algorithm))
    other = limit("narrower", quota + 1, window_us=3_600_000_000, per=("all",))
    async with counters_on(url, timeout=30.0) as (counters, _):
        admitted = 0
        async def ask():
            nonlocal admitted
            for _ in range(requests // 20):
                verdict = await counters.take([charge(of), charge(other)])
                admitted += verdict.admitted
        await asyncio.gather(*(ask() for _ in range(20)))
        print(admitted, counters.statistics.exact_admitted, counters.statistics.local_admitted)

asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
"""


@pytest.fixture
async def redis() -> AsyncIterator[On]:
    async with counters_on(empty_redis_url()) as pair:
        yield pair


@pytest.fixture
async def client() -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url(), protocol=2) as client:
        yield client


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


async def _calls(client: Redis) -> int:
    return int((await client.info("commandstats")).get("cmdstat_evalsha", {"calls": 0})["calls"])


@pytest.mark.parametrize(("quota", "algorithm"), ALL_WAYS)
async def test_processes_that_flood_one_key_are_given_its_quota_together(
    quota: int, algorithm: Algorithm
) -> None:
    arguments = (empty_redis_url(), str(quota), algorithm.value, str(quota))
    floods = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", FLOOD, *arguments, cwd=TESTS, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(2)
    ]
    said = [(await flood.communicate())[0].decode().splitlines()[-1].split() for flood in floods]
    assert sum(int(admitted) for admitted, _, _ in said) == quota
    assert all(admitted == exact for admitted, exact, _ in said)


async def test_a_lost_script_is_loaded_again_and_nothing_is_charged_twice(redis: On, client: Redis) -> None:
    counters, _ = redis
    of = limit("flush", 500, window_us=3600 * SECOND)

    async def ask() -> int:
        return sum([(await counters.take([charge(of)])).admitted for _ in range(50)])

    async def flush() -> int:
        for _ in range(20):
            await client.script_flush()
            await asyncio.sleep(0)
        return 0

    assert sum(await asyncio.gather(flush(), *(ask() for _ in range(20)))) == 500
    assert counters.statistics.local_admitted == 0


async def test_every_key_ends_and_says_only_what_it_may(redis: On, client: Redis) -> None:
    counters, _ = redis
    secret = "tenant-secret"
    await counters.take(
        [
            charge(limit("defaults:0", 5), "alice"),
            charge(limit("slots", 500, window_us=64 * SECOND), "alice"),
            charge(limit("even", 5, algorithm=Algorithm.GCRA, per=("client_ip",)), "192.0.2.1"),
            charge(limit("by-header", 5, per=("principal", "header.x-tenant")), secret),
            charge(limit("by-claim", 5, per=("claims.tenant",)), secret),
            charge(limit("long", 5), "a" * 10_000),
        ]
    )
    keys = [os.fsdecode(key) for key in await client.keys("*")]
    readable = {"gateway:rl:defaults:0/w/alice", "gateway:rl:slots/w/alice", "gateway:rl:even/g/192.0.2.1"}
    assert readable < set(keys)
    assert len(keys) == 6
    assert not any(secret in key or len(key) > 100 for key in keys)
    for key in keys:
        longest = 65_002 if "slots" in key else 10_002
        assert longest - 2000 < await client.pttl(key) <= longest


async def test_digests_of_what_redis_must_not_show_depend_on_the_secret() -> None:
    of = limit("x", per=("header.x-tenant",))
    keys = {EncodedLimit(of, secret).key("tenant") for secret in (b"one", b"two")}
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("quota", "algorithm"),
    [(3, Algorithm.WINDOW), (300, Algorithm.WINDOW), (3, Algorithm.GCRA)],
    ids=["log", "slots", "gcra"],
)
async def test_waiting_as_long_as_told_is_enough_by_the_servers_clock(
    redis: On, quota: int, algorithm: Algorithm
) -> None:
    counters, _ = redis
    charges = [charge(limit("wait", quota, window_us=SECOND // 4, algorithm=algorithm))]
    while (verdict := await counters.take(charges)).admitted:
        pass
    denied = time.monotonic()
    assert 0 < verdict.tallies[0].wait_us <= SECOND // 3
    while time.monotonic() < denied + verdict.tallies[0].wait_us / SECOND:
        await asyncio.sleep(0.001)
    assert (await counters.take(charges)).admitted


async def test_a_denied_key_is_denied_without_asking_for_at_most_a_second(client: Redis) -> None:
    clock = StandingClock()
    wide, narrow = limit("wide", 5), limit("narrow", 1)
    charges = [charge(wide), charge(narrow)]
    async with counters_on(empty_redis_url(), clock) as (counters, _):
        await counters.take(charges)
        await counters.take([charge(wide)])
        assert not counters.is_refusing
        first = await counters.take(charges)
        calls = await _calls(client)
        clock.advance(999_999)
        again = await counters.take(charges)
        assert await _calls(client) == calls
        assert [tally.wait_us for tally in first.tallies] == [0, 10 * SECOND]
        assert [tally.wait_us for tally in again.tallies] == [0, 10 * SECOND - 999_999]
        assert [tally.remaining for tally in again.tallies] == [3, 0]
        assert [tally.reset_us for tally in again.tallies] == [10 * SECOND - 999_999] * 2
        # Whoever is not charged to the exhausted limit goes on.
        assert (await counters.take([charge(wide)])).admitted
        assert (await counters.take([charge(narrow, "b")])).admitted
        clock.advance(1)
        assert counters.known_wait(charges) == 0
        assert not counters.is_refusing
        calls = await _calls(client)
        assert not (await counters.take(charges)).admitted
        assert await _calls(client) == calls + 1
        statistics = counters.statistics
        assert (statistics.exact_admitted, statistics.exact_refused, statistics.deny_cache_refused) == (
            4,
            2,
            1,
        )
        assert ("deny_cache", "refused", 1) in statistics.by_source()


async def test_a_denial_outlives_a_reload_for_whoever_still_goes_by_the_limit_before(redis: On) -> None:
    counters, _ = redis
    before, after = [charge(limit("x", 1))], [charge(limit("x", 2))]
    assert [(await counters.take(before)).admitted for _ in range(2)] == [True, False]
    assert (await counters.take(after)).admitted
    asked = counters.statistics.exact_refused
    (tally,) = (await counters.take(before)).tallies
    assert counters.statistics.exact_refused == asked
    assert tally.limit is before[0].limit
    assert 9 * SECOND < tally.wait_us < 10 * SECOND
    # Nor does it need to be known otherwise.
    counters._knowledge = Knowledge(20, b"secret")
    assert (await counters.take(before)).tallies[0].wait_us > 0


async def test_a_request_that_is_given_up_while_redis_is_asked_harms_nobody(redis: On) -> None:
    counters, link = redis
    charges = [charge(limit("given-up", 100, window_us=3600 * SECOND))]
    for _ in range(20):
        tasks = [asyncio.create_task(counters.take(charges)) for _ in range(4)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        tasks[2].cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(each, asyncio.CancelledError) for each in ended] == [True, False, True, False]
    (tally,) = (await counters.take(charges)).tallies
    assert 100 - 4 * 20 - 1 <= tally.remaining <= 100 - 2 * 20 - 1
    assert link.fault is None


async def test_what_is_no_count_of_ours_is_a_failure_of_the_store(redis: On, client: Redis) -> None:
    counters, _ = redis
    await client.set("gateway:rl:log/w/a", "not a window")
    await client.set("gateway:rl:even/g/a", "not a number")
    for of in (limit("log"), limit("even", algorithm=Algorithm.GCRA)):
        both = [charge(limit("sound")), charge(of)]
        assert (await counters.take(both)).admitted
    assert counters.statistics.local_admitted == 2
    assert await client.exists("gateway:rl:sound/w/a") == 0


async def test_a_key_of_another_type_gives_way(redis: On, client: Redis) -> None:
    counters, _ = redis
    await client.rpush("gateway:rl:log/w/a", "x")
    assert [(await counters.take([charge(limit("log"))])).tallies[0].remaining for _ in range(2)] == [2, 1]
    assert await client.type("gateway:rl:log/w/a") == b"string"


async def test_a_full_server_is_a_failure_of_the_store_and_is_told_afterwards(
    own_server: RedisServer,
) -> None:
    of = limit("full", 10, window_us=3600 * SECOND)
    async with (
        Redis.from_url(own_server.url, protocol=2) as client,
        counters_on(own_server.url) as (counters, _),
        counters_on(own_server.url) as (others, _),
    ):
        assert (await counters.take([charge(of)])).admitted
        await client.config_set("maxmemory", 1)
        for _ in range(5):
            assert (await counters.take([charge(of)])).admitted
        assert counters.statistics.local_admitted == 5
        await client.config_set("maxmemory", 0)
        assert (await counters.take([charge(of, "somebody else")])).admitted
        assert (await others.take([charge(of)])).tallies[0].remaining == 10 - 1 - 5 - 1


def test_denials_and_knowledge_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.stores.redis.knowledge.MOST_DENIED", 10)
    denials, knowledge = Denials(), Knowledge(10, b"secret")
    of = limit()
    keys = [("x", str(number)) for number in range(100)]
    for key in keys:
        known = knowledge.learn(of, key)
        denials.add(key, known, 0, SECOND)
        assert knowledge.get(key) is known
        assert len(denials) <= 10
        assert len(knowledge) <= 10
    assert knowledge.get(keys[0]) is None
    for _ in range(5):
        denials.forget(SECOND)
    assert not denials


async def test_no_more_keys_are_kept_than_are_allowed(redis: On, monkeypatch: pytest.MonkeyPatch) -> None:
    counters, _ = redis
    counters._knowledge = Knowledge(20, b"secret")
    monkeypatch.setattr("gateway.stores.redis.knowledge.MOST_LIMITS", 5)
    for number in range(100):
        of = limit(f"x{number}")
        assert (await counters.take([Charge(of, (of.id, "a")), charge(limit("same", 1000))])).admitted
        assert len(counters._knowledge) <= 20
        assert len(counters._knowledge._limits) <= 5
