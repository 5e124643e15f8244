"""Reading a log that grows, that was cut short, and that was damaged."""

from pathlib import Path
from uuid import UUID

import pytest

from gateway.ports import Run
from gateway.stores.spool.log import Log
from gateway.stores.spool.segment import (
    HEADER_SIZE,
    MAX_BODY,
    UnknownFormatError,
    frames,
    header,
    name_of,
)

WRITER = UUID("0198f3c2-7d1e-4abc-8def-0123456789ab")
BODIES = [b'{"n":%d}' % number for number in range(1, 13)]


def _write(root: Path, first: int, bodies: list[bytes], *, acknowledged: int | None = None) -> Path:
    directory = root / str(WRITER)
    directory.mkdir(exist_ok=True)
    path = directory / name_of(first)
    path.write_bytes(
        header(WRITER, first, first - 1 if acknowledged is None else acknowledged) + frames(bodies, first)
    )
    return path


def _log(root: Path, *, dead: bool = True) -> Log:
    return Log(root / str(WRITER), dead=dead)


def _all(log: Log, *, after: int = 0, limit: int = 5) -> list[tuple[int, bytes]]:
    found = []
    while run := log.read(after=after, limit=limit):
        found += list(enumerate(run.bodies, run.first))
        after = run.last
    return found


NUMBERED = list(enumerate(BODIES, 1))


@pytest.mark.parametrize("limit", [1, 2, 5, 12, 100])
@pytest.mark.parametrize("after", [0, 1, 3, 4, 7, 11, 12, 40])
def test_reading_begins_anywhere_and_crosses_segments(tmp_path: Path, limit: int, after: int) -> None:
    for first in (1, 5, 9):
        _write(tmp_path, first, BODIES[first - 1 : first + 3])
    assert _all(_log(tmp_path), after=after, limit=limit) == NUMBERED[after:]


def test_the_same_place_can_be_read_again(tmp_path: Path) -> None:
    _write(tmp_path, 1, BODIES)
    log = _log(tmp_path)
    assert log.read(after=0, limit=3) == log.read(after=0, limit=3)
    assert _all(log, after=1) == NUMBERED[1:]


def test_a_log_without_segments_or_without_a_directory_is_empty(tmp_path: Path) -> None:
    assert _log(tmp_path).read(after=0, limit=1) is None
    (tmp_path / str(WRITER)).mkdir()
    assert _log(tmp_path).read(after=0, limit=1) is None


def test_records_larger_than_what_is_read_at_once_are_read(tmp_path: Path) -> None:
    bodies = [b"a" * MAX_BODY, b"b", b"c" * (256 << 10), b"d"]
    _write(tmp_path, 1, bodies)
    assert [body for _, body in _all(_log(tmp_path))] == bodies


def test_a_growing_log_is_read_as_it_grows(tmp_path: Path) -> None:
    path = _write(tmp_path, 1, BODIES[:2])
    log = _log(tmp_path, dead=False)
    assert _all(log) == NUMBERED[:2]
    whole = frames([BODIES[2]], 3)
    for size in range(1, len(whole) + 1):
        with path.open("ab") as file:
            file.write(whole[size - 1 : size])
        run = log.read(after=2, limit=5)
        assert (run is None) == (size < len(whole))
    _write(tmp_path, 4, BODIES[3:])
    assert _all(log, after=3) == NUMBERED[3:]


def test_a_segment_that_is_being_made_is_waited_for(tmp_path: Path) -> None:
    _write(tmp_path, 1, BODIES[:2])
    log = _log(tmp_path, dead=False)
    assert _all(log) == NUMBERED[:2]
    path = tmp_path / str(WRITER) / name_of(3)
    head = header(WRITER, 3, 2)
    for size in (0, 1, HEADER_SIZE - 1):
        path.write_bytes(head[:size])
        assert log.read(after=2, limit=5) is None
    path.write_bytes(head + frames([BODIES[2]], 3))
    assert log.read(after=2, limit=5) == Run(writer=str(WRITER), first=3, bodies=(BODIES[2],))


