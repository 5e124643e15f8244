"""Connections: kept, shared out, waited for, replaced, and given up. Real sockets."""

import asyncio
import contextlib
import random

import pytest
from support.downstream import RecordingClient, head_of, upload_head
from support.forwarding import Proxy, proxied
from support.upstream import (
    Behaviour,
    Peer,
    Settings,
    answering,
    full_backlog,
    ok,
    rules,
    unused_port,
    upstream_of,
    upstream_that,
)

from gateway.config import Target
from gateway.model import Outcome
from gateway.proxy import Fault, UpstreamFault, reason_for


def name_of(peer: Peer) -> bytes:
    return b"%d" % peer.number


async def closing_after_each(peer: Peer) -> None:
    await peer.request()
    peer.send(ok(name_of(peer)))


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("pause", [0, 0.01])
async def test_an_upstream_that_closes_silently_after_each_answer_answers_ten_of_ten(
    method: str, pause: float
) -> None:
    async with proxied(closing_after_each) as proxy:
        for _ in range(10):
            client = RecordingClient([b"x"])
            head = upload_head(1) if method == "POST" else head_of()
            exchange = await proxy.send(client, head)
            assert (client.status, exchange.outcome) == (200, Outcome.COMPLETE)
            # The peer's end may or may not have arrived by the next turn.
            await proxy.raw.peers[-1].gone.wait()
            await asyncio.sleep(pause)


async def closing_in_the_face(peer: Peer) -> None:
    """Serve one request; take the next one without a word."""
    await peer.request()
    peer.send(ok(name_of(peer)))
    await peer.head()


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE", "PUT", "POST", "PATCH"])
async def test_a_request_that_was_sent_is_never_sent_again(method: str) -> None:
    async with proxied(closing_in_the_face) as proxy:
        await proxy.get()
        with pytest.raises(UpstreamFault) as caught:
            await proxy.get(method)
        assert caught.value.fault is Fault.RESPONSE_HEAD
        assert proxy.raw.connections == 1


async def test_a_new_connection_that_is_closed_without_a_word_is_not_tried_again() -> None:
    async def behave(peer: Peer) -> None:
        await peer.head()

    async with proxied(behave) as proxy:
        with pytest.raises(UpstreamFault):
            await proxy.get()
        assert proxy.raw.connections == 1


async def test_a_response_that_had_begun_is_not_asked_for_again() -> None:
    async def behave(peer: Peer) -> None:
        await peer.request()
        peer.send(ok())
        await peer.head()
        await peer.send_all(b"HTTP/1.1 20")

    async with proxied(behave) as proxy:
        await proxy.get()
        with pytest.raises(UpstreamFault):
            await proxy.get()
        assert proxy.raw.connections == 1


async def test_a_request_that_was_not_answered_in_time_is_not_sent_again() -> None:
    async def behave(peer: Peer) -> None:
        await peer.request()
        peer.send(ok())
        await peer.request()
        await peer.closed()

    async with proxied(behave, response=0.1) as proxy:
        await proxy.get()
        with pytest.raises(UpstreamFault) as caught:
            await proxy.get()
        assert caught.value.fault is Fault.RESPONSE_HEAD_TIMEOUT
        assert (proxy.raw.connections, len(proxy.raw.received)) == (1, 2)


async def test_the_connection_used_last_is_used_next() -> None:
    release = asyncio.Event()

    async def behave(peer: Peer) -> None:
        while True:
            await peer.request()
            await release.wait()
            peer.send(ok(name_of(peer)))

    async with proxied(behave) as proxy:
        both = [asyncio.ensure_future(proxy.get()) for _ in range(2)]
        while len(proxy.raw.received) < 2:
            await asyncio.sleep(0.001)
        release.set()
        await asyncio.gather(*both)
        bodies = {(await proxy.get())[1].body for _ in range(5)}
    assert len(bodies) == 1
    assert proxy.raw.connections == 2


async def test_an_idle_connection_is_closed_after_its_keepalive() -> None:
    async with proxied(answering(ok()), keepalive=0.05, response=0.01 + 5) as proxy:
        await proxy.get()
        await proxy.raw.peers[0].gone.wait()
        await proxy.get()
        assert proxy.raw.connections == 2


async def test_more_exchanges_than_connections_wait_for_their_turn() -> None:
    running = 0
    most = 0

    async def behave(peer: Peer) -> None:
        nonlocal running, most
        while True:
            await peer.request()
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.002)
            running -= 1
            peer.send(ok())

    async with proxied(behave, max_connections=3, max_waiting=50) as proxy:
        results = await asyncio.gather(*(proxy.get() for _ in range(30)))
        assert all(exchange.outcome is Outcome.COMPLETE for exchange, _ in results)
        assert most <= 3
        assert proxy.raw.connections <= 3


async def test_waiters_get_room_when_connections_are_not_kept() -> None:
    async with proxied(closing_after_each, max_connections=2, max_waiting=50) as proxy:
        results = await asyncio.gather(
            *(proxy.send(RecordingClient([b"x"]), upload_head(1)) for _ in range(20))
        )
        assert all(exchange.outcome is Outcome.COMPLETE for exchange in results)


