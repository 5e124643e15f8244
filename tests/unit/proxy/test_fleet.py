"""Who gets a connection to which target, what that counts for, and what is left behind: nothing. Real sockets."""

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Unpack

import pytest
from support.certificates import Authority
from support.downstream import ALICE, head_of, permit_for, upload_head
from support.upstream import (
    Behaviour,
    Peer,
    RawUpstream,
    Settings,
    answering,
    full_backlog,
    ok,
    unused_port,
    upstream_of,
    upstream_that,
)

from gateway.config import CircuitRules, HealthRules, OpenAfter, OutlierRules, Target, TlsRules
from gateway.model import RequestHead
from gateway.policy import Names, find_attribute
from gateway.proxy import Fault, UpstreamFault
from gateway.proxy.fleet import Fleet, Loan
from gateway.proxy.resolver import LookUp, ask_system

PERMIT = permit_for(head_of())
OUTLIER = OutlierRules(consecutive_errors=2, eject_for=60.0, max_ejected=0.5)
CIRCUIT = CircuitRules(
    max_concurrent=10, open_after=OpenAfter(errors=0.5, within=10, at_least=2), probe_every=0.02
)
HEALTH = HealthRules(path="/healthz", interval=0.005, timeout=0.5, healthy_after=1, unhealthy_after=1)


@asynccontextmanager
async def fleet_of(
    *targets: Target, look_up: LookUp = ask_system, **settings: Unpack[Settings]
) -> AsyncIterator[Fleet]:
    before = asyncio.all_tasks()
    fleet = Fleet(upstream_of(*targets, **settings), look_up=look_up)
    try:
        yield fleet
    finally:
        fleet.close()
        for _ in range(3):
            await asyncio.sleep(0)
        assert fleet.is_over
        async with asyncio.timeout(2):
            # The service learns from its sockets that its clients have gone.
            while not asyncio.all_tasks() <= before:
                await asyncio.sleep(0.001)


@asynccontextmanager
async def upstreams(count: int, behaviour: Behaviour | None = None) -> AsyncIterator[list[RawUpstream]]:
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(upstream_that(behaviour or answering(ok()))) for _ in range(count)
        ]


def place(loan: Loan) -> int:
    return int(loan.authority.rpartition(b":")[2])


async def use(loan: Loan) -> int:
    """Carry an exchange to its end; return where."""
    loan.connection.send_head(
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        bodiless=False,
        body=False,
        chunked=False,
        timeouts=upstream_of().timeouts,
    )
    loan.answered((await loan.connection.head()).status)
    while await loan.connection.body():
        pass
    loan.give_back()
    return place(loan)


async def fault_of(fleet: Fleet, after: Loan | None = None) -> Fault:
    with pytest.raises(UpstreamFault) as caught:
        await fleet.borrow(PERMIT, after)
    return caught.value.fault


def states(fleet: Fleet) -> list[str]:
    return [target.state for target in fleet.usage().targets.values()]


# Lending.


async def test_a_loan_says_where_it_leads_and_its_connection_is_kept() -> None:
    async with upstreams(1) as (raw,), fleet_of(raw.target) as fleet:
        loan = await fleet.borrow(PERMIT)
        assert (loan.authority, loan.scheme, loan.attempts) == (raw.target.authority.encode(), "http", 0)
        await use(loan)
        again = await fleet.borrow(PERMIT)
        assert again.connection is loan.connection
        again.give_back()
        assert "orders" in repr(fleet)


async def test_a_target_named_twice_is_one_that_weighs_as_much_as_both() -> None:
    async with upstreams(2) as (a, b), fleet_of(a.target, b.target, a.weighted(2)) as fleet:
        found = [await use(await fleet.borrow(PERMIT)) for _ in range(8)]
        assert found.count(a.port) == 6
        assert len(fleet.usage().targets) == 2


async def test_a_target_without_room_is_passed_over_and_then_any_of_them_will_do() -> None:
    async with upstreams(2) as (a, b), fleet_of(a.target, b.target, max_connections=2) as fleet:
        loans = [await fleet.borrow(PERMIT) for _ in range(4)]
        assert sorted(map(place, loans)) == sorted([a.port, b.port] * 2)
        waiting = asyncio.ensure_future(fleet.borrow(PERMIT))
        while not fleet.usage().waiting:
            await asyncio.sleep(0)
        await use(loans[3])
        loan = await waiting
        assert loan.connection is loans[3].connection
        for each in (*loans[:3], loan):
            each.give_back()


