"""Bytes both ways, and every way in which that ends."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.certificates import Authority
from support.tunnels import BINARY, CLOSE, PING, TEXT, Bridge, bridge, end, frame, tls_end, unmasked

from gateway.proxy import Fault, Switched
from gateway.proxy import tunnel as tunnel_module
from gateway.proxy.side import HIGH_WATER
from gateway.proxy.tunnel import Ended, Tunnel

MASK = b"\x10\x20\x30\x40"
MOST_READ = 262_144
"""Bytes that the loop reads at once."""
POLICY = frame(CLOSE, (1008).to_bytes(2))
GOING_AWAY = frame(CLOSE, (1001).to_bytes(2))


@pytest.fixture
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for close frames and frames in progress for an instant only."""
    monkeypatch.setattr(tunnel_module, "_WHOLE_FRAME_WITHIN", 0.03)
    monkeypatch.setattr(tunnel_module, "_CLOSED_WITHIN", 0.05)


async def test_bytes_go_both_ways_as_they_come_and_are_counted() -> None:
    async with bridge() as both:
        both.client.send(b"a question")
        assert await both.upstream.receive(10) == b"a question"
        both.upstream.send(b"an answer of another length")
        assert await both.client.receive(27) == b"an answer of another length"
        both.client.end_sending()
        both.upstream.end_sending()
        assert await both.ended() == Ended(10, 27)


async def test_what_came_with_the_handshake_is_delivered_first() -> None:
    async with bridge(client_first=b"early question", upstream_first=b"early answer") as both:
        both.client.send(b", and more")
        both.upstream.send(b", and more")
        assert await both.upstream.receive(24) == b"early question, and more"
        assert await both.client.receive(22) == b"early answer, and more"


@pytest.mark.parametrize("first", ["client", "upstream"])
async def test_a_side_that_ends_its_sending_lets_the_other_finish(first: str) -> None:
    async with bridge() as both:
        ending, going_on = (both.client, both.upstream) if first == "client" else (both.upstream, both.client)
        ending.send(b"the last")
        ending.end_sending()
        assert await going_on.rest() == b"the last"
        for _ in range(3):
            going_on.send(b"more")
            assert await ending.receive(4) == b"more"
        going_on.writer.close()
        assert await ending.rest() == b""
        assert (await both.ended()).fault is None


async def test_a_client_whose_connection_breaks_takes_the_upstream_with_it() -> None:
    async with bridge() as both:
        both.client.send(b"a question")
        await both.upstream.receive(10)
        both.client.reset()
        assert await both.upstream.rest() == b""
        ended = await both.ended()
        assert ended.fault is Fault.CLIENT_LEFT


async def test_an_upstream_whose_connection_breaks_takes_the_client_with_it() -> None:
    async with bridge() as both:
        both.upstream.send(b"an answer")
        await both.client.receive(9)
        both.upstream.reset()
        assert await both.client.rest() == b""
        ended = await both.ended()
        assert ended.fault is Fault.RESPONSE_BODY_UPSTREAM
        assert "reset" in ended.diagnosis


async def test_what_came_before_the_break_is_delivered_to_a_slow_side() -> None:
    async with bridge() as both:
        both.client.stop_reading()
        before = _stuff(both.client.near, 16_384)
        both.upstream.send(b"the last words")
        await _until(lambda: both.tunnel._upstream.bytes)
        both.upstream.reset()
        await _until(both.client.near.is_closing)
        assert not both.carrying.done()
        both.client.read_again()
        assert (await both.client.receive(before + 14)).endswith(b"the last words")
        assert await both.client.rest() == b""
        assert (await both.ended()).fault is Fault.RESPONSE_BODY_UPSTREAM


async def test_a_break_after_a_close_frame_is_no_failure() -> None:
    async with bridge() as both:
        both.client.send(frame(CLOSE, b"\x03\xe8", mask=MASK))
        await both.upstream.receive(8)
        both.upstream.send(frame(CLOSE, b"\x03\xe8"))
        await both.client.receive(4)
        both.upstream.reset()
        assert await both.client.rest() == b""
        assert (await both.ended()).fault is None


async def test_a_connection_that_the_gateway_closes_itself_ends_both() -> None:
    async with bridge() as both:
        both.upstream.near.abort()
        assert await both.client.rest() == b""
        ended = await both.ended()
        assert ended.fault is Fault.GIVEN_UP


