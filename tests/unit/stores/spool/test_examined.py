"""Whatever is done to a log, the examination names the place."""

import shutil
from collections.abc import Callable
from pathlib import Path
from struct import pack
from zlib import crc32

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.spool_logs import WRITER, chain, framed, write_first_form, write_segment

from gateway.crypto import beginning
from gateway.ports import Damage, Run
from gateway.stores.spool import ExaminedSpool, SpoolBacklog, SpoolWriter
from gateway.stores.spool.frame import PREFIX_SIZE
from gateway.stores.spool.segment import HEADER_SIZE, frames_of, header, name_of

BODIES = [b'{"n":%d,"x":"%s"}' % (number, b"y" * number) for number in range(1, 10)]
PERSONAL = [b"\x00sealed\xff" * (number % 3) for number in range(1, 10)]
HEADS = chain(BODIES)
FIRSTS = (1, 4, 7)


def _write(root: Path) -> list[Path]:
    return [write_segment(root, BODIES, first, first + 2, personal=PERSONAL) for first in FIRSTS]


def _frame(number: int) -> bytes:
    return framed([BODIES[number - 1]], number, HEADS[number - 1], [PERSONAL[number - 1]])


def _offset(number: int) -> int:
    first = max(first for first in FIRSTS if first <= number)
    return HEADER_SIZE + sum(len(_frame(earlier)) for earlier in range(first, number))


def _place(number: int) -> str:
    first = max(first for first in FIRSTS if first <= number)
    return f"{WRITER}/{name_of(first)} byte {_offset(number)}"


def _examine(root: Path) -> tuple[list[int], list[Damage]]:
    """Return the numbers of the records that are given, and the damage."""
    found = list(ExaminedSpool(root).examine(str(WRITER)))
    runs = [one for one in found if isinstance(one, Run)]
    for run in runs:
        assert len(run.bodies) == len(run.heads) == len(run.personal)
    numbers = [number for run in runs for number in range(run.first, run.last + 1)]
    return numbers, [one for one in found if isinstance(one, Damage)]