async def test_a_connection_that_dies_while_it_is_handed_over_is_replaced() -> None:
    async with upstreams(1) as (raw,), fleet_of(raw.target, max_connections=1) as fleet:
        loan = await fleet.borrow(PERMIT)
        waiting = asyncio.ensure_future(fleet.borrow(PERMIT))
        while not fleet.usage().waiting:
            await asyncio.sleep(0)
        await use(loan)
        loan.connection.abort()
        fresh = await waiting
        assert fresh.connection is not loan.connection
        fresh.give_back()


async def test_the_line_is_bounded_and_closing_turns_it_away() -> None:
    async with upstreams(1) as (raw,), fleet_of(raw.target, max_connections=1, max_waiting=1) as fleet:
        loan = await fleet.borrow(PERMIT)
        waiting = asyncio.ensure_future(fleet.borrow(PERMIT))
        while not fleet.usage().waiting:
            await asyncio.sleep(0)
        assert await fault_of(fleet) is Fault.POOL_FULL
        fleet.close()
        with pytest.raises(UpstreamFault) as caught:
            await waiting
        assert caught.value.fault is Fault.GIVEN_UP
        loan.give_back()


# Retries.


async def test_a_target_that_refuses_is_passed_over_and_the_attempt_counted() -> None:
    async with upstreams(1) as (raw,):
        dead = raw.target_at(unused_port())
        async with fleet_of(dead, raw.target) as fleet:
            loans = [await fleet.borrow(PERMIT) for _ in range(2)]
            assert sorted(loan.attempts for loan in loans) == [0, 1]
            assert {place(loan) for loan in loans} == {raw.port}
            assert fleet.usage().retries == 1
            for loan in loans:
                loan.give_back()


async def test_a_connection_that_is_not_retried_on_is_not_retried() -> None:
    async with upstreams(1) as (raw,):
        dead = raw.target_at(unused_port())
        async with fleet_of(dead, raw.target, retry_on=["503"]) as fleet:
            assert await fault_of(fleet) is Fault.CONNECT


async def test_the_last_fault_is_raised_when_nobody_can_be_reached() -> None:
    targets = [Target(scheme="http", host="127.0.0.1", port=unused_port()) for _ in range(3)]
    async with fleet_of(*targets, retries=5) as fleet:
        assert await fault_of(fleet) is Fault.CONNECT
        assert fleet.usage().retries == 2


async def test_a_repeat_prefers_another_target() -> None:
    async with upstreams(2) as (a, b), fleet_of(a.target, b.target, retry_on=["503"]) as fleet:
        for _ in range(4):
            first = await fleet.borrow(PERMIT)
            assert fleet.may_repeat(PERMIT, 503, first)
            first.give_back()
            second = await fleet.borrow(PERMIT, after=first)
            assert place(second) != place(first)
            assert second.attempts == 1
            second.give_back()


async def test_a_repeat_goes_to_the_same_target_when_there_is_no_other() -> None:
    async with upstreams(1) as (raw,), fleet_of(raw.target, retry_on=["503"]) as fleet:
        first = await fleet.borrow(PERMIT)
        assert fleet.may_repeat(PERMIT, 503, first)
        first.give_back()
        second = await fleet.borrow(PERMIT, after=first)
        assert place(second) == raw.port
        assert not fleet.may_repeat(PERMIT, 503, second)
        second.give_back()


@pytest.mark.parametrize(
    ("head", "status", "may"),
    [
        (head_of(), 503, True),
        (head_of(), 502, False),
        (head_of(), 500, False),
        (head_of(method="HEAD"), 503, True),
        (head_of(method="OPTIONS"), 503, True),
        (head_of(method="DELETE"), 503, False),
        (upload_head(0), 503, False),
        (head_of((b"Content-Length", b"0"), length=0), 503, True),
        (head_of((b"Content-Length", b"1"), length=1), 503, False),
    ],
)
async def test_only_what_changes_nothing_and_has_no_body_is_repeated(
    head: RequestHead, status: int, may: bool
) -> None:
    async with upstreams(2) as (a, b), fleet_of(a.target, b.target, retry_on=["503"]) as fleet:
        loan = await fleet.borrow(PERMIT)
        assert fleet.may_repeat(permit_for(head), status, loan) is may
        loan.give_back()


