"""A WebSocket that is open: bytes both ways, at the pace of the slower side, until either ends."""

import time

import pytest
from support.conformance import Conversation, Wire
from support.conformance_websocket import (
    BINARY,
    CLOSE,
    GOING_AWAY,
    PING,
    PONG,
    TEXT,
    closed,
    frame,
    opened,
)


@pytest.mark.parametrize(
    ("opcode", "size"),
    [(TEXT, 0), (TEXT, 125), (BINARY, 126), (BINARY, 65535), (BINARY, 65536), (BINARY, 2**20 + 1)],
)
def test_a_frame_of_any_size_passes_whole_both_ways(talk: Conversation, opcode: int, size: int) -> None:
    """RFC 6455 5.2; Autobahn 1.1, 1.2, node-http-proxy."""
    client, upstream, *_ = opened(talk)
    sent = frame(opcode, b"a" * size, mask=b"\0\0\0\0")
    client.send(sent)
    assert upstream.exactly(len(sent)) == sent
    answer = frame(opcode, b"b" * size)
    upstream.send(answer)
    assert client.exactly(len(answer)) == answer


def test_control_frames_between_fragments_pass_in_order(talk: Conversation) -> None:
    """RFC 6455 5.4; Autobahn 2, 5, Traefik TestWebSocketPingPong."""
    client, upstream, *_ = opened(talk)
    frames = (
        frame(TEXT, b"one", final=False)
        + frame(PING, b"ping")
        + frame(0, b"two", final=False)
        + frame(PONG)
        + frame(0, b"three")
    )
    upstream.send_slowly(frames)
    assert client.exactly(len(frames)) == frames


@pytest.mark.parametrize("code", [1000, 1001, 1008, 3000, 4999])
def test_a_closed_and_its_reason_pass_both_ways(talk: Conversation, code: int) -> None:
    """RFC 6455 7; Autobahn 7, mitmproxy test_closed."""
    client, upstream, *_ = opened(talk)
    bye = frame(CLOSE, code.to_bytes(2) + b"reason", mask=b"xyzd")
    client.send(bye)
    assert upstream.exactly(len(bye)) == bye
    reply = frame(CLOSE, code.to_bytes(2) + b"reason")
    upstream.send(reply)
    assert client.exactly(len(reply)) == reply
    upstream.half_close()
    assert client.has_ended()


@pytest.mark.parametrize("end", [Wire.close, Wire.reset])
def test_an_abrupt_end_of_one_side_ends_the_other_without_a_close_frame(
    talk: Conversation, end: object
) -> None:
    """RFC 6455 7.1.5; Traefik TestWebSocketTCPClose, mitmproxy test_close_disconnect."""
    client, upstream, *_ = opened(talk)
    Wire.reset(upstream) if end is Wire.reset else upstream.close()
    assert client.has_ended()
    client, upstream, *_ = opened(talk)
    Wire.reset(client) if end is Wire.reset else client.close()
    assert upstream.has_ended()


def test_a_half_close_lets_the_other_side_finish(talk: Conversation) -> None:
    """RFC 9110 9.3.6; Go TestReverseProxyWebSocketHalfTCP."""
    client, upstream, *_ = opened(talk)
    upstream.send(frame(TEXT, b"last"))
    upstream.half_close()
    assert client.exactly(6) == frame(TEXT, b"last")
    assert client.has_ended()
    client.send(frame(TEXT, b"too", mask=b"xyzd"))
    assert upstream.exactly(9) == frame(TEXT, b"too", mask=b"xyzd")
    client.half_close()
    assert upstream.has_ended()


def test_what_was_sent_before_an_end_arrives(talk: Conversation) -> None:
    """RFC 9110 9.3.6: "send outstanding data, then close both"."""
    client, upstream, *_ = opened(talk)
    upstream.send(frame(BINARY, b"a" * 500_000))
    upstream.half_close()
    assert len(client.rest()) == 500_010
    client, upstream, *_ = opened(talk)
    client.send(frame(BINARY, b"a" * 500_000, mask=b"\0\0\0\0"))
    client.half_close()
    assert len(upstream.rest()) == 500_014


def test_a_side_that_reads_nothing_slows_the_other_down(talk: Conversation) -> None:
    """Reactive backpressure, through a tunnel."""
    client, upstream, *_ = opened(talk)
    enough = 64 * 2**20
    count = upstream.poured(frame(BINARY, b"a" * 65000), most=enough)
    assert count < enough / 2
    assert len(client.exactly(count)) == count


def test_an_idle_tunnel_is_closed_and_a_busy_one_is_not(talk: Conversation) -> None:
    """YARP UpgradableRequest_CancelsIfIdle."""
    client, upstream, *_ = opened(talk, b"/sockets/x")
    for _ in range(4):
        time.sleep(0.15)  # a third of what is allowed, and longer together
        upstream.send(frame(PING))
        assert client.exactly(2) == frame(PING)
    assert upstream.exactly(2) == frame(CLOSE, b"ab", mask=b"xyzd")[:2]
    upstream.half_close()
    assert closed(client) == GOING_AWAY
    upstream.rest()