async def stalling(peer: Peer) -> None:
    await peer.request()
    await peer.closed()


async def test_a_full_line_is_a_503() -> None:
    async with proxied(stalling, max_connections=1, max_waiting=1, connect=5) as proxy:
        tasks = [asyncio.ensure_future(proxy.get()) for _ in range(2)]
        while not proxy.raw.received:
            await asyncio.sleep(0.001)
        with pytest.raises(UpstreamFault) as caught:
            await proxy.get()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    assert caught.value.fault is Fault.POOL_FULL
    assert reason_for(caught.value.fault) == "overloaded"


async def test_a_line_that_does_not_move_is_a_503() -> None:
    async with proxied(stalling, max_connections=1, connect=0.05) as proxy:
        task = asyncio.ensure_future(proxy.get())
        while not proxy.raw.received:
            await asyncio.sleep(0.001)
        with pytest.raises(UpstreamFault) as caught:
            await proxy.get()
        task.cancel()
        await asyncio.wait([task])
    assert caught.value.fault is Fault.POOL_FULL


async def test_a_waiter_that_leaves_does_not_take_its_turn_with_it() -> None:
    async def behave(peer: Peer) -> None:
        while True:
            await peer.request()
            await asyncio.sleep(0.005)
            peer.send(ok())

    async with proxied(behave, max_connections=1) as proxy:
        first = asyncio.ensure_future(proxy.get())
        leaving = [asyncio.ensure_future(proxy.get()) for _ in range(3)]
        last = asyncio.ensure_future(proxy.get())
        first.add_done_callback(lambda _: [task.cancel() for task in leaving])
        await asyncio.wait([first, last, *leaving])
        assert last.result()[0].outcome is Outcome.COMPLETE
        # One of those that left may have had the connection for a moment, and spoiled it.
        assert proxy.raw.connections <= 2


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_happens_no_place_is_lost(seed: int) -> None:
    chance = random.Random(seed)

    async def behave(peer: Peer) -> None:
        while True:
            await (peer.request() if chance.random() < 0.9 else peer.head())
            match chance.randrange(8):
                case 0:
                    return
                case 1:
                    peer.reset()
                case 2:
                    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
                    return
                case 3:
                    peer.send(b"nonsense")
                case 4:
                    peer.send(ok() + b"extra")
                case 5:
                    await asyncio.sleep(0.002)
                    peer.send(ok(b"x" * 300_000))
                case _:
                    peer.send(ok())

    async def visit(proxy: Proxy) -> None:
        client = RecordingClient([b"x" * 50_000])
        running = proxy.begin(client, chance.choice([head_of(), upload_head(50_000), upload_head()]))
        if chance.random() < 0.3:
            await asyncio.sleep(chance.random() / 100)
            running.cancel()
        elif chance.random() < 0.2:
            client.leave()
        with contextlib.suppress(asyncio.CancelledError, UpstreamFault):
            exchange = await running
            assert (client.ending == "finished") == (exchange.outcome is Outcome.COMPLETE)

    async with proxied(behave, max_connections=4, max_waiting=300, idle=0.5, response=0.5) as proxy:
        await asyncio.gather(*(visit(proxy) for _ in range(200)))
        pool = proxy.forwarder._fleets["orders"]._instances[0].pool
        while pool.count > pool.idle:
            await asyncio.sleep(0.001)
        assert not proxy.forwarder._fleets["orders"]._line.waiters
        assert pool.count <= 4


async def test_a_refused_connection_is_a_502() -> None:
    async with proxied(answering(ok())) as proxy:
        proxy.raw.close()
        with pytest.raises(UpstreamFault) as caught:
            await proxy.get()
    assert caught.value.fault is Fault.CONNECT
    assert reason_for(caught.value.fault) == "upstream-unreachable"
    assert str(proxy.raw.port) in caught.value.diagnosis


async def test_a_connection_that_is_not_answered_is_a_504() -> None:
    with full_backlog() as target:
        proxy = Proxy(upstream_of(target, connect=0.1))
        with pytest.raises(UpstreamFault) as caught:
            await proxy.get()
        await proxy.forwarder.close()
    assert caught.value.fault is Fault.CONNECT_TIMEOUT
    assert reason_for(caught.value.fault) == "upstream-timeout"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_target_that_refuses_is_passed_over_and_the_body_is_whole(method: str) -> None:
    async with upstream_that(answering(ok())) as raw:
        dead = raw.target_at(unused_port())
        proxy = Proxy(upstream_of(dead, raw.target))
        for _ in range(4):
            client = RecordingClient([b"hel", b"lo"])
            head = upload_head(5) if method == "POST" else head_of()
            assert (await proxy.send(client, head)).outcome is Outcome.COMPLETE
        await proxy.forwarder.close()
    assert {received.body for received in raw.received} == {b"hello" if method == "POST" else b""}