async def test_repeats_and_connections_share_the_most_and_the_budget() -> None:
    async with upstreams(1) as (raw,):
        dead = raw.target_at(unused_port())
        on = ["connect_failure", "503"]
        async with fleet_of(dead, raw.target, retry_on=on, budget=0.1) as fleet:
            loan = await fleet.borrow(PERMIT)
            assert loan.attempts == 1
            assert not fleet.may_repeat(PERMIT, 503, loan)
            loan.give_back()
            # It prefers the other one, which must not be tried a third time.
            spent = 0
            while fleet._budget.spend():
                spent += 1
            assert spent == 9
            loan = await fleet.borrow(PERMIT)
            assert not fleet.may_repeat(PERMIT, 503, loan)
            loan.give_back()


# Targets that are left out.


async def test_errors_in_a_row_eject_a_target_whatever_they_are() -> None:
    async with upstreams(2) as (a, b), fleet_of(a.target, b.target, outlier=OUTLIER) as fleet:
        bad = a.port
        while "ejected" not in states(fleet):
            loan = await fleet.borrow(PERMIT)
            if place(loan) != bad:
                loan.answered(200)
            elif loan.connection.exchanges:
                loan.failed(Fault.RESPONSE_HEAD_TIMEOUT)
            else:
                loan.answered(500)
            loan.give_back()
        assert {await use(await fleet.borrow(PERMIT)) for _ in range(4)} == {b.port}
        ejected = fleet.usage().targets[a.target.name]
        assert (ejected.state, ejected.ejections) == ("ejected", 1)
        # Half of them may be out, so the other one stays.
        for _ in range(5):
            loan = await fleet.borrow(PERMIT)
            loan.answered(503)
            loan.give_back()
        assert states(fleet) == ["ejected", "healthy"]


async def test_a_target_that_cannot_be_connected_to_is_ejected() -> None:
    async with upstreams(1) as (raw,):
        dead = raw.target_at(unused_port())
        async with fleet_of(dead, raw.target, outlier=OUTLIER) as fleet:
            for _ in range(6):
                await use(await fleet.borrow(PERMIT))
                # As if a moment had passed, after which it is tried again.
                fleet._unreachable.clear()
            assert states(fleet) == ["ejected", "healthy"]
            assert fleet.usage().retries == 2


async def test_a_target_that_could_not_be_connected_to_is_tried_again_by_one_request_at_a_time() -> None:
    async with upstreams(1) as (raw,):
        dead = raw.target_at(unused_port())
        async with fleet_of(dead, raw.target) as fleet:
            now = 100.0
            fleet._now = lambda: now
            tries = []
            for _ in range(8):
                before = fleet.usage().retries
                await use(await fleet.borrow(PERMIT))
                tries.append(fleet.usage().retries - before)
                now += 0.3
            assert sum(tries) <= 3
            assert tries[0] == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault.CLIENT_LEFT,
        Fault.GIVEN_UP,
        Fault.REQUEST_BODY_CLIENT,
        Fault.RESPONSE_BODY_CLIENT,
        Fault.RECALLED,
    ],
)
async def test_what_the_client_or_the_gateway_did_counts_against_nobody(fault: Fault) -> None:
    async with (
        upstreams(2) as (a, b),
        fleet_of(a.target, b.target, outlier=OUTLIER, circuit=CIRCUIT) as fleet,
    ):
        for _ in range(10):
            loan = await fleet.borrow(PERMIT)
            loan.failed(fault)
            loan.give_back()
        assert states(fleet) == ["healthy", "healthy"]
        assert fleet.usage().circuit == "closed"


async def test_an_only_target_is_never_ejected() -> None:
    async with upstreams(1) as (raw,), fleet_of(raw.target, outlier=OUTLIER) as fleet:
        for _ in range(5):
            loan = await fleet.borrow(PERMIT)
            loan.answered(500)
            loan.give_back()
        assert states(fleet) == ["healthy"]


