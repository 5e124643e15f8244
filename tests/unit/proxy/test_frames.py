"""Where frames end, however the bytes come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.proxy.frames import Frames, close_frame

CLOSE = 8


def frame(opcode: int, size: int, *, masked: bool, longer: int = 0) -> bytes:
    """Return a frame; `longer` takes a longer form for its length than it needs."""
    form = max(longer, 0 if size < 126 else 1 if size < 65536 else 2)
    length = (size, 126, 127)[form] | (0x80 if masked else 0)
    extended = (b"", size.to_bytes(2) if form == 1 else b"", size.to_bytes(8))[form]
    # A payload full of what looks like close frames.
    return bytes([0x80 | opcode, length]) + extended + b"\x88" * (4 * masked) + b"\x88" * size


SIZES = st.sampled_from((0, 1, 2, 5, 125, 126, 127, 300))
FRAMES = st.builds(
    frame, st.sampled_from((0, 1, 2, 9, 10)), SIZES, masked=st.booleans(), longer=st.integers(0, 2)
)


@given(st.lists(FRAMES, max_size=6), st.lists(st.integers(1, 40)), st.booleans())
def test_any_segmentation_gives_the_same_boundaries(frames: list[bytes], cuts: list[int], ends: bool) -> None:
    whole = [*frames, frame(CLOSE, 2, masked=True)] if ends else frames
    stream, boundaries, at = b"".join(whole), {0}, 0
    for one in whole:
        at += len(one)
        boundaries.add(at)
    tracker, at = Frames(), 0
    for size in [*cuts, len(stream)]:
        piece = stream[at : at + size]
        tracker.feed(piece)
        at += len(piece)
        assert tracker.between == (at in boundaries)
        assert tracker.closed == (ends and at == len(stream))
    assert tracker.closing == ends


@given(st.lists(FRAMES, min_size=1, max_size=4), st.data())
def test_the_rest_of_a_frame_is_known_wherever_it_was_cut(frames: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(frames)
    ends = [sum(map(len, frames[:count])) for count in range(len(frames) + 1)]
    cut = data.draw(st.integers(0, len(stream)))
    end = min(end for end in ends if end >= cut)
    tracker, at = Frames(), cut
    tracker.feed(stream[:cut])
    while not tracker.between:
        piece = stream[at : at + data.draw(st.integers(1, 60))]
        taken = tracker.rest(piece)
        assert taken == min(end - at, len(piece))
        at += taken
    assert at == end
    assert tracker.rest(stream[at:]) == 0


@given(st.binary())
def test_what_are_no_frames_at_all_does_no_harm(data: bytes) -> None:
    tracker = Frames()
    tracker.feed(data)
    tracker.rest(data)
    assert "Frames(" in repr(tracker)


def test_a_close_frame_has_passed_only_with_its_last_byte() -> None:
    tracker = Frames()
    text = frame(CLOSE, 20, masked=False)
    tracker.feed(text[:10])
    assert tracker.closing
    assert not tracker.closed
    tracker.feed(text[10:])
    assert tracker.closed


@pytest.mark.parametrize(
    ("mask", "text"),
    [(b"", b"\x88\x02\x03\xf0"), (b"\x01\x02\x03\x04", b"\x88\x82\x01\x02\x03\x04\x02\xf2")],
)
def test_a_close_frame_is_masked_when_a_client_sends_it(mask: bytes, text: bytes) -> None:
    assert close_frame(1008, mask) == text
