"""Targets of every kind behind the forwarder, and what becomes of exchanges when targets come, go, and misbehave.
Real sockets."""

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from support.certificates import Authority, KeyPair
from support.downstream import RecordingClient, head_of, upload_head
from support.forwarding import Proxy
from support.upstream import Behaviour, Peer, answering, ok, rules, unused_port, upstream_of, upstream_that

from gateway.config import CircuitRules, HealthRules, OpenAfter, OutlierRules, TlsRules
from gateway.model import Outcome
from gateway.proxy import Fault, UpstreamFault, reason_for


@asynccontextmanager
async def running(proxy: Proxy) -> AsyncIterator[Proxy]:
    """Run what the forwarder does beside exchanges."""
    before = asyncio.all_tasks()
    work = asyncio.ensure_future(proxy.forwarder.run())
    try:
        yield proxy
    finally:
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work
        await proxy.forwarder.close()
    assert asyncio.all_tasks() <= before


def states(proxy: Proxy) -> list[str]:
    (usage,) = proxy.forwarder.usage().values()
    return [target.state for target in usage.targets.values()]


async def fault_of(proxy: Proxy) -> Fault:
    with pytest.raises(UpstreamFault) as caught:
        await proxy.get()
    return caught.value.fault


async def test_a_service_on_a_unix_socket_is_carried_to(tmp_path: Path) -> None:
    big = bytes(range(256)) * 2000
    head_answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"
    async with upstream_that(answering(ok(), ok(big), head_answer, ok()), str(tmp_path / "a.sock")) as raw:
        proxy = Proxy(upstream_of(raw.target, forward=rules(host="upstream")))
        assert (await proxy.get())[1].body == b"hello"
        assert (await proxy.get())[1].body == big
        assert (await proxy.get("HEAD"))[1].body == b""
        sent = RecordingClient([b"x" * 70_000] * 3)
        assert (await proxy.send(sent, upload_head(210_000))).outcome is Outcome.COMPLETE
        await proxy.forwarder.close()
        assert raw.connections == 1
        assert raw.received[0].values(b"host") == [b"localhost"]
        assert raw.received[3].body == b"x" * 210_000


def secured(pair: KeyPair, clients: Path | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)
    return context