async def test_unhealthy_targets_and_their_kept_connections_are_not_used() -> None:
    well = True

    async def behave(peer: Peer) -> None:
        while True:
            request = await peer.request()
            peer.send(ok() if well or b"healthz" not in request.head else b"HTTP/1.1 500 X\r\n\r\n")

    async with upstreams(1, behave) as (raw,), fleet_of(raw.target, health=HEALTH) as fleet:
        checks = asyncio.ensure_future(fleet.run_checks())
        await use(await fleet.borrow(PERMIT))
        busy = await fleet.borrow(PERMIT)
        well = False
        while states(fleet) != ["unhealthy"]:
            await asyncio.sleep(0.001)
        assert await fault_of(fleet) is Fault.UNHEALTHY
        await use(busy)
        assert await fault_of(fleet) is Fault.UNHEALTHY
        assert fleet.usage().idle == 0
        well = True
        while states(fleet) != ["healthy"]:
            await asyncio.sleep(0.001)
        await use(await fleet.borrow(PERMIT))
        assert fleet.usage().targets[raw.target.name].checks["bad"] >= 1
        checks.cancel()
        await asyncio.wait([checks])


# The circuit.


async def failing(fleet: Fleet, status: int = 503) -> None:
    loan = await fleet.borrow(PERMIT)
    loan.answered(status)
    loan.give_back()


async def test_too_many_exchanges_are_refused_at_once_also_those_in_line() -> None:
    async with upstreams(1) as (raw,):
        rules = CircuitRules(max_concurrent=2)
        async with fleet_of(raw.target, circuit=rules, max_connections=1) as fleet:
            loan = await fleet.borrow(PERMIT)
            waiting = asyncio.ensure_future(fleet.borrow(PERMIT))
            while not fleet.usage().waiting:
                await asyncio.sleep(0)
            assert await fault_of(fleet) is Fault.TOO_MANY
            waiting.cancel()
            await asyncio.wait([waiting])
            loan.give_back()
            for _ in range(3):
                (await fleet.borrow(PERMIT)).give_back()


async def test_an_upstream_that_fails_is_left_alone_until_a_probe_is_good() -> None:
    async with upstreams(1) as (raw,), fleet_of(raw.target, circuit=CIRCUIT, retry_on=["503"]) as fleet:
        await failing(fleet)
        await failing(fleet)
        assert await fault_of(fleet) is Fault.CIRCUIT_OPEN
        assert fleet.usage().circuit == "open"
        loan: Loan | None = None
        while loan is None:
            with suppress(UpstreamFault):
                loan = await fleet.borrow(PERMIT)
            await asyncio.sleep(0.001)
        assert fleet.usage().circuit == "probing"
        assert await fault_of(fleet) is Fault.CIRCUIT_OPEN
        # A probe is one request.
        assert not fleet.may_repeat(PERMIT, 503, loan)
        await use(loan)
        assert fleet.usage().circuit == "closed"


async def test_connections_that_fail_open_the_circuit() -> None:
    async with fleet_of(
        Target(scheme="http", host="127.0.0.1", port=unused_port()), circuit=CIRCUIT
    ) as fleet:
        assert [await fault_of(fleet) for _ in range(3)] == [Fault.CONNECT, Fault.CONNECT, Fault.CIRCUIT_OPEN]


async def test_a_target_that_was_passed_over_is_no_failure_of_the_upstream() -> None:
    async with upstreams(1) as (raw,):
        dead = raw.target_at(unused_port())
        async with fleet_of(dead, raw.target, circuit=CIRCUIT) as fleet:
            for _ in range(6):
                await use(await fleet.borrow(PERMIT))
            assert fleet.usage().circuit == "closed"


# Choosing by a key.


async def test_requests_with_the_same_key_go_to_the_same_target_and_others_when_it_is_full() -> None:
    names = Names(params=None, networks={}, schedules={}, roles=frozenset())
    by = find_attribute("principal.id", names)
    alices = permit_for(head_of(), principal=ALICE)
    async with upstreams(3) as raws:
        targets = [raw.target for raw in raws]
        async with fleet_of(*targets, balance="hash", hash_by=by, max_connections=1) as fleet:
            first = await fleet.borrow(alices)
            home = await use(first)
            assert {await use(await fleet.borrow(alices)) for _ in range(5)} == {home}
            loans = [await fleet.borrow(alices) for _ in range(3)]
            assert {place(loan) for loan in loans} == {raw.port for raw in raws}
            for loan in loans:
                await use(loan)
            # Who is not anybody goes by turns.
            assert len({await use(await fleet.borrow(PERMIT)) for _ in range(3)}) == 3


# Names.


