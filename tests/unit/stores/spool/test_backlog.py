"""Who ships whose log, and what is left of it afterwards."""

import asyncio
import os
import sys
import textwrap
from asyncio.subprocess import PIPE
from pathlib import Path
from uuid import uuid4

import pytest

from gateway.crypto import beginning, link
from gateway.stores.spool import SpoolBacklog, SpoolWriter, UnshippedSpool
from gateway.stores.spool.recent import Recent
from gateway.stores.spool.room import lock
from gateway.stores.spool.segment import name_of


async def _log(root: Path, *bodies: bytes, segment_bytes: int = 1 << 20) -> SpoolWriter:
    spool = SpoolWriter.open(root, segment_bytes=segment_bytes)
    for body in bodies:
        spool.append(body)
        await spool.flushed()
    return spool


async def test_a_process_ships_its_own_log_first_and_never_that_of_a_living_one(tmp_path: Path) -> None:
    other = await _log(tmp_path, b"theirs")
    own = await _log(tmp_path, b"ours")
    dead = await _log(tmp_path, b"left over")
    dead.close()
    backlog = SpoolBacklog(tmp_path, own=own.writer)
    assert backlog.writers() == [own.writer, dead.writer]
    assert backlog.writers() == [own.writer, dead.writer]
    run = backlog.read(dead.writer, after=0, limit=9)
    assert run is not None
    assert run.bodies == (b"left over",)
    backlog.close()
    own.close()
    other.close()


async def test_only_one_of_two_processes_takes_over_a_dead_log(tmp_path: Path) -> None:
    dead = await _log(tmp_path, b"left over")
    dead.close()
    first, second = SpoolBacklog(tmp_path, own=None), SpoolBacklog(tmp_path, own=None)
    assert first.writers() == [dead.writer]
    assert second.writers() == []
    first.close()
    assert second.writers() == [dead.writer]
    second.close()


async def test_what_is_shipped_of_a_dead_log_goes_with_its_directory(tmp_path: Path) -> None:
    dead = await _log(tmp_path, *[b"x" * 50] * 20, segment_bytes=200)
    dead.close()
    backlog = SpoolBacklog(tmp_path, own=None)
    backlog.writers()
    assert backlog.read(dead.writer, after=0, limit=3) is not None
    assert not backlog.release(dead.writer, upto=3)
    after = 3
    while run := backlog.read(dead.writer, after=after, limit=100):
        after = run.last
    assert after == 20
    assert backlog.release(dead.writer, upto=20)
    assert list(tmp_path.iterdir()) == []
    assert backlog.writers() == []
    assert not backlog.release(dead.writer, upto=20)


async def test_a_living_log_keeps_the_segment_it_writes_to(tmp_path: Path) -> None:
    own = await _log(tmp_path, *[b"x" * 50] * 19, segment_bytes=200)
    backlog = SpoolBacklog(tmp_path, own=own.writer)
    after = 0
    while run := backlog.read(own.writer, after=after, limit=100):
        after = run.last
    assert not backlog.release(own.writer, upto=after)
    assert [path.name for path in (tmp_path / own.writer).iterdir()] == [name_of(19)]
    own.append(b"more")
    await own.flushed()
    run = backlog.read(own.writer, after=after, limit=100)
    assert run is not None
    assert run.bodies == (b"more",)
    own.close()


async def test_a_log_in_an_unknown_format_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dead = await _log(tmp_path, b"from the future")
    dead.close()
    path = tmp_path / dead.writer / name_of(1)
    data = bytearray(path.read_bytes())
    data[8] = 9
    path.write_bytes(data)
    backlog = SpoolBacklog(tmp_path, own=None)
    assert backlog.writers() == [dead.writer]
    assert backlog.read(dead.writer, after=0, limit=1) is None
    assert "spool format 9" in "".join(capsys.readouterr())
    assert not backlog.release(dead.writer, upto=0)
    assert backlog.writers() == []
    assert path.read_bytes() == data
    assert list(UnshippedSpool(tmp_path).read(dead.writer, after=0)) == []


def test_an_empty_directory_of_a_process_that_died_while_it_started_is_cleared_away(tmp_path: Path) -> None:
    writer = str(uuid4())
    (tmp_path / writer).mkdir()
    backlog = SpoolBacklog(tmp_path, own=None)
    assert backlog.writers() == [writer]
    assert backlog.read(writer, after=0, limit=1) is None
    assert backlog.release(writer, upto=0)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_log_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "quarantine").mkdir()
    (tmp_path / "note.txt").write_text("mine")
    assert SpoolBacklog(tmp_path, own=None).writers() == []
    assert SpoolBacklog(tmp_path / "missing", own=None).writers() == []


def test_a_record_is_put_aside_readable_by_its_owner_alone(tmp_path: Path) -> None:
    backlog = SpoolBacklog(tmp_path, own=None)
    writer, body = str(uuid4()), b"\xff poison"
    name = backlog.quarantine(writer, 7, body)
    assert name == f"quarantine/{writer}-7.json"
    assert (tmp_path / name).read_bytes() == body
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert backlog.quarantine(writer, 7, body) == name


