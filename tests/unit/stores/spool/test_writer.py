"""Writing: what is durable when, and what happens when the disk says no."""

import asyncio
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.ports import AuditUnavailable, Durability, Run
from gateway.stores.spool import SpoolBacklog, SpoolWriter
from gateway.stores.spool.log import Log
from gateway.stores.spool.segment import MAX_BODY

WAITING = [Durability.PROCESS, Durability.POWER]


@pytest.fixture(params=WAITING)
def spool(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SpoolWriter]:
    writer = SpoolWriter.open(tmp_path, durability=request.param, segment_bytes=4096)
    yield writer
    writer.close()


def _available(spool: SpoolWriter) -> bool:
    # A property that changes by itself.
    return spool.available


def _on_disk(root: Path, spool: SpoolWriter) -> list[bytes]:
    log, bodies, after = Log(root / spool.writer, dead=True), list[bytes](), 0
    while run := log.read(after=after, limit=100):
        assert run.lost == 0
        bodies += run.bodies
        after = run.last
    return bodies


async def test_a_record_is_on_the_disk_once_the_flush_is_done(spool: SpoolWriter, tmp_path: Path) -> None:
    assert spool.append(b"one") == 1
    assert _on_disk(tmp_path, spool) == []
    await spool.flushed()
    assert _on_disk(tmp_path, spool) == [b"one"]


async def test_records_of_one_turn_share_one_write_and_one_future(
    spool: SpoolWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[int] = []
    write = os.write

    def counted(descriptor: int, data: bytes) -> int:
        writes.append(len(data))
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", counted)
    spool.append(b"one")
    first = spool.flushed()
    spool.append(b"two")
    assert spool.flushed() is first
    await first
    assert len(writes) == 1


async def test_records_that_nobody_waits_for_are_written_too(tmp_path: Path) -> None:
    spool = SpoolWriter.open(tmp_path)
    spool.append(b"one")
    await asyncio.sleep(0)
    assert _on_disk(tmp_path, spool) == [b"one"]
    await spool.flushed()
    spool.close()


async def test_nothing_to_flush_is_flushed(spool: SpoolWriter) -> None:
    await spool.flushed()
    spool.append(b"one")
    await spool.flushed()
    await spool.flushed()


async def test_with_power_whoever_asks_while_a_sync_runs_waits_for_it(tmp_path: Path) -> None:
    spool = SpoolWriter.open(tmp_path, durability=Durability.POWER)
    spool.append(b"one")
    spool.write_now()
    assert spool._syncing is not None
    await spool.flushed()
    assert spool._acknowledged == 1
    spool.append(b"two")
    spool.write_now()
    spool.append(b"three")
    await spool.flushed()
    assert spool._acknowledged == 3
    spool.close()


async def test_a_client_that_leaves_takes_nobody_with_it(spool: SpoolWriter, tmp_path: Path) -> None:
    async def record(body: bytes) -> str:
        spool.append(body)
        await spool.flushed()
        return "durable"

    async with asyncio.TaskGroup() as group:
        leaving = group.create_task(record(b"leaving"))
        staying = group.create_task(record(b"staying"))
        await asyncio.sleep(0)
        leaving.cancel()
        assert await staying == "durable"
        await asyncio.wait([leaving])
    assert leaving.cancelled()
    assert _on_disk(tmp_path, spool) == [b"leaving", b"staying"]


async def test_writing_now_does_not_wait_for_the_turn_to_end(tmp_path: Path) -> None:
    spool = SpoolWriter.open(tmp_path)
    spool.append(b"one")
    spool.write_now()
    assert _on_disk(tmp_path, spool) == [b"one"]
    await asyncio.sleep(0)
    assert _on_disk(tmp_path, spool) == [b"one"]
    spool.close()


async def test_segments_follow_each_other_and_numbers_go_on(spool: SpoolWriter, tmp_path: Path) -> None:
    bodies = [b"%d" % number * 300 for number in range(40)]
    for body in bodies:
        spool.append(body)
        await spool.flushed()
    assert len(list((tmp_path / spool.writer).iterdir())) > 3
    assert _on_disk(tmp_path, spool) == bodies
    assert spool.last == len(bodies)


async def test_closing_writes_what_is_left_and_lets_go(spool: SpoolWriter, tmp_path: Path) -> None:
    spool.append(b"one")
    waiting = spool.flushed()
    spool.close()
    spool.close()
    await waiting
    assert _on_disk(tmp_path, spool) == [b"one"]
    assert not _available(spool)
    with pytest.raises(AuditUnavailable, match="closed"):
        spool.append(b"two")
    assert SpoolBacklog(tmp_path, own=None).writers() == [spool.writer]


def test_a_log_without_records_leaves_nothing_behind(tmp_path: Path) -> None:
    SpoolWriter.open(tmp_path).close()
    assert list(tmp_path.iterdir()) == []


async def test_files_are_for_their_owner_alone(spool: SpoolWriter, tmp_path: Path) -> None:
    directory = tmp_path / spool.writer
    assert directory.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in directory.iterdir())


