"""Asking targets how they are. Real sockets."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from support.upstream import Behaviour, Peer, RawUpstream, answering, ok, unused_port, upstream_that

from gateway.config import HealthRules, PoolRules, Target, TlsRules
from gateway.proxy.dial import Dial
from gateway.proxy.health import Checks, ask
from gateway.proxy.instance import Instance
from gateway.proxy.line import Line
from gateway.proxy.pool import Pool
from gateway.proxy.resolver import Resolver
from gateway.proxy.tls import Credentials

RULES = HealthRules(path="/healthz?deep=1", interval=0.005, timeout=1.0, healthy_after=1, unhealthy_after=2)


def instance_of(target: Target) -> Instance:
    rules = PoolRules(max_connections=1, max_waiting=1, keepalive=1)
    return Instance("orders", target, Pool(target, rules, Line("orders")))


def dial() -> Dial:
    return Dial(Resolver(), Credentials(TlsRules()))


async def asked(raw: RawUpstream, timeout: float = 1.0) -> str | None:
    return await ask(instance_of(raw.target), HealthRules(path="/healthz?deep=1", timeout=timeout), dial())


async def test_a_check_is_a_request_of_its_own() -> None:
    async with upstream_that(answering(ok())) as raw:
        assert await asked(raw) is None
        assert await asked(raw) is None
        assert raw.connections == 2
        request = raw.received[0]
        assert request.request_line == b"GET /healthz?deep=1 HTTP/1.1"
        assert request.values(b"host") == [raw.target.authority.encode()]
        assert request.values(b"user-agent") == [b"gateway-health"]
        assert request.values(b"connection") == [b"close"]
        for peer in raw.peers:
            await peer.gone.wait()


@pytest.mark.parametrize(
    ("status", "good"), [(200, True), (204, True), (302, True), (399, True), (404, False), (503, False)]
)
async def test_the_status_says_how_it_is(status: int, good: bool) -> None:
    async with upstream_that(answering(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)) as raw:
        assert await asked(raw) == (None if good else f"status {status}")


async def silent(peer: Peer) -> None:
    await peer.request()
    await peer.closed()


async def trickling(peer: Peer) -> None:
    await peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\n")
    await peer.closed()


async def hanging_up(peer: Peer) -> None:
    await peer.request()


async def babbling(peer: Peer) -> None:
    await peer.request()
    peer.send(b"nonsense\r\n\r\n")
    await peer.closed()


@pytest.mark.parametrize(
    ("behaviour", "problem"),
    [
        (silent, "no answer within 0.05 s"),
        (trickling, "no answer within 0.05 s"),
        (hanging_up, "response_head"),
        (babbling, "response_head"),
    ],
)
async def test_what_is_wrong_is_said(behaviour: Behaviour, problem: str) -> None:
    async with upstream_that(behaviour) as raw:
        found = await asked(raw, 0.05)
        assert found is not None
        assert found.startswith(problem)
        for peer in raw.peers:
            await peer.gone.wait()


async def test_a_target_that_refuses_is_not_well() -> None:
    target = Target(scheme="http", host="127.0.0.1", port=unused_port())
    assert str(await ask(instance_of(target), RULES, dial())).startswith("connect: ")


async def test_the_head_decides_whatever_becomes_of_the_body() -> None:
    async def behave(peer: Peer) -> None:
        await peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        if peer.number == 1:
            return
        await peer.closed()

    async with upstream_that(behave) as raw:
        assert await asked(raw) is None
        assert await asked(raw, 0.05) is None


@asynccontextmanager
async def checking(*raws: RawUpstream) -> AsyncIterator[tuple[Checks, list[Instance]]]:
    before = asyncio.all_tasks()
    checks = Checks(random.Random(1))
    instances = [instance_of(raw.target) for raw in raws]
    checks.follow(instances, RULES, dial())
    running = asyncio.ensure_future(checks.run())
    try:
        yield checks, instances
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert asyncio.all_tasks() <= before


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


async def test_a_target_that_stops_answering_is_out_until_it_answers_again() -> None:
    async with upstream_that(answering(ok())) as raw, checking(raw) as (_, (one,)):
        await until(lambda: one.checks["good"] > 1)
        assert not one.is_out
        port = raw.port
        raw.close()
        await until(lambda: one.state == "unhealthy")
        async with upstream_that(answering(ok()), port=port):
            await until(lambda: one.state == "healthy")


async def test_one_target_that_hangs_does_not_hold_up_the_checks_of_another() -> None:
    async with (
        upstream_that(silent) as slow,
        upstream_that(answering(ok())) as quick,
        checking(slow, quick) as (_, (_, well)),
    ):
        await until(lambda: well.checks["good"] > 3)


async def test_targets_come_and_go_while_checks_run() -> None:
    async with (
        upstream_that(answering(ok())) as a,
        upstream_that(answering(ok())) as b,
        checking(a) as (checks, (one,)),
    ):
        await until(lambda: one.checks["good"] > 0)
        other = instance_of(b.target)
        checks.follow([other], RULES, dial())
        await until(lambda: other.checks["good"] > 2)
        seen = a.connections
        await until(lambda: other.checks["good"] > 5)
        assert a.connections == seen
        checks.follow([other], None, dial())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        count = sum(other.checks.values())
        await asyncio.sleep(0.02)
        assert sum(other.checks.values()) == count


async def test_the_same_rules_again_change_nothing() -> None:
    async with upstream_that(answering(ok())) as raw, checking(raw) as (checks, instances):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        before = asyncio.all_tasks()
        ways = dial()
        checks.follow(instances, RULES, ways)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        changed = asyncio.all_tasks()
        assert changed != before
        checks.follow(instances, RULES, ways)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == changed


async def test_checks_do_not_keep_step() -> None:
    checks = Checks(random.Random(1))
    pauses = {checks._pause(HealthRules(path="/", interval=10.0)) for _ in range(20)}
    assert len(pauses) == 20
    assert all(9 <= pause <= 11 for pause in pauses)
    firsts = {checks._first_pause(HealthRules(path="/", interval=10.0)) for _ in range(20)}
    assert len(firsts) == 20
    assert all(0 <= pause <= 1 for pause in firsts)
