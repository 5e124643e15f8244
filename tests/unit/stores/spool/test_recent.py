"""What a writer keeps in memory for whoever ships it."""

from pathlib import Path

import pytest

from gateway.stores.spool import SpoolBacklog, SpoolWriter
from gateway.stores.spool.recent import Recent


def _bodies(first: int, count: int) -> list[bytes]:
    return [b"%d" % number for number in range(first, first + count)]


def test_records_come_in_order_from_anywhere_and_are_forgotten_when_they_are_shipped() -> None:
    recent = Recent()
    assert recent.read(after=0, limit=9) == ()
    recent.add(1, _bodies(1, 3), 3)
    recent.add(4, _bodies(4, 3), 3)
    assert recent.read(after=0, limit=9) == tuple(_bodies(1, 6))
    assert recent.read(after=1, limit=3) == tuple(_bodies(2, 3))
    assert recent.read(after=4, limit=9) == tuple(_bodies(5, 2))
    assert recent.read(after=2, limit=9) is None
    assert recent.read(after=6, limit=9) == ()
    assert recent.read(after=5, limit=9) is None
    assert recent._size == 0


def test_what_is_too_much_or_missing_is_read_from_the_disk() -> None:
    recent = Recent(at_most=10)
    recent.add(1, _bodies(1, 5), 5)
    recent.add(8, _bodies(8, 5), 5)
    assert recent.read(after=0, limit=99) == tuple(_bodies(1, 5))
    assert recent.read(after=5, limit=99) is None
    assert recent.read(after=7, limit=99) == tuple(_bodies(8, 5))
    recent.add(13, _bodies(13, 9), 9)
    assert recent.read(after=7, limit=99) is None
    assert recent.read(after=12, limit=99) == tuple(_bodies(13, 9))
    recent.add(22, _bodies(22, 1), 99)
    assert recent.read(after=12, limit=99) is None
    assert recent.read(after=22, limit=99) == ()


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