async def test_a_record_beyond_all_bounds_is_a_bug_and_harms_nobody(
    spool: SpoolWriter, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="longer than"):
        spool.append(bytes(MAX_BODY + 1))
    assert spool.append(bytes(MAX_BODY)) == 1
    await spool.flushed()
    assert _on_disk(tmp_path, spool) == [bytes(MAX_BODY)]


def test_a_directory_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file")
    with pytest.raises(AuditUnavailable, match=r"cannot open the audit spool .*: File exists"):
        SpoolWriter.open(tmp_path / "spool")


class Disk:
    """A disk that takes no more than so many bytes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room: int | None = None
        self._write = os.write
        monkeypatch.setattr(os, "write", self.write)

    def write(self, descriptor: int, data: bytes) -> int:
        if self.room is None:
            return self._write(descriptor, data)
        if self.room == 0:
            raise OSError(28, "No space left on device")
        written = self._write(descriptor, data[: self.room])
        self.room -= written
        return written


@pytest.mark.parametrize("room", [0, 1, 15, 16, 17, 60, 115, 116, 117, 200])
async def test_a_full_disk_fails_everybody_who_waits_and_leaves_no_torn_frame(
    spool: SpoolWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    disk = Disk(monkeypatch)
    spool.append(b"before")
    await spool.flushed()
    disk.room = room
    for number in range(3):
        spool.append(b"%d" % number * 100)
    with pytest.raises(AuditUnavailable, match="No space left"):
        await spool.flushed()
    assert not _available(spool)
    with pytest.raises(AuditUnavailable, match="No space left"):
        spool.append(b"refused at once")
    with pytest.raises(AuditUnavailable):
        spool.write_now()
    with pytest.raises(AuditUnavailable):
        await spool.flushed()
    assert spool.dropped == 3
    assert _on_disk(tmp_path, spool) == [b"before"]
    # Still no room: the probe says so, and nothing is left of it.
    spool._probe_at = 0.0
    disk.room = 100
    assert not _available(spool)
    assert len(list((tmp_path / spool.writer).iterdir())) == 1
    # Room again: the numbers that were given out are not given out again, and nothing counts as lost.
    disk.room = None
    assert not _available(spool)
    spool._probe_at = 0.0
    assert _available(spool)
    assert spool.append(b"after") == 5
    await spool.flushed()
    log = Log(tmp_path / spool.writer, dead=False)
    writer = spool.writer
    assert log.read(after=0, limit=9) == Run(writer=writer, first=1, bodies=(b"before",))
    assert log.read(after=1, limit=9) == Run(writer=writer, first=5, bodies=(b"after",))


async def test_frames_that_cannot_be_cut_off_stay_at_the_end_of_a_segment(
    spool: SpoolWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    spool.append(b"before")
    await spool.flushed()
    disk.room = 50

    def stuck(descriptor: int, size: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "ftruncate", stuck)
        spool.append(b"y" * 20)
        spool.append(b"z" * 200)
        with pytest.raises(AuditUnavailable):
            await spool.flushed()
    disk.room, spool._probe_at = None, 0.0
    assert _available(spool)
    assert spool.append(b"after") == 4
    await spool.flushed()
    # Record 2 was written whole before the disk was full. Nobody was told, so it does no harm.
    assert _on_disk(tmp_path, spool) == [b"before", b"y" * 20, b"after"]


async def test_a_segment_that_cannot_be_made_does_not_end_the_one_at_hand(
    spool: SpoolWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = os.open

    def no_more_files(path: Any, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            raise OSError(24, "Too many open files")
        return original(path, flags, mode)

    monkeypatch.setattr(os, "open", no_more_files)
    bodies = [b"%d" % number * 1000 for number in range(9)]
    for body in bodies:
        spool.append(body)
        await spool.flushed()
    monkeypatch.undo()
    assert len(list((tmp_path / spool.writer).iterdir())) == 1
    assert _on_disk(tmp_path, spool) == bodies


async def test_a_sync_that_fails_is_never_tried_again_on_that_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = SpoolWriter.open(tmp_path, durability=Durability.POWER)
    spool.append(b"one")
    await spool.flushed()
    synced: list[str] = []
    broken = True

    def fdatasync(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        if broken:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    spool.append(b"two")
    with pytest.raises(AuditUnavailable, match="cannot sync the audit spool: Input/output error"):
        await spool.flushed()
    assert not _available(spool)
    spool._probe_at = 0.0
    assert not _available(spool), "the probe syncs too"
    broken = False
    spool._probe_at = 0.0
    assert _available(spool)
    spool.append(b"three")
    await spool.flushed()
    failed, *others = synced
    assert failed not in others
    # The second record is in the file all the same; had it been lost, nobody had been told of it.
    assert _on_disk(tmp_path, spool) == [b"one", b"two", b"three"]
    spool.close()


async def test_a_sync_that_fails_also_fails_what_was_taken_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = SpoolWriter.open(tmp_path, durability=Durability.POWER)

    def fdatasync(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fdatasync)

    async def record(body: bytes) -> None:
        spool.append(body)
        await spool.flushed()

    waiting = [record(b"one"), record(b"two")]
    spool.append(b"zero")
    spool.write_now()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, AuditUnavailable) for result in results)
    monkeypatch.undo()
    spool._probe_at = 0.0
    assert _available(spool)
    spool.close()


def test_the_limit_on_the_size_of_files_is_met_without_a_real_disk_that_is_full(tmp_path: Path) -> None:
    """The kernel cuts the write short at the limit, as it does on a full disk, and then refuses."""
    script = """
        import asyncio, resource, sys
        from pathlib import Path
        from gateway.ports import AuditUnavailable
        from gateway.stores.spool import SpoolWriter

        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

        async def main():
            spool = SpoolWriter.open(Path(sys.argv[1]))
            acknowledged, refused = [], 0
            for number in range(1000):
                try:
                    seq = spool.append(b"x" * 999)
                    await spool.flushed()
                    acknowledged.append(seq)
                except AuditUnavailable as error:
                    refused += 1
                    assert "File too large" in str(error) or "No space left" in str(error), error
                    spool._probe_at = 0.0
            print(len(acknowledged), refused, acknowledged[-1])

        asyncio.run(main())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    acknowledged, refused, last = map(int, done.stdout.split()[-3:])
    assert refused >= 4
    assert acknowledged + refused == 1000
    assert last == 1000
    backlog = SpoolBacklog(tmp_path, own=None)
    (writer,) = backlog.writers()
    found, after = 0, 0
    while run := backlog.read(writer, after=after, limit=100):
        assert run.lost == 0
        found += len(run.bodies)
        after = run.last
    assert found == acknowledged
    backlog.close()


async def test_a_spool_that_somebody_removed_takes_nothing_more(spool: SpoolWriter, tmp_path: Path) -> None:
    spool.append(b"one")
    await spool.flushed()
    shutil.rmtree(tmp_path / spool.writer)
    spool.append(b"two")
    with pytest.raises(AuditUnavailable):
        await spool.flushed()
    assert not _available(spool)
