"""Frames, and what is found of them when they are damaged."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.spool_logs import WRITER, chain, framed

from gateway.crypto import HEAD_BYTES
from gateway.stores.spool.form import MAX_BODY
from gateway.stores.spool.frame import PREFIX_SIZE, Frames
from gateway.stores.spool.segment import frames_of

FRAMES = frames_of(WRITER)
BODIES = [b'{"n":%d,"pad":"%s"}' % (number, b"x" * number) for number in range(1, 6)]
PERSONAL = [b"", b"\x00sealed\xff", b"", b"\x02" + bytes(8), b"p"]
HEADS = chain(BODIES)
SIZES = [PREFIX_SIZE + len(body) + len(sealed) for body, sealed in zip(BODIES, PERSONAL, strict=True)]
ENDS = [sum(SIZES[:count]) for count in range(len(SIZES) + 1)]
DATA = framed(BODIES, 1, HEADS[0], PERSONAL)
ANY = bytes(HEAD_BYTES)


@given(
    st.lists(st.tuples(st.binary(max_size=200), st.binary(max_size=90)), max_size=20), st.integers(1, 2**40)
)
def test_what_is_framed_is_scanned(records: list[tuple[bytes, bytes]], first: int) -> None:
    bodies, personal = [body for body, _ in records], [sealed for _, sealed in records]
    data, heads = FRAMES.write(bodies, personal, first=first, before=HEADS[0])
    found = FRAMES.scan(data, expected=first, limit=100, before=ANY)
    assert (found.bodies, found.personal, found.heads) == (bodies, personal, heads)
    assert heads == chain(bodies, first=first)[1:]
    assert found.consumed == len(data)


@pytest.mark.parametrize("cut", range(len(DATA)))
def test_a_tail_that_is_cut_off_anywhere_takes_only_the_frame_that_it_cuts(cut: int) -> None:
    found = FRAMES.scan(DATA[:cut], expected=1, limit=100, before=ANY)
    whole = max(count for count, end in enumerate(ENDS) if end <= cut)
    assert found.bodies == BODIES[:whole]
    assert found.consumed == ENDS[whole]
    assert found.consumed + found.wanted > cut


@pytest.mark.parametrize("place", range(len(DATA)))
def test_a_flipped_bit_anywhere_is_noticed_and_what_lies_behind_is_found_again(place: int) -> None:
    data = bytearray(DATA)
    data[place] ^= 0x10
    found = FRAMES.scan(bytes(data), expected=1, limit=100, before=ANY)
    hit = max(count for count, end in enumerate(ENDS) if end <= place)
    assert found.bodies == BODIES[:hit]
    rest = bytes(data[found.consumed :])
    again = FRAMES.resume(rest, hit + 1)
    if hit + 1 == len(BODIES):
        assert again is None
        return
    assert again is not None
    assert (again.number, again.offset) == (hit + 2, SIZES[hit])
    # The prefix of a record that is damaged is good all the same, and says where the chain is.
    in_prefix = place < ENDS[hit] + PREFIX_SIZE
    assert again.before == (None if in_prefix else HEADS[hit + 1])
    behind = FRAMES.scan(rest[again.offset :], expected=again.number, limit=100, before=ANY)
    assert behind.bodies == BODIES[hit + 1 :]


def test_a_frame_at_another_number_is_not_taken() -> None:
    data = framed(BODIES, 7, HEADS[0])
    assert not FRAMES.scan(data, expected=1, limit=100, before=ANY).bodies
    assert FRAMES.scan(data, expected=7, limit=100, before=ANY).bodies == BODIES
    found = FRAMES.resume(data, 1)
    assert found is not None
    assert (found.number, found.offset) == (7, 0)


def test_a_frame_of_another_log_is_not_taken() -> None:
    other = frames_of(UUID(int=1))
    assert not other.scan(DATA, expected=1, limit=1, before=ANY).bodies
    assert other.resume(DATA, 1) is None


def test_the_border_between_a_record_and_what_is_sealed_cannot_be_moved() -> None:
    good, _ = FRAMES.write([b"{}"], [b"sealed"], first=1, before=ANY)
    for lengths in ((3, 5), (8, 0), (0, 8)):
        moved = b"".join(length.to_bytes(4, "little") for length in lengths) + good[8:]
        assert FRAMES.prefix(moved) is None


def test_no_more_is_taken_than_is_asked_for() -> None:
    assert FRAMES.scan(DATA, expected=1, limit=2, before=ANY).bodies == BODIES[:2]


def test_zeros_are_no_frames() -> None:
    assert FRAMES.scan(bytes(4096), expected=1, limit=10, before=ANY).wanted == 0
    assert FRAMES.resume(bytes(4 << 20), 1) is None


def test_a_length_beyond_the_largest_record_is_damage_not_a_reason_to_wait() -> None:
    data, _ = FRAMES.write([bytes(MAX_BODY + 1)], [b""], first=1, before=ANY)
    assert FRAMES.scan(data[:200], expected=1, limit=1, before=ANY).wanted == 0


@pytest.mark.parametrize("first", [1, 250, 255, 256, 65_530, 65_535, 65_536, 2**32 - 2, 2**40])
def test_the_search_finds_the_next_frame_whatever_its_number(first: int) -> None:
    data, _ = FRAMES.write(BODIES, PERSONAL, first=first, before=ANY)
    for lost in range(5):
        found = FRAMES.resume(bytes(3) + data[ENDS[lost] :], first)
        assert found is not None
        assert (found.number, found.offset) == (first + lost, 3)


@given(st.binary(max_size=600), st.integers(1, 2**20))
def test_a_search_finds_no_frame_in_what_is_none(data: bytes, expected: int) -> None:
    # Heads and what is sealed hold any bytes at all, the numbers that are looked for among them.
    noise = data + expected.to_bytes(8, "little") + data
    assert FRAMES.resume(noise, expected) is None
    found = FRAMES.resume(noise + framed([b"{}"], expected, ANY), expected)
    assert found is not None
    assert found.offset == len(noise)


def test_a_search_costs_what_it_reads_even_where_everything_looks_like_a_number() -> None:
    """Each place that is looked at costs the same: no length that stands there is believed, nor read."""
    looked: list[int] = []

    class Counted(Frames):
        def prefix(self, data: bytes, offset: int = 0) -> None:
            looked.append(offset)

    place = (MAX_BODY).to_bytes(4, "little") * 2 + (5).to_bytes(8, "little") + bytes(44)
    assert Counted(WRITER, header_size=0).resume(place * 5_000, 1) is None
    assert len(looked) <= 2 * 5_000
