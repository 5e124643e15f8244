"""Reading a log that grows, that was cut short, and that was damaged."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.spool_logs import WRITER, chain, framed, run, write_first_form, write_segment

from gateway.ports import Run
from gateway.stores.spool.form import MAX_BODY
from gateway.stores.spool.log import Log
from gateway.stores.spool.pieces import NO_HEAD
from gateway.stores.spool.segment import HEADER_SIZE, UnknownFormatError, header, name_of

BODIES = [b'{"n":%d}' % number for number in range(1, 13)]
HEADS = chain(BODIES)
NUMBERED = list(enumerate(BODIES, 1))


def _write(root: Path, first: int, last: int, *, acknowledged: int | None = None) -> Path:
    return write_segment(root, BODIES, first, last, acknowledged=acknowledged)


def _run(first: int, last: int, *, lost: int = 0) -> Run:
    return run(BODIES, first, last, lost=lost)


def _size(first: int = 1, last: int = 1) -> int:
    return len(framed(BODIES[first - 1 : last], first, NO_HEAD))


def _log(root: Path, *, dead: bool = True) -> Log:
    return Log(root / str(WRITER), dead=dead)


def _all(log: Log, *, after: int = 0, limit: int = 5) -> list[tuple[int, bytes]]:
    found = []
    while run := log.read(after=after, limit=limit):
        numbers = range(run.first, run.last + 1)
        assert run.before == HEADS[run.first - 1]
        assert list(run.heads) == [HEADS[number] for number in numbers]
        assert run.personal == (b"",) * len(run.bodies)
        found += list(zip(numbers, run.bodies, strict=True))
        after = run.last
    return found


@pytest.mark.parametrize("limit", [1, 2, 5, 12, 100])
@pytest.mark.parametrize("after", [0, 1, 3, 4, 7, 11, 12, 40])
def test_reading_begins_anywhere_and_crosses_segments(tmp_path: Path, limit: int, after: int) -> None:
    for first in (1, 5, 9):
        _write(tmp_path, first, first + 3)
    assert _all(_log(tmp_path), after=after, limit=limit) == NUMBERED[after:]


def test_the_same_place_can_be_read_again(tmp_path: Path) -> None:
    _write(tmp_path, 1, 12)
    log = _log(tmp_path)
    assert log.read(after=0, limit=3) == log.read(after=0, limit=3)
    assert _all(log, after=1) == NUMBERED[1:]


def test_a_log_without_segments_or_without_a_directory_is_empty(tmp_path: Path) -> None:
    assert _log(tmp_path).read(after=0, limit=1) is None
    (tmp_path / str(WRITER)).mkdir()
    assert _log(tmp_path).read(after=0, limit=1) is None


def test_records_larger_than_what_is_read_at_once_are_read(tmp_path: Path) -> None:
    bodies = [b"a" * MAX_BODY, b"b", b"c" * (256 << 10), b"d"]
    write_segment(tmp_path, bodies, 1, 4)
    log, after, found = _log(tmp_path), 0, list[bytes]()
    while read := log.read(after=after, limit=5):
        found += read.bodies
        after = read.last
    assert found == bodies


def test_a_growing_log_is_read_as_it_grows(tmp_path: Path) -> None:
    path = _write(tmp_path, 1, 2)
    log = _log(tmp_path, dead=False)
    assert _all(log) == NUMBERED[:2]
    whole = framed([BODIES[2]], 3, HEADS[2])
    for size in range(1, len(whole) + 1):
        with path.open("ab") as file:
            file.write(whole[size - 1 : size])
        run = log.read(after=2, limit=5)
        assert (run is None) == (size < len(whole))
    _write(tmp_path, 4, 12)
    assert _all(log, after=3) == NUMBERED[3:]


def test_a_segment_that_is_being_made_is_waited_for(tmp_path: Path) -> None:
    _write(tmp_path, 1, 2)
    log = _log(tmp_path, dead=False)
    assert _all(log) == NUMBERED[:2]
    path = tmp_path / str(WRITER) / name_of(3)
    head = header(WRITER, first=3, acknowledged=2, before=HEADS[2])
    for size in (0, 1, HEADER_SIZE - 1):
        path.write_bytes(head[:size])
        assert log.read(after=2, limit=5) is None
    path.write_bytes(head + framed([BODIES[2]], 3, HEADS[2]))
    assert log.read(after=2, limit=5) == _run(3, 3)


@pytest.mark.parametrize("dead", [True, False])
@pytest.mark.parametrize("cut", range(1, _size() * 3))
def test_a_torn_tail_is_no_record_and_no_loss(tmp_path: Path, cut: int, dead: bool) -> None:
    path = _write(tmp_path, 1, 9)
    data = path.read_bytes()
    path.write_bytes(data[:-cut])
    log = _log(tmp_path, dead=dead)
    found = _all(log)
    assert found == NUMBERED[: len(found)]
    assert len(found) == 9 - -(-cut // _size())
    assert log._lost == 0


def test_what_follows_a_damaged_record_is_found_and_the_damage_counted(tmp_path: Path) -> None:
    path = _write(tmp_path, 1, 6)
    _write(tmp_path, 7, 12)
    size = _size()
    data = bytearray(path.read_bytes())
    data[HEADER_SIZE + 2 * size + 20] ^= 1
    data[HEADER_SIZE + 4 * size - 1] ^= 1
    path.write_bytes(data)
    for dead in (True, False):
        log = _log(tmp_path, dead=dead)
        assert log.read(after=0, limit=9) == _run(1, 2)
        assert log.read(after=2, limit=9) == _run(5, 12, lost=2)


def test_records_that_are_missing_before_a_segment_are_lost_if_they_were_acknowledged(tmp_path: Path) -> None:
    _write(tmp_path, 1, 2)
    _write(tmp_path, 7, 12, acknowledged=4)
    log = _log(tmp_path)
    assert _all(log) == NUMBERED[:2] + NUMBERED[6:]
    log = _log(tmp_path)
    log.read(after=0, limit=5)
    assert log.read(after=2, limit=5) == _run(7, 11, lost=2)


def test_a_segment_that_is_gone_before_it_was_shipped_is_a_loss(tmp_path: Path) -> None:
    _write(tmp_path, 7, 12)
    assert _log(tmp_path).read(after=2, limit=50) == _run(7, 12, lost=4)


def test_what_is_sealed_comes_with_its_record(tmp_path: Path) -> None:
    personal = [b"\x00%d" % number * (number % 3) for number in range(1, 13)]
    for first in (1, 7):
        write_segment(tmp_path, BODIES, first, first + 5, personal=personal)
    found = _log(tmp_path).read(after=3, limit=6)
    assert found is not None
    assert found.personal == tuple(personal[3:9])
    assert found.bodies == tuple(BODIES[3:9])


def test_the_chain_before_a_record_is_unknown_when_the_damage_took_it_along(tmp_path: Path) -> None:
    path = _write(tmp_path, 1, 6)
    data = bytearray(path.read_bytes())
    # The prefix of the fourth record, which has the head before the fifth.
    data[HEADER_SIZE + 3 * _size() + 20] ^= 1
    path.write_bytes(data)
    found = _log(tmp_path).read(after=3, limit=9)
    assert found is not None
    assert (found.first, found.lost, found.heads) == (5, 1, tuple(HEADS[5:7]))
    # The newest head that is known: the fifth record does not follow from it, as it should not.
    assert _log(tmp_path).read(after=0, limit=9) == _run(1, 3)
    log = _log(tmp_path)
    log.read(after=0, limit=9)
    again = log.read(after=3, limit=9)
    assert again is not None
    assert again.before == HEADS[3]


@pytest.mark.parametrize("after", [0, 3, 6, 8])
def test_a_damaged_header_does_not_hide_where_the_chain_is(tmp_path: Path, after: int) -> None:
    for first in (1, 5, 9):
        path = _write(tmp_path, first, first + 3)
        if first != 9:
            data = bytearray(path.read_bytes())
            data[8 if first == 5 else 20] ^= 0x40
            path.write_bytes(data)
    assert _all(_log(tmp_path), after=after) == NUMBERED[after:]


def test_a_log_all_whose_headers_are_damaged_is_read_in_the_form_that_fits(tmp_path: Path) -> None:
    for write in (write_first_form, write_segment):
        for first in (1, 7):
            path = write(tmp_path, BODIES, first, first + 5)
            data = bytearray(path.read_bytes())
            data[20] ^= 0x40
            path.write_bytes(data)
        assert _all(_log(tmp_path)) == NUMBERED


def test_where_no_head_is_left_none_is_made_up(tmp_path: Path) -> None:
    path = _write(tmp_path, 5, 8)
    data = bytearray(path.read_bytes())
    data[30] ^= 1
    path.write_bytes(data)
    found = _log(tmp_path).read(after=4, limit=9)
    assert found is not None
    assert found.before == NO_HEAD
    assert found.heads == tuple(HEADS[5:9])


@pytest.mark.parametrize("limit", [1, 3, 12])
@pytest.mark.parametrize("after", [0, 1, 4, 7, 12])
def test_a_log_of_the_first_version_gets_its_chain_while_it_is_read(
    tmp_path: Path, limit: int, after: int
) -> None:
    for first in (1, 5, 9):
        write_first_form(tmp_path, BODIES, first, first + 3)
    assert _all(_log(tmp_path), after=after, limit=limit) == NUMBERED[after:]


def test_the_chain_of_the_first_version_comes_out_the_same_however_often_it_is_read(tmp_path: Path) -> None:
    # What was shipped before went away in the first version's own time; what follows is kept to the end.
    write_first_form(tmp_path, BODIES, 5, 8)
    path = write_first_form(tmp_path, BODIES, 9, 12)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    log = _log(tmp_path)
    whole = log.read(after=4, limit=99)
    assert whole is not None
    assert (whole.first, whole.last, whole.lost) == (5, 11, 0)
    log.drop(upto=8)
    rest = _log(tmp_path).read(after=8, limit=99)
    assert rest == whole.part(4, 7)
    assert whole.before == HEADS[0]


def test_damage_and_loss_in_the_first_version_are_passed_by_and_counted(tmp_path: Path) -> None:
    path = write_first_form(tmp_path, BODIES, 1, 4)
    data = bytearray(path.read_bytes())
    data[48 + 24 + 20] ^= 1
    path.write_bytes(data)
    write_first_form(tmp_path, BODIES, 9, 12, acknowledged=6)
    log, after, found = _log(tmp_path), 0, []
    while read := log.read(after=after, limit=9):
        found.append((read.first, read.last, read.lost))
        after = read.last
    assert found == [(1, 1, 0), (3, 4, 1), (9, 12, 2)]


def test_a_damaged_header_does_not_hide_the_records_behind_it(tmp_path: Path) -> None:
    path = _write(tmp_path, 1, 6)
    _write(tmp_path, 7, 12)
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)
    assert _all(_log(tmp_path)) == NUMBERED


def test_a_log_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path, 1, 12)
    data = bytearray(path.read_bytes())
    data[8] = 9
    path.write_bytes(data)
    with pytest.raises(UnknownFormatError):
        _log(tmp_path).read(after=0, limit=1)


def test_segments_go_once_everything_in_them_is_shipped(tmp_path: Path) -> None:
    for first in (1, 5, 9):
        _write(tmp_path, first, first + 3)
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
        _write(tmp_path, first, first + 3)
    assert _log(tmp_path, dead=False).read(after=2, limit=50) == _run(3, 12)


def test_damage_among_what_was_shipped_from_memory_is_no_loss(tmp_path: Path) -> None:
    path = _write(tmp_path, 1, 12)
    size = _size()
    data = bytearray(path.read_bytes())
    data[HEADER_SIZE + 4 * size + 20] ^= 1
    path.write_bytes(data)
    log = _log(tmp_path)
    log.read(after=0, limit=2)
    assert log.read(after=8, limit=50) == _run(9, 12)


def test_a_segment_that_vanishes_under_the_reader_is_passed_by(tmp_path: Path) -> None:
    for first in (1, 5, 9):
        _write(tmp_path, first, first + 3)
    log = _log(tmp_path, dead=False)
    log.read(after=0, limit=2)
    for first in (1, 5):
        (tmp_path / str(WRITER) / name_of(first)).unlink()
    assert _all(log, after=8) == NUMBERED[8:]


@given(data=st.data())
def test_a_reader_that_goes_back_and_forth_reads_the_same_as_one_that_comes_from_the_beginning(
    data: st.DataObject,
) -> None:
    with TemporaryDirectory() as name:
        root = Path(name)
        for first, last in ((1, 4), (5, 5), (8, 12)):
            _write(root, first, last)
        log = Log(root / str(WRITER), dead=False, remembers=True)
        for _ in range(data.draw(st.integers(1, 12))):
            after, limit = data.draw(st.integers(0, 13)), data.draw(st.integers(1, 6))
            if data.draw(st.integers(0, 9)) == 0:
                (root / str(WRITER) / name_of(1)).unlink(missing_ok=True)
            fresh = Log(root / str(WRITER), dead=False)
            found, expected = log.read(after=after, limit=limit), fresh.read(after=after, limit=limit)
            assert (found and found.bodies, found and found.before) == (
                expected and expected.bodies,
                expected and expected.before,
            )