async def test_connections_to_addresses_that_a_name_has_lost_are_not_used_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.proxy.fleet.FRESH", 0.001)
    monkeypatch.setattr("gateway.proxy.resolver.FRESH", 0.0)
    answer: Sequence[str] = ["127.0.0.1"]

    async def look_up(_: str) -> Sequence[str]:
        return answer

    async with upstreams(1) as (old,), upstream_that(answering(ok()), "127.0.0.2", port=old.port) as new:
        target = old.target_at(old.port, "service.example")
        async with fleet_of(target, look_up=look_up) as fleet:
            await use(await fleet.borrow(PERMIT))
            busy = await fleet.borrow(PERMIT)
            answer = ["127.0.0.2"]
            # Also when no new connection is needed.
            checks = asyncio.ensure_future(fleet.run_checks())
            while fleet._resolver._names["service.example"].addresses != ("127.0.0.2",):
                await asyncio.sleep(0.001)
            checks.cancel()
            await asyncio.wait([checks])
            await use(busy)
            await use(await fleet.borrow(PERMIT))
            assert (old.connections, new.connections) == (1, 1)
            assert busy.authority == b"service.example:%d" % old.port


# Configuration.


async def test_a_new_configuration_keeps_what_is_still_named(tmp_path: Path) -> None:
    async with (
        upstreams(2) as (a, b),
        fleet_of(a.target, b.target, outlier=OUTLIER, circuit=CIRCUIT) as fleet,
    ):
        for _ in range(4):
            await use(await fleet.borrow(PERMIT))
        assert fleet.usage().idle == 2
        fleet.follow(upstream_of(a.target, circuit=CIRCUIT))
        await b.peers[0].gone.wait()
        await use(await fleet.borrow(PERMIT))
        assert (a.connections, list(fleet.usage().targets)) == (1, [a.target.name])
        # What is not secured does not care about certificates.
        fleet.follow(upstream_of(a.target, tls=TlsRules(ca=tmp_path / "ca.pem")))
        await use(await fleet.borrow(PERMIT))
        assert a.connections == 1
        assert fleet.usage().circuit is None


