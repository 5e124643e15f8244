"""Who ships whose log, and what is left of it afterwards."""

import os
from pathlib import Path
from uuid import uuid4

import pytest

from gateway.ports import StoredRecord
from gateway.stores.spool import SpoolBacklog, SpoolWriter, UnshippedSpool
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
    own = await _log(tmp_path, *[b"x" * 50] * 20, segment_bytes=200)
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
    record = StoredRecord(writer=str(uuid4()), seq=7, body=b"\xff poison")
    name = backlog.quarantine(record)
    assert name == f"quarantine/{record.writer}-7.json"
    assert (tmp_path / name).read_bytes() == record.body
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert backlog.quarantine(record) == name


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
    assert [record.seq for record in unshipped.read(living.writer, after=2)] == [3, 4, 5]
    assert list(unshipped.read(dead.writer, after=0)) == [StoredRecord(writer=dead.writer, seq=1, body=b"b1")]
    living.append(b"a5")
    await living.flushed()
    assert [record.body for record in unshipped.read(living.writer, after=5)] == [b"a5"]
    assert [record.seq for record in unshipped.read(living.writer, after=0)] == [1, 2, 3, 4, 5, 6]
    assert list(unshipped.read(str(uuid4()), after=0)) == []
    living.close()


async def test_the_size_is_that_of_the_logs_this_process_ships(tmp_path: Path) -> None:
    own, living, dead = (SpoolWriter.open(tmp_path) for _ in range(3))
    for writer in (own, living, dead):
        writer.append(b"x" * 100)
        await writer.flushed()
    dead.close()
    backlog = SpoolBacklog(tmp_path, own=own.writer)
    size = [sum(file.stat().st_size for file in (tmp_path / one.writer).iterdir()) for one in (own, dead)]
    assert backlog.size() == size[0]
    backlog.writers()
    assert backlog.size() == sum(size)
    backlog.release(dead.writer, upto=1)
    assert backlog.size() == size[0]
    backlog.close()
    living.close()
    own.close()
