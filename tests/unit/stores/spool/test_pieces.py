"""How a log begins and how it ends on the disk."""

from pathlib import Path

import pytest
from support.spool_logs import WRITER, write_first_form, write_segment

from gateway.stores.spool.frame import Frames
from gateway.stores.spool.pieces import NO_HEAD, form_in, header_in, is_torn, read_piece
from gateway.stores.spool.segment import UnknownFormatError, frames_of
from gateway.stores.spool.unchained import UnchainedFrames

FRAMES = frames_of(WRITER)
BODIES = [b'{"n":1}', b'{"n":2}']


def _flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 0x40
    path.write_bytes(data)


def test_a_piece_is_what_is_there(tmp_path: Path) -> None:
    path = write_segment(tmp_path, BODIES, 1, 2)
    data = path.read_bytes()
    assert read_piece(path.parent, 1, 3, 5) == data[3:8]
    assert read_piece(path.parent, 1, len(data) - 2, 5) == data[-2:]
    head = header_in(path.parent, 1)
    assert head is not None
    assert head.first == 1


def test_any_header_tells_how_a_log_is_written(tmp_path: Path) -> None:
    for write, form in ((write_segment, Frames), (write_first_form, UnchainedFrames)):
        first, second = write(tmp_path, BODIES, 1, 1), write(tmp_path, BODIES, 2, 2)
        for place in (8, 20):
            assert isinstance(form_in(first.parent, [1, 2]), form)
            _flip(first, place)
            assert isinstance(form_in(first.parent, [1, 2]), form)
            _flip(first, place)
        _flip(first, 20)
        _flip(second, 20)
        assert isinstance(form_in(first.parent, [1, 2]), form), "the records tell it too"
        _flip(first, 8)
        with pytest.raises(UnknownFormatError):
            form_in(first.parent, [1, 2])


def test_a_log_that_says_nothing_has_no_form_yet(tmp_path: Path) -> None:
    path = write_segment(tmp_path, BODIES, 1, 1)
    path.write_bytes(path.read_bytes()[:20])
    assert form_in(path.parent, [1]) is None
    assert form_in(path.parent, []) is None


def _torn(data: bytes, offset: int) -> bool:
    wanted = FRAMES.scan(data, expected=1, limit=1, before=NO_HEAD).wanted
    return is_torn(data, offset, FRAMES, wanted)


def test_what_is_cut_short_is_torn_and_what_is_whole_and_damaged_is_not() -> None:
    frame, _ = FRAMES.write([b"x" * 3000], [b"sealed"], first=1, before=NO_HEAD)
    for cut in (0, 1, 40, 56, 57, 3000, len(frame) - 1):
        assert _torn(frame[:cut], 80)
    for place in (0, 9, 30, 55, 56, 1000, len(frame) - 1):
        damaged = bytearray(frame)
        damaged[place] ^= 1
        assert not _torn(bytes(damaged), 80)


def test_nuls_in_place_of_what_was_not_on_the_disk_yet_are_torn() -> None:
    frame, _ = FRAMES.write([b"x" * 3000], [b""], first=1, before=NO_HEAD)
    offset = 4096 - 1000
    # The page in which the frame begins was written, the next was not.
    assert _torn(frame[:1000] + bytes(len(frame) - 1000), offset)
    # Nothing of it was written, or just the beginning of the prefix.
    assert _torn(bytes(len(frame)), offset)
    assert _torn(frame[:20] + bytes(len(frame)), 4096 - 20)
    # A damaged record that is all there, before a page that was not written.
    damaged = frame[:70] + b"?" + frame[71:]
    assert not _torn(damaged + bytes(5000), offset)
    # Nobody but a hand sets NULs from the middle of a sector on to the middle of one.
    assert not _torn(frame[:100] + bytes(50) + frame[150:], offset)
