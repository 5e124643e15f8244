"""Requests that are sent once more: when, where to, and when never. Real sockets."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Unpack

import pytest
from support.downstream import RecordingClient, head_of
from support.forwarding import Proxy
from support.upstream import (
    Peer,
    RawUpstream,
    Settings,
    answering,
    ok,
    rules,
    upstream_of,
    upstream_that,
)

from gateway.model import Framing, Outcome, RequestHead
from gateway.proxy import Exchange, UpstreamFault

BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"
BAD = b"HTTP/1.1 502 Bad\r\nContent-Length: 3\r\n\r\nbad"


@asynccontextmanager
async def two(
    *responses: bytes, **settings: Unpack[Settings]
) -> AsyncIterator[tuple[Proxy, list[RawUpstream]]]:
    """Run two targets that give the same answers."""
    settings.setdefault("retry_on", {"connect_failure", "502", "503"})
    async with AsyncExitStack() as stack:
        raws = [await stack.enter_async_context(upstream_that(answering(*responses))) for _ in range(2)]
        proxy = Proxy(upstream_of(*(raw.target for raw in raws), **settings))
        try:
            yield proxy, raws
        finally:
            await proxy.forwarder.close()


def requests(raws: list[RawUpstream]) -> list[int]:
    return sorted(len(raw.received) for raw in raws)


@pytest.mark.parametrize("response", [BUSY, BAD])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_a_503_is_tried_at_another_target_and_the_client_sees_one_answer(
    response: bytes, method: str
) -> None:
    bad = response if method != "HEAD" else response.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    good = ok() if method != "HEAD" else ok().removesuffix(b"hello")

    async def first(peer: Peer) -> None:
        await answering(bad)(peer)

    async with upstream_that(first) as a, upstream_that(answering(good)) as b:
        proxy = Proxy(upstream_of(a.target, b.target, retry_on={"502", "503"}))
        for _ in range(2):
            client = RecordingClient()
            exchange = await proxy.send(client, head_of(method=method))
            assert (client.status, exchange.status, client.ending) == (200, 200, "finished")
        assert len(b.received) == 2
        # Its answer was whole, and so the connection was fit for another.
        assert a.connections == 1
        await proxy.forwarder.close()


async def test_an_answer_that_is_not_whole_goes_with_its_connection() -> None:
    async def first(peer: Peer) -> None:
        await peer.request()
        peer.send(b"HTTP/1.1 503 Busy\r\nContent-Length: 1000000\r\n\r\nbusy")
        await peer.closed()

    async with upstream_that(first) as a, upstream_that(answering(ok())) as b:
        proxy = Proxy(upstream_of(a.target, b.target, retry_on={"503"}))
        client = RecordingClient()
        exchange = await proxy.send(client)
        assert (client.status, client.body, exchange.outcome) == (200, b"hello", Outcome.COMPLETE)
        await a.peers[0].gone.wait()
        await proxy.forwarder.close()


async def test_when_every_target_says_so_the_last_answer_is_the_client_s() -> None:
    async with two(BUSY) as (proxy, raws):
        exchange, client = await proxy.get()
        assert (client.status, client.body, client.ending) == (503, b"busy", "finished")
        assert exchange.outcome is Outcome.COMPLETE
        assert requests(raws) == [1, 1]


async def test_it_is_repeated_as_often_as_the_configuration_says() -> None:
    async with two(BUSY, retries=3) as (proxy, raws):
        await proxy.get()
        assert requests(raws) == [2, 2]
    async with two(BUSY, retries=0) as (proxy, raws):
        await proxy.get()
        assert requests(raws) == [0, 1]


@pytest.mark.parametrize("retry_on", [(), ("connect_failure",), ("502",)])
async def test_without_being_told_to_there_is_one_request_for_each_permit(retry_on: tuple[str, ...]) -> None:
    async with two(BUSY, retry_on=retry_on) as (proxy, raws):
        _, client = await proxy.get()
        assert client.status == 503
        assert requests(raws) == [0, 1]


@pytest.mark.parametrize("status", [b"500 Oops", b"504 Late", b"429 Slow Down"])
async def test_other_answers_are_not_repeated(status: bytes) -> None:
    async with two(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n") as (proxy, raws):
        await proxy.get()
        assert requests(raws) == [0, 1]


@pytest.mark.parametrize(
    "head",
    [
        head_of(method="POST"),
        head_of(method="DELETE"),
        head_of(method="PUT"),
        head_of((b"Content-Length", b"5"), length=5),
        head_of(framing=Framing.CHUNKED),
    ],
)
async def test_a_request_that_may_change_something_or_has_a_body_is_sent_once(head: RequestHead) -> None:
    async with two(BUSY) as (proxy, raws):
        client = RecordingClient([b"hello"] if head.framing is not Framing.NONE else [])
        await proxy.send(client, head)
        assert client.status == 503
        assert requests(raws) == [0, 1]


async def test_a_client_that_has_been_told_something_is_not_made_to_start_over() -> None:
    async with two(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + BUSY) as (proxy, raws):
        _, client = await proxy.get()
        assert (client.status, len(client.interims)) == (503, 1)
        assert requests(raws) == [0, 1]


async def test_a_response_that_breaks_is_not_repeated() -> None:
    async with two(b"HTTP/1.1 503 Busy\r\nContent-Length: x\r\n\r\n") as (proxy, raws):
        with pytest.raises(UpstreamFault):
            await proxy.get()
        assert requests(raws) == [0, 1]


async def test_repeats_have_a_budget() -> None:
    async with two(BUSY, budget=0.1) as (proxy, raws):
        for _ in range(40):
            await proxy.get()
        # Ten in reserve, and one for every ten requests.
        assert 40 + 10 < sum(requests(raws)) <= 40 + 10 + 4
    async with two(BUSY, budget=0.0) as (proxy, raws):
        await proxy.get()
        assert sum(requests(raws)) == 1


async def test_each_target_is_addressed_as_itself() -> None:
    async with two(BUSY, forward=rules(host="upstream")) as (proxy, raws):
        await proxy.get()
        for raw in raws:
            assert raw.received[0].values(b"host") == [b"127.0.0.1:%d" % raw.port]


async def test_an_answer_that_is_not_passed_on_leaves_nothing_behind() -> None:
    outcomes: Counter[Exchange] = Counter()
    async with two(BUSY, ok()) as (proxy, raws):
        for _ in range(4):
            outcomes[(await proxy.get())[0]] += 1
        usage = proxy.forwarder.usage()["orders"]
        assert (usage.busy, usage.waiting) == (0, 0)
    assert {exchange.outcome for exchange in outcomes} == {Outcome.COMPLETE}
    assert sum(requests(raws)) > 4