def _edit(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def test_a_whole_log_is_given_whole(tmp_path: Path) -> None:
    _write(tmp_path)
    examined = ExaminedSpool(tmp_path)
    assert examined.writers() == [str(WRITER)]
    runs = list(examined.examine(str(WRITER)))
    assert [(run.first, run.last) for run in runs if isinstance(run, Run)] == [(1, 3), (4, 6), (7, 9)]
    for run in runs:
        assert isinstance(run, Run)
        assert run.before == HEADS[run.first - 1]
        assert list(run.heads) == HEADS[run.first : run.last + 1]
        assert list(run.bodies) == BODIES[run.first - 1 : run.last]
        assert list(run.personal) == PERSONAL[run.first - 1 : run.last]
    assert list(examined.examine("0198f3c2-7d1e-4abc-8def-000000000000")) == []


def test_what_was_put_in_quarantine_is_found_there(tmp_path: Path) -> None:
    SpoolBacklog(tmp_path, own=None).quarantine(str(WRITER), 7, b"poison")
    examined = ExaminedSpool(tmp_path)
    assert examined.withheld(str(WRITER), 7) == b"poison"
    assert examined.withheld(str(WRITER), 8) is None


@pytest.mark.parametrize("first", FIRSTS)
def test_a_flipped_bit_is_named_wherever_it_is(tmp_path: Path, first: int) -> None:
    _write(tmp_path)
    path = tmp_path / str(WRITER) / name_of(first)
    data = path.read_bytes()
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        numbers, damage = _examine(tmp_path)
        if place < HEADER_SIZE:
            assert numbers == list(range(1, 10)), place
            assert [(one.first, one.last) for one in damage] == [(first, first)]
            assert damage[0].place == f"{tmp_path.name}/{WRITER}/{path.name} byte 0"
        else:
            hit = max(number for number in range(first, first + 3) if _offset(number) <= place)
            assert numbers == [number for number in range(1, 10) if number != hit], place
            assert [(one.first, one.last) for one in damage] == [(hit, hit)]
            assert damage[0].place.endswith(_place(hit))


@pytest.mark.parametrize("first", FIRSTS)
def test_a_byte_that_is_taken_out_or_put_in_is_named(tmp_path: Path, first: int) -> None:
    _write(tmp_path)
    path = tmp_path / str(WRITER) / name_of(first)
    data = path.read_bytes()
    for place in range(len(data)):
        hit = max([number for number in range(first, first + 3) if _offset(number) <= place], default=first)
        path.write_bytes(data[:place] + b"\x00" + data[place:])
        _, damage = _examine(tmp_path)
        assert damage, place
        assert {one.first for one in damage} <= {first, hit, hit + 1}
        path.write_bytes(data[:place] + data[place + 1 :])
        _, damage = _examine(tmp_path)
        if hit == 9:
            # The last record of all is shorter than it says: as when its writer went away.
            assert all((one.first, one.last) == (9, 9) for one in damage)
        else:
            assert damage, place
            assert damage[0].first in (first, hit)


def test_the_end_of_the_log_may_be_cut_off_anywhere_and_no_other_end(tmp_path: Path) -> None:
    paths = _write(tmp_path)
    for first, path in zip(FIRSTS, paths, strict=True):
        data = path.read_bytes()
        for cut in range(len(data)):
            path.write_bytes(data[:cut])
            numbers, damage = _examine(tmp_path)
            left = [
                number for number in range(first, first + 3) if _offset(number) + len(_frame(number)) <= cut
            ]
            if first == FIRSTS[-1]:
                assert damage == []
            else:
                assert damage[-1].last == first + 2
                assert damage[0].first in (first, len(left) + first)
            assert numbers == [
                number for number in range(1, 10) if number in left or not first <= number < first + 3
            ]
        path.write_bytes(data)


@pytest.mark.parametrize("number", [1, 2, 4, 5, 6])
def test_a_record_that_is_taken_out_is_named(tmp_path: Path, number: int) -> None:
    path = _write(tmp_path)[(number - 1) // 3]
    _edit(path, lambda data: data.replace(_frame(number), b""))
    numbers, damage = _examine(tmp_path)
    assert numbers == [other for other in range(1, 10) if other != number]
    assert [(one.first, one.last) for one in damage] == [(number, number)]
    assert "missing" in damage[0].problem


def test_records_that_change_places_are_named(tmp_path: Path) -> None:
    path = _write(tmp_path)[1]
    _edit(path, lambda data: data[:HEADER_SIZE] + _frame(5) + _frame(4) + _frame(6))
    _, damage = _examine(tmp_path)
    assert [(one.first, one.last) for one in damage] == [(4, 4), (4, 4)]
    assert [one.place.split()[-1] for one in damage] == [str(HEADER_SIZE), str(HEADER_SIZE + len(_frame(5)))]


def test_a_record_that_is_there_twice_is_named(tmp_path: Path) -> None:
    path = _write(tmp_path)[1]
    _edit(path, lambda data: data[: _offset(6)] + _frame(5) + data[_offset(6) :])
    numbers, (damage,) = _examine(tmp_path)
    assert numbers == list(range(1, 10))
    assert (damage.first, damage.last) == (5, 5)
    assert "not in its place" in damage.problem


def test_a_record_that_was_changed_with_all_its_checksums_breaks_the_chain(tmp_path: Path) -> None:
    path = _write(tmp_path)[1]
    forged = b'{"n":666}'
    frames = frames_of(WRITER)
    # The checksums are right, and the head is the one that was there.
    whole, _ = frames.write([forged], [b""], first=5, before=HEADS[4])
    kept, _ = frames.write([BODIES[4]], [b""], first=5, before=HEADS[4])
    prefix = bytearray(whole)
    prefix[16:48] = kept[16:48]
    prefix[52:56] = pack("<I", crc32(bytes(prefix[:52]), crc32(WRITER.bytes)))
    _edit(path, lambda data: data[: _offset(5)] + bytes(prefix) + data[_offset(6) :])
    numbers, (damage,) = _examine(tmp_path)
    assert numbers == list(range(1, 10))
    assert (damage.first, damage.last) == (5, 5)
    assert "chain" in damage.problem
    assert damage.place.endswith(_place(5))
    # With a new head the next record is the first that does not follow.
    _edit(path, lambda data: data.replace(bytes(prefix), whole))
    _, (damage,) = _examine(tmp_path)
    assert (damage.first, damage.last) == (6, 6)


def test_a_forged_end_of_a_segment_does_not_fit_the_next(tmp_path: Path) -> None:
    path = _write(tmp_path)[1]
    forged = framed([b'{"n":666}'], 6, HEADS[5])
    _edit(path, lambda data: data[: _offset(6)] + forged)
    _, (damage,) = _examine(tmp_path)
    assert damage.first <= 7 <= damage.last
    assert damage.place.endswith(f"{name_of(7)} byte 0")


def test_a_segment_that_is_missing_in_the_middle_is_named(tmp_path: Path) -> None:
    _write(tmp_path)[1].unlink()
    numbers, (damage,) = _examine(tmp_path)
    assert numbers == [1, 2, 3, 7, 8, 9]
    assert (damage.first, damage.last) == (4, 6)


def test_segments_at_the_beginning_may_have_been_shipped(tmp_path: Path) -> None:
    _write(tmp_path)[0].unlink()
    runs = list(ExaminedSpool(tmp_path).examine(str(WRITER)))
    assert [run.first for run in runs if isinstance(run, Run)] == [4, 7]
    assert isinstance(runs[0], Run)
    assert runs[0].before == HEADS[3]


def test_numbers_that_were_never_written_are_no_damage(tmp_path: Path) -> None:
    path = write_segment(tmp_path, BODIES, 1, 3)
    frames, _ = frames_of(WRITER).write([b"seven"], [b""], first=7, before=HEADS[3])
    (path.parent / name_of(7)).write_bytes(header(WRITER, first=7, acknowledged=3, before=HEADS[3]) + frames)
    assert _examine(tmp_path) == ([1, 2, 3, 7], [])


def test_a_segment_under_another_name_is_named(tmp_path: Path) -> None:
    path = _write(tmp_path)[2]
    path.rename(path.with_name(name_of(8)))
    numbers, (damage,) = _examine(tmp_path)
    assert numbers == list(range(1, 10))
    assert "another segment's name" in damage.problem
    shutil.copy(path.with_name(name_of(4)), path.with_name(name_of(20)))
    assert len(_examine(tmp_path)[1]) > 1


def test_a_chain_that_begins_as_another_writer_s_does_is_named(tmp_path: Path) -> None:
    path = _write(tmp_path)[0]
    other = beginning("another")
    frames, _ = frames_of(WRITER).write(BODIES[:3], PERSONAL[:3], first=1, before=other)
    path.write_bytes(header(WRITER, first=1, acknowledged=0, before=other) + frames)
    _, damage = _examine(tmp_path)
    assert damage[0].first == 1
    assert "does not begin" in damage[0].problem


def test_a_long_stretch_that_is_no_record_is_passed_by_once(tmp_path: Path) -> None:
    path = _write(tmp_path)[1]
    _edit(path, lambda data: data[: _offset(5)] + bytes(range(256)) * 50_000 + data[_offset(6) :])
    numbers, (damage,) = _examine(tmp_path)
    assert numbers == [1, 2, 3, 4, 6, 7, 8, 9]
    assert (damage.first, damage.last) == (5, 5)
    _edit(path, lambda data: data[: _offset(5) + (12 << 20)])
    numbers, (damage,) = _examine(tmp_path)
    assert numbers == [1, 2, 3, 4, 7, 8, 9]
    assert (damage.first, damage.last) == (5, 6)


def test_a_log_in_an_unknown_format_is_named_and_not_judged(tmp_path: Path) -> None:
    path = write_segment(tmp_path, BODIES, 1, 3)
    _edit(path, lambda data: data[:8] + b"\x09" + data[9:])
    numbers, (damage,) = _examine(tmp_path)
    assert numbers == []
    assert "spool format 9" in damage.problem


def test_a_segment_that_is_being_made_and_a_log_that_has_none_are_no_damage(tmp_path: Path) -> None:
    path = _write(tmp_path)[2]
    for size in (0, 20, HEADER_SIZE - 1):
        _edit(path, lambda data, size=size: data[:size])  # type: ignore[misc]
        assert _examine(tmp_path) == ([1, 2, 3, 4, 5, 6], [])
    shutil.rmtree(path.parent)
    path.parent.mkdir()
    assert _examine(tmp_path) == ([], [])
    path.write_bytes(b"GW")
    assert _examine(tmp_path) == ([], [])


def test_a_log_of_the_first_version_is_examined_as_far_as_it_can_be(tmp_path: Path) -> None:
    paths = [write_first_form(tmp_path, BODIES, first, first + 2) for first in FIRSTS]
    assert _examine(tmp_path) == (list(range(1, 10)), [])
    _edit(paths[1], lambda data: data[:70] + b"?" + data[71:])
    numbers, (damage,) = _examine(tmp_path)
    assert numbers == [1, 2, 3, 5, 6, 7, 8, 9]
    assert (damage.first, damage.last) == (4, 4)
    paths[1].unlink()
    numbers, (damage,) = _examine(tmp_path)
    assert (damage.first, damage.last) == (4, 6)


async def test_a_log_is_examined_while_it_is_written_shipped_and_cleared_away(tmp_path: Path) -> None:
    spool = SpoolWriter.open(tmp_path, segment_bytes=400)
    backlog = SpoolBacklog(tmp_path, own=spool.writer, recent=spool.recent)
    examined = ExaminedSpool(tmp_path)

    async def write(count: int) -> None:
        for _ in range(count):
            spool.append(b"x" * 90, b"sealed")
            await spool.flushed()

    await write(20)
    numbers: list[int] = []
    for one in examined.examine(spool.writer):
        assert isinstance(one, Run)
        numbers += range(one.first, one.last + 1)
        if spool.last < 100:
            await write(4)
    assert numbers == list(range(1, 101))
    numbers = []
    for one in examined.examine(spool.writer):
        assert isinstance(one, Run)
        numbers += range(one.first, one.last + 1)
        if len(numbers) in range(20, 30):
            backlog.release(spool.writer, upto=60)
    assert numbers[0] == 1
    assert numbers[-1] == 100
    assert numbers == sorted(set(numbers))
    assert len(numbers) < 100
    backlog.release(spool.writer, upto=100)
    assert len(list(examined.examine(spool.writer))) <= 1
    spool.close()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_nothing_that_is_done_to_the_middle_of_a_log_goes_unnoticed(
    tmp_path: Path, data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from(_write(tmp_path)[:2]))
    whole = path.read_bytes()
    start = data.draw(st.integers(0, len(whole)))
    stop = data.draw(st.integers(start, min(len(whole), start + 3 * PREFIX_SIZE)))
    put = data.draw(st.binary(max_size=100))
    changed = whole[:start] + put + whole[stop:]
    path.write_bytes(changed)
    numbers, damage = _examine(tmp_path)
    assert bool(damage) == (changed != whole)
    missing = set(range(1, 10)) - set(numbers)
    assert missing <= {number for one in damage for number in range(one.first, one.last + 1)}