@pytest.mark.parametrize("slow", ["client", "upstream"])
async def test_a_side_that_does_not_read_holds_the_other_back(slow: str) -> None:
    async with bridge() as both:
        reading, sending = (both.client, both.upstream) if slow == "client" else (both.upstream, both.client)
        sent = await _fill(both, sending.writer)
        assert reading.near.get_write_buffer_size() <= HIGH_WATER + MOST_READ
        rest = sending.writer.transport.get_write_buffer_size()
        assert rest > 0
        assert len(await reading.receive(sent)) == sent
        sending.send(b"again")
        assert await reading.receive(5) == b"again"


async def test_a_client_that_is_slow_already_is_not_sent_more() -> None:
    client, upstream = await end(), await end()
    # As a large answer before the handshake would: the transport has told its protocol to stop.
    client.near.set_write_buffer_limits(high=1)
    client.stop_reading()
    before = _stuff(client.near, 1_000_000)
    tunnel = Tunnel(Switched(client.near, b"", is_slow=True), upstream.near, b"", idle=5)
    carrying = asyncio.ensure_future(tunnel.carry())
    await asyncio.sleep(0)
    upstream.send(b"behind it")
    assert not upstream.near.is_reading()
    client.read_again()
    assert (await client.receive(before + 9)).endswith(b"behind it")
    carrying.cancel()
    await asyncio.wait([carrying])
    client.writer.close()
    upstream.writer.close()


async def test_an_upstream_that_is_gone_already_still_has_its_say() -> None:
    client, upstream = await end(), await end()
    upstream.near.abort()
    await _until(lambda: upstream.former.told)
    ended = await Tunnel(Switched(client.near, b"lost", is_slow=False), upstream.near, b"bye", idle=5).carry()
    assert await client.rest() == b"bye"
    assert ended == Ended(4, 3)
    assert upstream.former.told == [None]
    client.writer.close()
    upstream.writer.close()


async def test_cancelling_cuts_both() -> None:
    async with bridge() as both:
        both.client.send(b"x")
        await both.upstream.receive(1)
        both.carrying.cancel()
        assert await both.client.rest() == b""
        assert await both.upstream.rest() == b""
        assert both.carrying.cancelled()
        assert both.client.former.told == both.upstream.former.told == [None]