@pytest.mark.parametrize("dead", [True, False])
@pytest.mark.parametrize("cut", range(1, len(frames([BODIES[0]], 1)) * 3))
def test_a_torn_tail_is_no_record_and_no_loss(tmp_path: Path, cut: int, dead: bool) -> None:
    path = _write(tmp_path, 1, BODIES[:9])
    data = path.read_bytes()
    path.write_bytes(data[:-cut])
    log = _log(tmp_path, dead=dead)
    found = _all(log)
    assert found == NUMBERED[: len(found)]
    assert len(found) == 9 - -(-cut // len(frames([BODIES[0]], 1)))
    assert log._lost == 0


def test_what_follows_a_damaged_record_is_found_and_the_damage_counted(tmp_path: Path) -> None:
    path = _write(tmp_path, 1, BODIES[:6])
    _write(tmp_path, 7, BODIES[6:])
    size = len(frames([BODIES[0]], 1))
    data = bytearray(path.read_bytes())
    data[HEADER_SIZE + 2 * size + 20] ^= 1
    data[HEADER_SIZE + 3 * size] ^= 1
    path.write_bytes(data)
    for dead in (True, False):
        log = _log(tmp_path, dead=dead)
        assert log.read(after=0, limit=9) == Run(writer=str(WRITER), first=1, bodies=tuple(BODIES[:2]))
        run = log.read(after=2, limit=9)
        assert run == Run(writer=str(WRITER), first=5, bodies=tuple(BODIES[4:]), lost=2)


def test_records_that_are_missing_before_a_segment_are_lost_if_they_were_acknowledged(tmp_path: Path) -> None:
    _write(tmp_path, 1, BODIES[:2])
    _write(tmp_path, 7, BODIES[6:], acknowledged=4)
    log = _log(tmp_path)
    assert _all(log) == NUMBERED[:2] + NUMBERED[6:]
    log = _log(tmp_path)
    log.read(after=0, limit=5)
    run = log.read(after=2, limit=5)
    assert run is not None
    assert (run.first, run.lost) == (7, 2)


def test_a_segment_that_is_gone_before_it_was_shipped_is_a_loss(tmp_path: Path) -> None:
    _write(tmp_path, 7, BODIES[6:])
    run = _log(tmp_path).read(after=2, limit=50)
    assert run is not None
    assert (run.first, run.lost) == (7, 4)


def test_a_damaged_header_does_not_hide_the_records_behind_it(tmp_path: Path) -> None:
    path = _write(tmp_path, 1, BODIES[:6])
    _write(tmp_path, 7, BODIES[6:])
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)
    assert _all(_log(tmp_path)) == NUMBERED


def test_a_log_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path, 1, BODIES)
    data = bytearray(path.read_bytes())
    data[8] = 9
    path.write_bytes(data)
    with pytest.raises(UnknownFormatError):
        _log(tmp_path).read(after=0, limit=1)


def test_segments_go_once_everything_in_them_is_shipped(tmp_path: Path) -> None:
    for first in (1, 5, 9):
        _write(tmp_path, first, BODIES[first - 1 : first + 3])
    log = _log(tmp_path, dead=False)
    names = [name_of(first) for first in (1, 5, 9)]

    def left() -> list[str]:
        return sorted(path.name for path in (tmp_path / str(WRITER)).iterdir())

    log.read(after=0, limit=2)
    log.drop(upto=3)
    assert left() == names
    log.drop(upto=6)
    assert left() == names[1:]
    assert _all(log, after=6) == NUMBERED[6:]
    log.drop(upto=12)
    assert left() == names[2:]


def test_a_run_goes_on_across_segments(tmp_path: Path) -> None:
    for first in (1, 5, 9):
        _write(tmp_path, first, BODIES[first - 1 : first + 3])
    run = _log(tmp_path, dead=False).read(after=2, limit=50)
    assert run == Run(writer=str(WRITER), first=3, bodies=tuple(BODIES[2:]))


def test_damage_among_what_was_shipped_from_memory_is_no_loss(tmp_path: Path) -> None:
    path = _write(tmp_path, 1, BODIES)
    size = len(frames(BODIES[:1], 1))
    data = bytearray(path.read_bytes())
    data[HEADER_SIZE + 4 * size + 20] ^= 1
    path.write_bytes(data)
    log = _log(tmp_path)
    log.read(after=0, limit=2)
    run = log.read(after=8, limit=50)
    assert run == Run(writer=str(WRITER), first=9, bodies=tuple(BODIES[8:]))


def test_a_segment_that_vanishes_under_the_reader_is_passed_by(tmp_path: Path) -> None:
    for first in (1, 5, 9):
        _write(tmp_path, first, BODIES[first - 1 : first + 3])
    log = _log(tmp_path, dead=False)
    log.read(after=0, limit=2)
    for first in (1, 5):
        (tmp_path / str(WRITER) / name_of(first)).unlink()
    assert _all(log, after=8) == NUMBERED[8:]