async def test_a_lock_is_not_given_for_a_directory_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lock(tmp_path / "missing") is None
    directory = tmp_path / "log"
    directory.mkdir()
    held = lock(directory)
    assert held is not None
    assert lock(directory) is None
    os.close(held)
    # Removed and made again between opening and locking: the lock would be on the old one.
    stat = os.stat

    def replaced(path: Path) -> os.stat_result:
        directory.rmdir()
        (tmp_path / "taken").mkdir()
        (tmp_path / "taken").rename(directory)
        return stat(path)

    monkeypatch.setattr(os, "stat", replaced)
    assert lock(directory) is None


async def test_reading_beside_the_writer_needs_no_lock_and_remembers_its_place(tmp_path: Path) -> None:
    living = await _log(tmp_path, *[b"a%d" % number for number in range(5)], segment_bytes=100)
    dead = await _log(tmp_path, b"b1")
    dead.close()
    unshipped = UnshippedSpool(tmp_path)
    assert set(unshipped.writers()) == {living.writer, dead.writer}

    def numbers(after: int) -> list[int]:
        runs = unshipped.read(living.writer, after=after)
        return [number for run in runs for number in range(run.first, run.last + 1)]

    assert numbers(2) == [3, 4, 5]
    (only,) = unshipped.read(dead.writer, after=0)
    head = link(beginning(dead.writer), 1, b"b1")
    assert (only.writer, only.first, only.bodies, only.heads) == (dead.writer, 1, (b"b1",), (head,))
    living.append(b"a5")
    await living.flushed()
    assert [run.bodies for run in unshipped.read(living.writer, after=5)] == [(b"a5",)]
    assert numbers(0) == [1, 2, 3, 4, 5, 6]
    assert list(unshipped.read(str(uuid4()), after=0)) == []
    living.close()


async def test_the_size_is_that_of_all_logs(tmp_path: Path) -> None:
    own, living, dead = (SpoolWriter.open(tmp_path) for _ in range(3))
    for writer in (own, living, dead):
        writer.append(b"x" * 100)
        await writer.flushed()
    dead.close()
    (tmp_path / "note.txt").write_text("mine")
    backlog = SpoolBacklog(tmp_path, own=own.writer)
    own_size, living_size, dead_size = (
        sum(file.stat().st_size for file in (tmp_path / one.writer).iterdir()) for one in (own, living, dead)
    )
    assert backlog.size() == own_size + living_size + dead_size
    backlog.writers()
    backlog.release(dead.writer, upto=1)
    assert backlog.size() == own_size + living_size
    backlog.close()
    living.close()
    own.close()


async def test_what_is_being_written_is_not_shipped_for_it_may_be_cut_off_again(tmp_path: Path) -> None:
    own = await _log(tmp_path, b"one", b"two", b"three")
    reached = Recent(at_most=0)
    backlog = SpoolBacklog(tmp_path, own=own.writer, recent=reached)
    for last, bodies in ((1, (b"one",)), (2, (b"one", b"two")), (3, (b"one", b"two", b"three"))):
        reached.last = last
        run = backlog.read(own.writer, after=0, limit=9)
        assert run is not None
        assert run.bodies == bodies
        assert len(run.heads) == len(run.personal) == len(bodies)
        assert backlog.read(own.writer, after=last, limit=9) is None
    own.close()


async def test_a_run_that_begins_behind_what_is_written_waits(tmp_path: Path) -> None:
    own = await _log(tmp_path, b"one", b"two", b"three", segment_bytes=1)
    (tmp_path / own.writer / name_of(1)).unlink()
    reached = Recent(at_most=0)
    reached.last = 1
    backlog = SpoolBacklog(tmp_path, own=own.writer, recent=reached)
    assert backlog.read(own.writer, after=0, limit=9) is None
    reached.last = 2
    run = backlog.read(own.writer, after=0, limit=9)
    assert run is not None
    assert (run.bodies, run.lost) == ((b"two",), 1)
    own.close()


async def test_both_ways_to_a_record_give_the_same_run(tmp_path: Path) -> None:
    own = SpoolWriter.open(tmp_path)
    for number in range(9):
        own.append(b"%d" % number, b"sealed" * (number % 2))
        if number % 3 == 0:
            await own.flushed()
    await own.flushed()
    remembered = SpoolBacklog(tmp_path, own=own.writer, recent=own.recent)
    for after, limit in ((0, 99), (1, 4), (8, 3)):
        run = SpoolBacklog(tmp_path, own=own.writer).read(own.writer, after=after, limit=limit)
        assert remembered.read(own.writer, after=after, limit=limit) == run
        assert run is not None
    own.close()


RACER = """
    import sys
    from pathlib import Path
    from gateway.stores.spool import SpoolBacklog

    backlog = SpoolBacklog(Path(sys.argv[1]), own=None)
    print("ready", flush=True)
    sys.stdin.readline()
    print(*backlog.writers(), flush=True)
    sys.stdin.readline()
"""


