"""What a writer keeps in memory for whoever ships it."""

from pathlib import Path

import pytest

from gateway.stores.spool import SpoolBacklog, SpoolWriter
from gateway.stores.spool.recent import Kept, Recent


def _kept(first: int, count: int) -> Kept:
    numbers = range(first, first + count)
    return Kept(
        first=first,
        bodies=[b"%d" % number for number in numbers],
        heads=[b"head %d" % number for number in numbers],
        personal=[b"personal %d" % number for number in numbers],
        before=b"head %d" % (first - 1),
    )


NONE_YET = Kept(1, [], [], [], b"")


def test_records_come_in_order_from_anywhere_and_are_forgotten_when_they_are_shipped() -> None:
    recent = Recent()
    assert recent.read(after=0, limit=9) == NONE_YET
    recent.add(_kept(1, 3), 3)
    recent.add(_kept(4, 3), 3)
    assert recent.last == 6
    assert recent.read(after=0, limit=9) == _kept(1, 6)
    assert recent.read(after=1, limit=3) == _kept(2, 3)
    assert recent.read(after=4, limit=9) == _kept(5, 2)
    assert recent.read(after=2, limit=9) is None
    assert recent.read(after=6, limit=9) == NONE_YET._replace(first=7)
    assert recent.read(after=5, limit=9) is None
    assert recent._size == 0


def test_what_is_too_much_or_missing_is_read_from_the_disk() -> None:
    recent = Recent(at_most=10)
    recent.add(_kept(1, 5), 5)
    recent.add(_kept(8, 5)._replace(before=b"head 5"), 5)
    assert recent.read(after=0, limit=99) == _kept(1, 5)
    assert recent.read(after=5, limit=99) is None
    assert recent.read(after=7, limit=99) == _kept(8, 5)._replace(before=b"head 5")
    recent.add(_kept(13, 9), 9)
    assert recent.read(after=7, limit=99) is None
    assert recent.read(after=12, limit=99) == _kept(13, 9)
    recent.add(_kept(22, 1), 99)
    assert recent.read(after=12, limit=99) is None
    assert recent.read(after=22, limit=99) == NONE_YET._replace(first=23)


@pytest.mark.parametrize("at_most", [0, 100, 1 << 20])
async def test_a_log_is_shipped_whole_whatever_of_it_is_in_memory(tmp_path: Path, at_most: int) -> None:
    spool = SpoolWriter.open(tmp_path, segment_bytes=500)
    spool.recent = Recent(at_most)
    backlog = SpoolBacklog(tmp_path, own=spool.writer, recent=spool.recent)
    written: list[bytes] = []
    shipped: list[bytes] = []
    after = 0
    for number in range(60):
        for copy in range(number % 4):
            written.append(b"%d/%d" % (number, copy))
            spool.append(written[-1])
        await spool.flushed()
        if number % 7 == 0:
            while run := backlog.read(spool.writer, after=after, limit=5):
                assert (run.first, run.lost) == (after + 1, 0)
                shipped += run.bodies
                after = run.last
            backlog.release(spool.writer, upto=after)
            assert shipped == written
    spool.close()