async def test_other_rules_for_tls_mean_other_connections(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pair = authority.issue("service", "127.0.0.1")
    context.load_cert_chain(pair.certificate, pair.key)
    rules = TlsRules(ca=authority.file)
    async with upstream_that(answering(ok()), tls=context) as raw, fleet_of(raw.target, tls=rules) as fleet:
        loan = await fleet.borrow(PERMIT)
        assert loan.scheme == "https"
        await use(loan)
        fleet.follow(upstream_of(raw.target))
        assert await fault_of(fleet) is Fault.TLS
        await raw.peers[0].gone.wait()


async def test_rules_that_are_gone_leave_nobody_out() -> None:
    async with upstreams(2) as (a, b), fleet_of(a.target, b.target, outlier=OUTLIER) as fleet:
        fleet._instances[0].eject(OUTLIER)
        fleet._instances[1].checked(HEALTH, "status 500")
        assert await fault_of(fleet) is Fault.UNHEALTHY
        fleet.follow(upstream_of(a.target, b.target))
        assert states(fleet) == ["healthy", "healthy"]
        await use(await fleet.borrow(PERMIT))


async def test_more_connections_by_a_new_configuration_serve_whoever_waits() -> None:
    async with upstreams(2) as (a, b), fleet_of(a.target, max_connections=1) as fleet:
        first = await fleet.borrow(PERMIT)
        waiting = [asyncio.ensure_future(fleet.borrow(PERMIT)) for _ in range(3)]
        while fleet.usage().waiting < 3:
            await asyncio.sleep(0)
        fleet.follow(upstream_of(a.target, max_connections=2))
        fleet.follow(upstream_of(a.target, b.target, max_connections=2))
        loans = [await each for each in waiting]
        assert sorted(place(loan) for loan in loans) == sorted([a.port, b.port, b.port])
        for loan in (first, *loans):
            loan.give_back()


async def test_fewer_connections_by_a_new_configuration_are_kept_no_longer_than_their_exchanges() -> None:
    async with upstreams(1) as (a,), fleet_of(a.target, max_connections=3) as fleet:
        loans = [await fleet.borrow(PERMIT) for _ in range(3)]
        await use(loans[0])
        fleet.follow(upstream_of(a.target, max_connections=1))
        for loan in loans[1:]:
            await use(loan)
        await asyncio.sleep(0)
        assert sum(one.pool.count for one in fleet._instances) == 1


async def test_a_connection_that_is_made_while_the_gateway_stops_is_not_used() -> None:
    async with upstreams(1) as (a,), fleet_of(a.target) as fleet:
        borrowing = asyncio.ensure_future(fleet.borrow(PERMIT))
        await asyncio.sleep(0)
        fleet.close()
        with pytest.raises(UpstreamFault) as caught:
            await borrowing
        assert caught.value.fault is Fault.GIVEN_UP


async def test_a_target_that_is_gone_when_it_is_somebody_s_turn_is_no_surprise() -> None:
    async with upstreams(2) as (a, b), fleet_of(a.target, max_connections=1) as fleet:
        busy = await fleet.borrow(PERMIT)
        waiting = asyncio.ensure_future(fleet.borrow(PERMIT))
        await asyncio.sleep(0)
        pool = fleet._instances[0].pool
        busy.connection.end_exchange()
        assert pool._line.serve(pool, busy.connection)
        # All of this in one turn of the loop, before whoever waits has theirs.
        busy.connection.connection_lost(None)
        fleet.follow(upstream_of(b.target, max_connections=1))
        assert place(await waiting) == b.port
        (await waiting).give_back()


async def test_an_upstream_that_is_no_longer_named_ends_when_its_exchanges_have() -> None:
    async with upstreams(1) as (raw,), fleet_of(raw.target) as fleet:
        await use(await fleet.borrow(PERMIT))
        busy = await fleet.borrow(PERMIT)
        fleet.retire()
        assert not fleet.is_over
        await use(busy)
        await raw.peers[0].gone.wait()
        await asyncio.sleep(0)
        assert fleet.is_over


# Whatever happens.


@pytest.mark.parametrize("seed", range(6))
async def test_cancelling_at_any_moment_leaves_no_count(seed: int) -> None:
    chance = random.Random(seed)

    async def behave(peer: Peer) -> None:
        if chance.random() < 0.2:
            peer.reset()
            return
        while True:
            await peer.request()
            await asyncio.sleep(chance.random() / 500)
            peer.send(ok() if chance.random() < 0.8 else b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n")

    async def look_up(_: str) -> Sequence[str]:
        await asyncio.sleep(chance.random() / 500)
        if chance.random() < 0.2:
            raise OSError("no answer")
        return chance.choice([["127.0.0.1"], ["127.0.0.1", "127.0.0.2"]])

    async def visit(fleet: Fleet) -> None:
        await asyncio.sleep(chance.random() / 50)
        loan: Loan | None = None
        try:
            async with asyncio.timeout(chance.random() / 20):
                loan = await fleet.borrow(PERMIT)
                if chance.random() < 0.2:
                    await asyncio.sleep(chance.random() / 200)
                    again, loan = loan, None
                    again.give_back()
                    loan = await fleet.borrow(PERMIT, after=again)
                lent, loan = loan, None
                try:
                    await use(lent)
                except BaseException:
                    lent.failed(Fault.RESPONSE_HEAD)
                    lent.give_back()
                    raise
        except TimeoutError:
            if loan is not None:
                loan.give_back()

    circuit = CircuitRules(
        max_concurrent=60, open_after=OpenAfter(errors=0.9, within=1, at_least=20), probe_every=0.001
    )
    async with upstreams(1, behave) as (raw,), full_silence() as silent:
        targets = [raw.target_at(raw.port, "service"), raw.target, raw.target_at(unused_port()), silent]
        async with fleet_of(
            *targets,
            look_up=look_up,
            balance=chance.choice(["round_robin", "least_requests", "random_two"]),
            outlier=OutlierRules(consecutive_errors=4, eject_for=0.005, max_ejected=1.0),
            circuit=circuit,
            max_connections=4,
            max_waiting=30,
            connect=0.03,
            retries=2,
        ) as fleet:
            visits = [asyncio.ensure_future(visit(fleet)) for _ in range(200)]
            await asyncio.wait(visits)
            for each in visits:
                with suppress(UpstreamFault):
                    each.result()
            for _ in range(5):
                await asyncio.sleep(0)
            usage = fleet.usage()
            assert (usage.busy, usage.waiting) == (0, 0)
            assert fleet._circuit is not None
            assert fleet._circuit.active == fleet._circuit._probes == 0


@asynccontextmanager
async def full_silence() -> AsyncIterator[Target]:
    with full_backlog() as target:
        yield target