async def test_over_tls_there_is_no_half_close_but_by_closing(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    upstream = await tls_end(authority.issue("upstream", "localhost"), authority.file)
    async with bridge(upstream=upstream) as both:
        both.upstream.send(b"an answer")
        assert await both.client.receive(9) == b"an answer"
        both.client.send(b"the last")
        both.client.end_sending()
        assert await both.upstream.rest() == b"the last"
        assert await both.client.rest() == b""
        assert await both.ended() == Ended(8, 9)


async def test_over_tls_a_client_that_has_said_close_still_gets_the_answer(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    upstream = await tls_end(authority.issue("upstream", "localhost"), authority.file)
    async with bridge(upstream=upstream) as both:
        both.client.send(frame(CLOSE, b"\x03\xe8", mask=MASK))
        both.client.end_sending()
        await both.upstream.receive(8)
        both.upstream.send(frame(CLOSE, b"\x03\xe8"))
        both.upstream.writer.close()
        assert await both.client.rest() == frame(CLOSE, b"\x03\xe8")
        assert (await both.ended()).fault is None


async def test_after_the_idle_time_both_are_told_that_it_ends() -> None:
    async with bridge(idle=0.05) as both:
        begun = time.monotonic()
        assert await both.client.receive(4) == GOING_AWAY
        assert unmasked(await both.upstream.receive(8)) == GOING_AWAY
        assert time.monotonic() - begun >= 0.04
        both.client.writer.close()
        both.upstream.writer.close()
        ended = await both.ended()
        assert ended.fault is Fault.TUNNEL_IDLE
        assert "0.05 s" in ended.diagnosis


@pytest.mark.parametrize("talking", ["client", "upstream"])
async def test_pings_of_one_side_alone_keep_it_open(talking: str) -> None:
    async with bridge(idle=0.1) as both:
        side = both.client if talking == "client" else both.upstream
        for _ in range(8):
            await asyncio.sleep(0.03)
            side.send(frame(PING))
        assert not both.carrying.done()
        assert not both.client.reader.at_eof()


async def test_a_recall_between_frames_is_said_at_once_and_ends_when_both_have_answered() -> None:
    async with bridge() as both:
        both.client.send(frame(TEXT, b"hi", mask=MASK))
        await both.upstream.receive(8)
        begun = time.monotonic()
        both.tunnel.recall()
        assert await both.client.receive(4) == POLICY
        assert unmasked(await both.upstream.receive(8)) == POLICY
        both.client.send(frame(TEXT, b"too late", mask=MASK) + frame(CLOSE, b"\x03\xf0", mask=MASK))
        both.upstream.send(frame(TEXT, b"too late") + frame(CLOSE, b"\x03\xf0"))
        assert await both.client.rest() == b""
        assert await both.upstream.rest() == b""
        ended = await both.ended()
        assert time.monotonic() - begun < 0.5
        assert ended.fault is Fault.RECALLED
        assert (ended.bytes_in, ended.bytes_out) == (8, 0)


async def test_a_gateway_that_goes_away_says_so() -> None:
    async with bridge() as both:
        both.tunnel.recall(going_away=True)
        both.tunnel.recall()
        assert await both.client.receive(4) == GOING_AWAY
        assert unmasked(await both.upstream.receive(8)) == GOING_AWAY
        both.client.end_sending()
        both.upstream.end_sending()
        ended = await both.ended()
        assert ended.fault is Fault.GIVEN_UP


async def test_a_recall_in_the_middle_of_a_frame_waits_for_its_end() -> None:
    async with bridge() as both:
        text = frame(BINARY, bytes(range(200)))
        both.upstream.send(text[:50])
        await both.client.receive(50)
        both.tunnel.recall()
        both.upstream.send(text[50:100])
        assert await both.client.receive(50) == text[50:100]
        both.upstream.send(text[100:] + frame(TEXT, b"too late"))
        assert await both.client.receive(len(text) - 100 + 4) == text[100:] + POLICY
        both.client.end_sending()
        both.upstream.end_sending()
        assert await both.client.rest() == b""
        assert (await both.ended()).bytes_out == len(text)


@pytest.mark.usefixtures("_hasty")
async def test_a_frame_that_does_not_end_is_cut() -> None:
    async with bridge() as both:
        both.upstream.send(frame(BINARY, bytes(200))[:50])
        await both.client.receive(50)
        both.tunnel.recall()
        assert await both.client.rest() == b""
        assert unmasked(await both.upstream.rest()) == POLICY
        assert (await both.ended()).fault is Fault.RECALLED


@pytest.mark.usefixtures("_hasty")
async def test_sides_that_do_not_answer_a_close_frame_are_cut() -> None:
    async with bridge() as both:
        both.tunnel.recall()
        assert await both.client.rest() == POLICY
        assert unmasked(await both.upstream.rest()) == POLICY
        assert (await both.ended()).fault is Fault.RECALLED


@pytest.mark.usefixtures("_hasty")
async def test_a_side_that_does_not_read_does_not_hold_a_recall_up() -> None:
    async with bridge() as both:
        both.client.stop_reading()
        before = _stuff(both.client.near, 16_384)
        both.upstream.send(frame(BINARY, bytes(2**20)) * 4)
        await _until(lambda: not both.upstream.near.is_reading())
        both.tunnel.recall()
        # In the middle of a frame that cannot go on; the upstream is told, and then both are cut.
        assert unmasked(await both.upstream.receive(8)) == POLICY
        assert await both.upstream.rest() == b""
        both.client.read_again()
        assert len(await both.client.rest()) < before + 2**20
        assert (await both.ended()).fault is Fault.RECALLED


async def test_no_frame_follows_a_close_frame() -> None:
    async with bridge() as both:
        both.client.send(frame(CLOSE, b"\x03\xe8", mask=MASK))
        await both.upstream.receive(8)
        both.tunnel.recall()
        # The client has said close, and gets ours for an answer; the upstream has had the client's.
        assert await both.client.rest() == POLICY
        both.upstream.send(frame(CLOSE, b"\x03\xe8"))
        assert await both.upstream.rest() == b""
        assert (await both.ended()).fault is Fault.RECALLED


async def test_a_recall_of_what_has_ended_is_nothing() -> None:
    async with bridge() as both:
        both.client.end_sending()
        both.upstream.end_sending()
        ended = await both.ended()
        both.tunnel.recall()
        assert ended.fault is None
        assert "Tunnel(Side(client" in repr(both.tunnel)


def _stuff(transport: asyncio.Transport, piece: int) -> int:
    """Write until the system takes no more; return how many bytes that were."""
    sent = 0
    while not transport.get_write_buffer_size():
        transport.write(bytes(piece))
        sent += piece
    return sent


async def _fill(both: Bridge, writer: asyncio.StreamWriter) -> int:
    """Send until nobody takes more; return how many bytes that were."""
    sent, passed = 0, -1
    while writer.transport.get_write_buffer_size() < 2**20 or passed != _passed(both):
        passed = _passed(both)
        if writer.transport.get_write_buffer_size() < 2**20:
            writer.write(bytes(2**20))
            sent += 2**20
        await asyncio.sleep(0.01)
    return sent


def _passed(both: Bridge) -> int:
    return both.tunnel._client.bytes + both.tunnel._upstream.bytes


async def _until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.005)
