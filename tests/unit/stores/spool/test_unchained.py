"""The frames of version 1, which are read and not written any more."""

import pytest
from support.spool_logs import WRITER, chain, first_form_frame

from gateway.stores.spool.segment import form_of
from gateway.stores.spool.unchained import UnchainedFrames

FRAMES = UnchainedFrames(header_size=48)
BODIES = [b'{"n":%d,"pad":"%s"}' % (number, b"x" * number) for number in range(1, 6)]
HEADS = chain(BODIES)
DATA = b"".join(first_form_frame(number, body) for number, body in enumerate(BODIES, 1))


def test_the_chain_is_made_while_reading() -> None:
    found = FRAMES.scan(DATA, expected=1, limit=100, before=HEADS[0])
    assert (found.bodies, found.heads) == (BODIES, HEADS[1:])
    assert found.personal == [b""] * len(BODIES)
    assert found.consumed == len(DATA)
    assert FRAMES.scan(DATA, expected=1, limit=2, before=HEADS[0]).bodies == BODIES[:2]


@pytest.mark.parametrize("place", range(len(DATA)))
def test_a_flipped_bit_anywhere_is_noticed_and_what_lies_behind_is_found_again(place: int) -> None:
    data = bytearray(DATA)
    data[place] ^= 0x10
    found = FRAMES.scan(bytes(data), expected=1, limit=100, before=HEADS[0])
    good = len(found.bodies)
    assert found.bodies == BODIES[:good]
    again = FRAMES.resume(bytes(data[found.consumed :]), good + 1)
    if good + 1 == len(BODIES):
        assert again is None
    else:
        assert again is not None
        assert again.number == good + 2
        assert again.before is None


@pytest.mark.parametrize("cut", range(len(DATA)))
def test_a_tail_that_is_cut_off_is_waited_for(cut: int) -> None:
    found = FRAMES.scan(DATA[:cut], expected=1, limit=100, before=HEADS[0])
    assert found.consumed + found.wanted > cut


def test_a_prefix_is_never_trusted_by_itself() -> None:
    assert form_of(1, WRITER).prefix(DATA) is None
