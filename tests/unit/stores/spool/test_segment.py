"""The form of a segment, and what is found in a damaged one."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.stores.spool.segment import (
    FRAME,
    HEADER_SIZE,
    MAX_BODY,
    Header,
    UnknownFormatError,
    frames,
    header,
    name_of,
    read_header,
    resume,
    scan,
)

WRITER = UUID("0198f3c2-7d1e-4abc-8def-0123456789ab")
BODIES = [b'{"n":%d,"pad":"%s"}' % (number, b"x" * number) for number in range(1, 6)]


def _data(first: int = 1) -> bytes:
    return frames(BODIES, first)


@given(st.lists(st.binary(max_size=200), max_size=20), st.integers(1, 2**40))
def test_what_is_framed_is_scanned(bodies: list[bytes], first: int) -> None:
    data = frames(bodies, first)
    found = scan(data, first, 100)
    assert found.bodies == bodies
    assert found.consumed == len(data)


@pytest.mark.parametrize("cut", range(len(_data())))
def test_a_tail_that_is_cut_off_anywhere_takes_only_the_frame_that_it_cuts(cut: int) -> None:
    found = scan(_data()[:cut], 1, 100)
    assert found.bodies == BODIES[: len(found.bodies)]
    whole = frames(found.bodies, 1)
    assert found.consumed == len(whole)
    assert found.consumed + found.wanted > cut
    assert found.wanted > 0


@pytest.mark.parametrize("place", range(len(_data())))
def test_a_flipped_bit_anywhere_is_noticed_and_what_lies_behind_is_found_again(place: int) -> None:
    data = bytearray(_data())
    data[place] ^= 0x10
    found = scan(bytes(data), 1, 100)
    good = len(found.bodies)
    assert found.bodies == BODIES[:good]
    assert good < len(BODIES)
    rest = bytes(data[found.consumed :])
    again = resume(rest, good + 1)
    if good + 1 == len(BODIES):
        assert again is None
    else:
        assert again is not None
        offset, seq = again
        assert seq == good + 2
        assert scan(rest[offset:], seq, 100).bodies == BODIES[good + 1 :]


def test_a_frame_at_another_number_is_not_taken() -> None:
    assert scan(_data(first=7), 1, 100).bodies == []
    assert scan(_data(first=7), 7, 100).bodies == BODIES


def test_a_frame_that_was_moved_under_another_number_fails_its_checksum() -> None:
    good = frames([b"{}"], 1)
    length, check, _ = FRAME.unpack_from(good)
    assert scan(FRAME.pack(length, check, 2) + good[FRAME.size :], 2, 1).bodies == []


def test_no_more_is_taken_than_is_asked_for() -> None:
    found = scan(_data(), 1, 2)
    assert found.bodies == BODIES[:2]


def test_zeros_are_no_frames() -> None:
    assert scan(bytes(4096), 1, 10).wanted == 0
    assert resume(bytes(4096), 1) is None


def test_a_length_beyond_the_largest_record_is_damage_not_a_reason_to_wait() -> None:
    assert scan(FRAME.pack(MAX_BODY + 1, 0, 1), 1, 1).wanted == 0


def test_a_header_is_read_back() -> None:
    head = header(WRITER, 9, 7)
    assert len(head) == HEADER_SIZE
    assert read_header(head, WRITER) == Header(9, 7)


@pytest.mark.parametrize("place", range(HEADER_SIZE))
def test_a_damaged_header_is_not_believed(place: int) -> None:
    data = bytearray(header(WRITER, 9, 7))
    data[place] ^= 0x01
    try:
        assert read_header(bytes(data), WRITER) is None
    except UnknownFormatError:
        assert 8 <= place < 12


def test_a_header_that_is_cut_short_or_of_another_writer_is_none() -> None:
    data = header(WRITER, 1, 0)
    assert all(read_header(data[:size], WRITER) is None for size in range(HEADER_SIZE))
    assert read_header(data, UUID(int=1)) is None


def test_a_newer_format_is_said_to_be_one() -> None:
    data = bytearray(header(WRITER, 1, 0))
    data[8] = 2
    with pytest.raises(UnknownFormatError, match="spool format 2"):
        read_header(bytes(data), WRITER)


def test_names_sort_as_numbers_do() -> None:
    assert name_of(9) < name_of(10) < name_of(2**39)