async def test_of_processes_that_race_for_dead_logs_each_log_goes_to_one(tmp_path: Path) -> None:
    dead = [await _log(tmp_path, b"left over") for _ in range(20)]
    for writer in dead:
        writer.close()
    racers = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", textwrap.dedent(RACER), str(tmp_path), stdin=PIPE, stdout=PIPE
        )
        for _ in range(3)
    ]
    taken: list[str] = []
    for racer in racers:
        assert racer.stdout is not None
        assert await racer.stdout.readline() == b"ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write(b"go\n")
    for racer in racers:
        assert racer.stdout is not None
        taken += (await racer.stdout.readline()).decode().split()
    assert sorted(taken) == sorted(writer.writer for writer in dead)
    assert SpoolBacklog(tmp_path, own=None).writers() == []
    for racer in racers:
        racer.kill()
        await racer.wait()
    # With their processes gone, all are free again.
    backlog = SpoolBacklog(tmp_path, own=None)
    assert len(backlog.writers()) == len(dead)
    backlog.close()


async def test_what_is_in_the_way_of_one_log_does_not_keep_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spool, elsewhere = tmp_path / "spool", tmp_path / "elsewhere"
    own = await _log(spool, b"ours")
    dead = await _log(spool, b"left over")
    dead.close()
    elsewhere.mkdir()
    (elsewhere / "precious").touch()
    file, link = spool / str(uuid4()), spool / str(uuid4())
    file.write_text("no log")
    link.symlink_to(elsewhere)
    backlog = SpoolBacklog(spool, own=own.writer)
    for _ in range(2):
        assert backlog.writers() == [own.writer, dead.writer]
        assert backlog.size() > 0
    said = capsys.readouterr().out
    assert said.count("audit.spool_unreadable") == 2
    assert file.name in said
    assert (elsewhere / "precious").exists()
    unshipped = UnshippedSpool(spool)
    assert [run.bodies for writer in unshipped.writers() for run in unshipped.read(writer, after=0)] != []
    backlog.close()
    own.close()


async def test_thousands_of_logs_do_not_take_all_descriptors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.stores.spool.backlog._TAKEN_OVER", 3)
    for _ in range(8):
        (await _log(tmp_path, b"left over")).close()
    own = await _log(tmp_path, b"ours")
    backlog = SpoolBacklog(tmp_path, own=own.writer)
    seen: set[str] = set()
    while len(writers := [writer for writer in backlog.writers() if writer != own.writer]) == 3:
        assert seen.isdisjoint(writers)
        seen.update(writers)
        for writer in writers:
            assert backlog.release(writer, upto=1)
    assert len(seen.union(writers)) == 8
    backlog.close()
    own.close()


@pytest.mark.parametrize("dead", [False, True])
async def test_a_version_that_was_changed_on_the_disk_stops_nobody(tmp_path: Path, dead: bool) -> None:
    log = await _log(tmp_path, b"one")
    if dead:
        log.close()
    segment = tmp_path / log.writer / name_of(1)
    data = bytearray(segment.read_bytes())
    data[8] = 99
    segment.write_bytes(data)
    backlog = SpoolBacklog(tmp_path, own=None if dead else log.writer, recent=None if dead else log.recent)
    assert backlog.writers() == [log.writer]
    assert backlog.release(log.writer, upto=0) is False
    run = backlog.read(log.writer, after=0, limit=9)
    # A living writer's own log is in the form in which it writes.
    assert (run is None) == dead
    assert backlog.release(log.writer, upto=1) is False
    assert segment.exists()
    backlog.close()
    log.close()


async def test_a_damaged_header_does_not_keep_what_is_shipped_on_the_disk(tmp_path: Path) -> None:
    own = await _log(tmp_path, *[b"x" * 50] * 20, segment_bytes=1000)
    segments = sorted((tmp_path / own.writer).iterdir())
    data = bytearray(segments[0].read_bytes())
    data[20] ^= 1
    segments[0].write_bytes(data)
    backlog = SpoolBacklog(tmp_path, own=own.writer)
    backlog.writers()
    backlog.release(own.writer, upto=20)
    assert sorted((tmp_path / own.writer).iterdir()) == segments[-1:]
    backlog.close()
    own.close()


async def test_a_log_goes_from_its_beginning_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = await _log(tmp_path, b"x")
    dead.close()
    others = [tmp_path / dead.writer / f"{number}.left" for number in range(5)]
    for path in others:
        path.touch()
    gone: list[str] = []
    unlink = Path.unlink

    def watched(path: Path, *, missing_ok: bool = False) -> None:
        gone.append(path.name)
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", watched)
    backlog = SpoolBacklog(tmp_path, own=None)
    backlog.writers()
    assert backlog.release(dead.writer, upto=1)
    assert gone == sorted(gone)
    assert len(gone) == 6


async def test_what_root_writes_belongs_to_whom_the_spool_belongs(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    owner = (12345, 12346) if os.geteuid() == 0 else (os.getuid(), os.getgid())
    os.chown(spool, *owner)
    log = await _log(spool, *[b"x" * 50] * 20, segment_bytes=500)
    paths = [spool / log.writer, *(spool / log.writer).iterdir()]
    assert len(paths) > 2
    assert {(path.stat().st_uid, path.stat().st_gid) for path in paths} == {owner}
    log.close()