async def test_bodies_are_whole_over_tls_both_ways_and_the_connection_is_kept(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    ours = authority.issue("gateway", "gateway")
    trust = TlsRules(ca=authority.file, client_cert=ours.certificate, client_key=ours.key)
    context = secured(authority.issue("service", "127.0.0.1"), clients=authority.file)
    big = bytes(range(256)) * 4000
    async with upstream_that(answering(ok(big)), tls=context) as raw:
        proxy = Proxy(upstream_of(raw.target, tls=trust))
        for _ in range(3):
            client = RecordingClient([big[i : i + 50_000] for i in range(0, len(big), 50_000)])
            assert (await proxy.send(client, upload_head(len(big)))).outcome is Outcome.COMPLETE
            assert client.body == big
        await proxy.forwarder.close()
        assert [received.body == big for received in raw.received] == [True] * 3
        assert raw.connections == 1


@pytest.mark.parametrize("properly", [True, False])
async def test_a_body_that_ends_with_its_connection_is_whole_only_when_tls_was_ended(
    tmp_path: Path, *, properly: bool
) -> None:
    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send_all(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        if not properly:
            # Whoever sits on the wire can do this, too.
            with socket.socket(fileno=os.dup(peer.writer.get_extra_info("socket").fileno())) as raw:
                raw.shutdown(socket.SHUT_WR)
        peer.close()

    authority = Authority(tmp_path)
    async with upstream_that(behave, tls=secured(authority.issue("service", "127.0.0.1"))) as raw:
        proxy = Proxy(upstream_of(raw.target, tls=TlsRules(ca=authority.file)))
        exchange, client = await proxy.get()
        assert client.body == b"half"
        assert client.ending == ("finished" if properly else "aborted")
        assert exchange.fault is (None if properly else Fault.RESPONSE_BODY_UPSTREAM)
        await proxy.forwarder.close()


async def test_an_upstream_that_is_not_trusted_is_a_502_and_hears_nothing(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    authority, other = Authority(tmp_path), Authority(tmp_path / "other")
    async with upstream_that(answering(ok()), tls=secured(other.issue("x", "127.0.0.1"))) as raw:
        proxy = Proxy(upstream_of(raw.target, tls=TlsRules(ca=authority.file)))
        assert await fault_of(proxy) is Fault.TLS
        assert reason_for(Fault.TLS) == "upstream-unreachable"
        await proxy.forwarder.close()
    assert not raw.received


async def test_a_renewed_client_certificate_is_shown_on_new_connections(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    ours = authority.issue("gateway", "first.example")
    trust = TlsRules(ca=authority.file, client_cert=ours.certificate, client_key=ours.key)
    context = secured(authority.issue("service", "127.0.0.1"), clients=authority.file)

    async def behave(peer: Peer) -> None:
        await peer.request()
        peer.send(ok(b"hello", b"Connection: close"))

    def shown(peer: Peer) -> object:
        return peer.writer.get_extra_info("peercert")["subjectAltName"]

    async with upstream_that(behave, tls=context) as raw:
        proxy = Proxy(upstream_of(raw.target, tls=trust))
        await proxy.get()
        authority.issue("gateway", "second.example")
        async with asyncio.timeout(10):
            while shown(raw.peers[-1]) != (("DNS", "second.example"),):
                await asyncio.sleep(0.05)
                assert (await proxy.get())[1].status == 200
        await proxy.forwarder.close()
    assert shown(raw.peers[0]) == (("DNS", "first.example"),)


async def test_a_target_that_checks_find_unwell_is_left_out_until_it_is_well() -> None:
    async with upstream_that(answering(ok(b"a"))) as a, upstream_that(answering(ok(b"b"))) as b:
        check = HealthRules(path="/healthz", interval=0.005, healthy_after=1, unhealthy_after=1)
        async with running(Proxy(upstream_of(a.target, b.target, health=check, retries=0))) as proxy:
            assert {(await proxy.get())[1].body for _ in range(2)} == {b"a", b"b"}
            proxy.forwarder.follow({"orders": proxy.upstream})
            a.close()
            async with asyncio.timeout(5):
                while states(proxy) != ["unhealthy", "healthy"]:
                    await asyncio.sleep(0.001)
            assert [(await proxy.get())[1].body for _ in range(4)] == [b"b"] * 4
            b.close()
            async with asyncio.timeout(5):
                while states(proxy) != ["unhealthy", "unhealthy"]:
                    await asyncio.sleep(0.001)
            assert await fault_of(proxy) is Fault.UNHEALTHY
            assert reason_for(Fault.UNHEALTHY) == "no-healthy-upstream"
            async with upstream_that(answering(ok(b"new")), port=a.port), asyncio.timeout(5):
                while states(proxy)[0] != "healthy":
                    await asyncio.sleep(0.001)
                assert (await proxy.get())[1].body == b"new"


async def failing(peer: Peer) -> None:
    while True:
        await peer.request()
        peer.send(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy")


async def test_a_target_that_answers_with_errors_is_ejected_and_the_others_serve() -> None:
    async with upstream_that(failing) as bad, upstream_that(answering(ok())) as good:
        rule = OutlierRules(consecutive_errors=3, eject_for=60)
        proxy = Proxy(upstream_of(bad.target, good.target, outlier=rule))
        statuses = [(await proxy.get())[1].status for _ in range(20)]
        assert statuses.count(503) == 3
        assert statuses[6:] == [200] * 14
        assert states(proxy) == ["ejected", "healthy"]
        await proxy.forwarder.close()


async def test_a_target_whose_bodies_break_off_is_ejected() -> None:
    async def breaking(peer: Peer) -> None:
        await peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")

    async with upstream_that(breaking) as bad, upstream_that(answering(ok())) as good:
        rule = OutlierRules(consecutive_errors=3, eject_for=60)
        proxy = Proxy(upstream_of(bad.target, good.target, outlier=rule))
        for _ in range(6):
            await proxy.get()
        assert states(proxy) == ["ejected", "healthy"]
        await proxy.forwarder.close()


async def test_an_answer_that_may_be_asked_for_again_comes_from_another_target() -> None:
    async with upstream_that(failing) as bad, upstream_that(answering(ok())) as good:
        proxy = Proxy(upstream_of(bad.target, good.target, retry_on=["503"]))
        for method in ("GET", "HEAD", "OPTIONS", "GET"):
            assert (await proxy.get(method))[1].status == 200
        (usage,) = proxy.forwarder.usage().values()
        assert usage.retries == len(bad.received) == 2
        # What may change something is passed on as it was answered.
        statuses = [(await proxy.get("DELETE"))[1].status for _ in range(2)]
        assert sorted(statuses) == [200, 503]
        await proxy.forwarder.close()


async def test_an_open_circuit_answers_at_once_and_closes_after_a_good_probe() -> None:
    answers: Behaviour = failing

    async def behave(peer: Peer) -> None:
        await answers(peer)

    rule = CircuitRules(open_after=OpenAfter(errors=0.5, within=10, at_least=4), probe_every=0.02)
    async with upstream_that(behave) as raw:
        proxy = Proxy(upstream_of(raw.target, circuit=rule, keepalive=0.001))
        for _ in range(4):
            assert (await proxy.get())[1].status == 503
        assert await fault_of(proxy) is Fault.CIRCUIT_OPEN
        assert len(raw.received) == 4
        answers = answering(ok())
        raw.peers[0].close()
        async with asyncio.timeout(5):
            while proxy.forwarder.usage()["orders"].circuit != "closed":
                with suppress(UpstreamFault):
                    await proxy.get()
                await asyncio.sleep(0.001)
        assert (await proxy.get())[1].status == 200
        await proxy.forwarder.close()


async def test_a_client_that_leaves_frees_its_place_in_the_circuit() -> None:
    async def stalling(peer: Peer) -> None:
        await peer.request()
        await peer.closed()

    async with upstream_that(stalling) as raw:
        proxy = Proxy(upstream_of(raw.target, circuit=CircuitRules(max_concurrent=2)))
        exchanges = [proxy.begin(RecordingClient(), head_of()) for _ in range(2)]
        while len(raw.received) < 2:
            await asyncio.sleep(0.001)
        assert await fault_of(proxy) is Fault.TOO_MANY
        assert reason_for(Fault.TOO_MANY) == "overloaded"
        for exchange in exchanges:
            exchange.cancel()
        await asyncio.wait(exchanges)
        third = proxy.begin(RecordingClient(), head_of())
        while len(raw.received) < 3:
            await asyncio.sleep(0.001)
        third.cancel()
        await asyncio.wait([third])
        await proxy.forwarder.close()


async def test_targets_may_be_of_different_kinds(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = secured(authority.issue("service", "::1"))
    async with (
        upstream_that(answering(ok(b"unix")), str(tmp_path / "a.sock")) as unix,
        upstream_that(answering(ok(b"tls")), "::1", tls=context) as tls,
        upstream_that(answering(ok(b"plain"))) as plain,
    ):
        dead = plain.target_at(unused_port())
        targets = [unix.target, dead, tls.target, plain.target]
        proxy = Proxy(upstream_of(*targets, tls=TlsRules(ca=authority.file)))
        bodies = [(await proxy.get())[1].body for _ in range(8)]
        assert set(bodies) == {b"unix", b"tls", b"plain"}
        assert list(proxy.forwarder.usage()["orders"].targets) == [target.name for target in targets]
        await proxy.forwarder.close()