@pytest.mark.parametrize("settings", [Settings(retries=0), Settings(budget=0.0)])
async def test_without_retries_the_request_that_finds_a_dead_target_fails_and_no_other(
    settings: Settings,
) -> None:
    async with upstream_that(answering(ok())) as raw:
        proxy = Proxy(upstream_of(raw.target_at(unused_port()), raw.target, **settings))
        with pytest.raises(UpstreamFault, match="connect"):
            await proxy.get()
        for _ in range(10):
            assert (await proxy.get())[0].outcome is Outcome.COMPLETE
        await proxy.forwarder.close()


async def test_a_dead_target_costs_no_answer_and_next_to_no_retries() -> None:
    async with upstream_that(answering(ok())) as raw:
        proxy = Proxy(upstream_of(raw.target_at(unused_port()), raw.target, budget=0.2))
        for _ in range(200):
            assert (await proxy.get())[0].outcome is Outcome.COMPLETE
        assert proxy.forwarder.usage()["orders"].retries <= 5
        await proxy.forwarder.close()


async def test_retries_stop_when_they_would_add_too_much_load() -> None:
    targets = [Target(scheme="http", host="127.0.0.1", port=unused_port()) for _ in range(2)]
    proxy = Proxy(upstream_of(*targets, budget=0.1))
    for _ in range(60):
        with pytest.raises(UpstreamFault):
            await proxy.get()
    # The reserve of ten and a tenth of the load.
    assert 10 <= proxy.forwarder.usage()["orders"].retries <= 16
    await proxy.forwarder.close()


async def test_turns_go_to_targets_by_weight() -> None:
    async with upstream_that(answering(ok(b"a"))) as a, upstream_that(answering(ok(b"b"))) as b:
        proxy = Proxy(upstream_of(a.weighted(3), b.weighted(1)))
        bodies = [(await proxy.get())[1].body for _ in range(8)]
        await proxy.forwarder.close()
    assert bodies == [b"a", b"a", b"b", b"a"] * 2


async def test_a_new_configuration_keeps_the_connections_to_its_targets() -> None:
    async with upstream_that(answering(ok())) as a, upstream_that(answering(ok())) as b:
        proxy = Proxy(upstream_of(a.target, b.target))
        for _ in range(4):
            await proxy.get()
        proxy.upstream = upstream_of(a.target, forward=rules(set_response=(("x-new", "yes"),)))
        for _ in range(4):
            _, client = await proxy.get()
            assert client.values(b"x-new") == [b"yes"]
        await b.peers[0].gone.wait()
        await proxy.forwarder.close()
    assert (a.connections, b.connections) == (1, 1)


async def test_an_exchange_with_a_target_that_is_no_longer_named_runs_to_its_end() -> None:
    async with upstream_that(answering(ok())) as raw, upstream_that(stalling_until_asked()) as slow:
        proxy = Proxy(upstream_of(slow.target))
        client = RecordingClient()
        running = proxy.begin(client, head_of())
        await client.until(1)
        proxy.upstream = upstream_of(raw.target)
        assert (await proxy.get())[1].body == b"hello"
        slow.peers[0].send(b"rest")
        assert (await running).outcome is Outcome.COMPLETE
        # It is not kept for a target that is gone.
        await slow.peers[0].gone.wait()
        await proxy.forwarder.close()


async def test_closing_reaches_targets_that_are_no_longer_named() -> None:
    async with upstream_that(answering(ok())) as raw, upstream_that(stalling_until_asked()) as slow:
        proxy = Proxy(upstream_of(slow.target))
        client = RecordingClient()
        running = proxy.begin(client, head_of())
        await client.until(1)
        proxy.upstream = upstream_of(raw.target)
        await proxy.get()
        await proxy.forwarder.close()
        exchange = await running
        assert (exchange.outcome, exchange.fault, client.ending) == (Outcome.CUT, Fault.GIVEN_UP, "aborted")


def stalling_until_asked() -> Behaviour:
    async def behave(peer: Peer) -> None:
        await peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nx")
        await peer.closed()

    return behave


async def test_an_upstream_without_targets_is_a_502() -> None:
    proxy = Proxy(upstream_of())
    with pytest.raises(UpstreamFault) as caught:
        await proxy.get()
    assert reason_for(caught.value.fault) == "upstream-unreachable"


async def test_a_name_is_resolved_and_an_ipv6_address_reached() -> None:
    async with upstream_that(answering(ok())) as raw:
        proxy = Proxy(upstream_of(raw.target_at(raw.port, host="localhost"), forward=rules(host="upstream")))
        assert (await proxy.get())[1].body == b"hello"
        await proxy.forwarder.close()
        assert raw.received[0].values(b"host") == [b"localhost:%d" % raw.port]
    async with upstream_that(answering(ok()), host="::1") as raw:
        proxy = Proxy(upstream_of(raw.target, forward=rules(host="upstream")))
        assert (await proxy.get())[1].body == b"hello"
        await proxy.forwarder.close()
        assert raw.received[0].values(b"host") == [b"[::1]:%d" % raw.port]
