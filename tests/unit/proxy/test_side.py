"""The law of a recall: whole frames, then a close frame, then nothing."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tunnels import BINARY, CLOSE, PING, TEXT, frame

from gateway.proxy.side import Side

MASK = b"\x88\x02\x88\x02"
RECALLED = frame(CLOSE, (1008).to_bytes(2))
SIZES = st.sampled_from((0, 1, 5, 125, 126, 300))
FRAMES = st.lists(
    st.builds(
        lambda opcode, size: frame(opcode, b"\x88" * size), st.sampled_from((TEXT, BINARY, PING)), SIZES
    ),
    max_size=5,
)


class Memory(asyncio.Transport):
    """A transport that remembers, and cannot be written to once it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False
        self.reading = True
        self.protocol: asyncio.BaseProtocol = asyncio.Protocol()

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def can_write_eof(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


def sides() -> tuple[Side, Memory, Side, Memory]:
    loop = asyncio.new_event_loop()
    loop.close()
    here, there = Memory(), Memory()
    source, sink = (
        Side(transport, loop, is_upstream=False, on_end=lambda _: None, on_lost=lambda _, __: None)
        for transport in (here, there)
    )
    source.other, sink.other = sink, source
    source.take()
    sink.take()
    return source, here, sink, there


@given(FRAMES, st.booleans(), st.lists(st.integers(1, 90)), st.integers(0, 12))
def test_after_a_recall_a_side_gets_whole_frames_and_one_close_frame(
    frames: list[bytes], says_close: bool, cuts: list[int], recalled_after: int
) -> None:
    source, _, sink, there = sides()
    stream = b"".join(frames)
    ends = [sum(map(len, frames[:count])) for count in range(len(frames) + 1)]
    if says_close:
        stream += frame(CLOSE, b"\x03\xe8")
        ends.append(len(stream))
    at, recalled_at = 0, None
    for number, size in enumerate([*cuts, len(stream)]):
        if number == recalled_after:
            recalled_at = at
            source.code = sink.code = 1008
            if source.frames.between:
                sink.say_close()
        piece = stream[at : at + size]
        if piece:
            source.data_received(piece)
        at += len(piece)
    if recalled_at is None:
        assert there.written == stream
        return
    boundary = min(end for end in ends if end >= recalled_at)
    closed = says_close and boundary == len(stream)
    assert there.written == stream[:boundary] + (b"" if closed else RECALLED)
    assert source.bytes == boundary


def test_a_close_frame_to_the_upstream_is_masked_each_time_anew() -> None:
    seen = set()
    for _ in range(3):
        loop = asyncio.new_event_loop()
        loop.close()
        transport = Memory()
        upstream = Side(transport, loop, is_upstream=True, on_end=lambda _: None, on_lost=lambda _, __: None)
        upstream.other = sides()[0]
        upstream.code = 1001
        upstream.say_close()
        assert transport.written[:2] == b"\x88\x82"
        seen.add(transport.written[2:6])
    assert len(seen) == 3


def test_tls_is_closed_when_its_peer_ends_its_sending() -> None:
    source, _, _, _ = sides()
    assert not source.eof_received()
    assert source.has_ended


@pytest.mark.parametrize("told", [False, True])
def test_a_side_that_has_been_told_holds_nobody_back(told: bool) -> None:
    source, here, sink, _ = sides()
    sink.is_told = told
    sink.pause_writing()
    assert here.reading is told
    sink.resume_writing()
    assert here.reading
    source.has_ended = True
    sink.pause_writing()
    assert here.reading


def test_bytes_for_a_connection_that_has_just_broken_are_dropped() -> None:
    source, _, sink, there = sides()
    there.close()
    source.data_received(b"late")
    assert there.written == b""
    assert source.bytes == 4
    assert "Side(client, 4 bytes" in repr(source)
    assert sink.frames.between
