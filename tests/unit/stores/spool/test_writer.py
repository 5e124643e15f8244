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

from gateway.crypto import beginning, link
from gateway.ports import AuditUnavailable, Damage, Durability
from gateway.stores.spool import ExaminedSpool, SpoolBacklog, SpoolWriter
from gateway.stores.spool.form import MAX_BODY
from gateway.stores.spool.frame import PREFIX_SIZE
from gateway.stores.spool.log import Log
from gateway.stores.spool.segment import HEADER_SIZE, name_of

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
    head = beginning(spool.writer)
    while run := log.read(after=after, limit=100):
        assert run.lost == 0
        assert run.before == head
        for number, (body, written) in enumerate(zip(run.bodies, run.heads, strict=True), run.first):
            head = link(head, number, body)
            assert written == head
        bodies += run.bodies
        after = run.last
    return bodies


def _damage(root: Path, spool: SpoolWriter) -> list[Damage]:
    return [found for found in ExaminedSpool(root).examine(spool.writer) if isinstance(found, Damage)]


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


@pytest.mark.parametrize("room", [0, 1, PREFIX_SIZE - 1, PREFIX_SIZE, 60, 155, 156, 157, 300])
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
    disk.room = HEADER_SIZE + 50
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
    first, second = log.read(after=0, limit=9), log.read(after=1, limit=9)
    assert first is not None
    assert second is not None
    assert (first.first, first.bodies) == (1, (b"before",))
    assert (second.first, second.bodies, second.lost) == (5, (b"after",), 0)
    assert second.before == first.heads[-1], "what could not be written leaves no trace in the chain"
    assert second.heads == (link(second.before, 5, b"after"),)
    assert not _damage(tmp_path, spool)


async def test_nothing_is_written_behind_frames_that_cannot_be_cut_off(
    spool: SpoolWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    spool.append(b"before")
    await spool.flushed()
    disk.room = PREFIX_SIZE + 30

    def stuck(descriptor: int, size: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "ftruncate", stuck)
        spool.append(b"y" * 20)
        spool.append(b"z" * 200)
        with pytest.raises(AuditUnavailable):
            await spool.flushed()
        disk.room, spool._probe_at = None, 0.0
        assert not _available(spool)
        # Should the process die now, record 2 is whole. Nobody was told, so it does no harm.
        assert _on_disk(tmp_path, spool) == [b"before", b"y" * 20]
    spool._probe_at = 0.0
    assert _available(spool)
    assert spool.append(b"after") == 4
    await spool.flushed()
    assert _on_disk(tmp_path, spool) == [b"before", b"after"]
    assert not _damage(tmp_path, spool)


async def test_what_is_sealed_is_written_with_its_record(spool: SpoolWriter, tmp_path: Path) -> None:
    spool.append(b"one", b"\x00sealed")
    spool.append(b"two")
    await spool.flushed()
    run = Log(tmp_path / spool.writer, dead=True).read(after=0, limit=9)
    assert run is not None
    assert (run.bodies, run.personal) == ((b"one", b"two"), (b"\x00sealed", b""))
    # The chain covers the record alone: what is sealed can go.
    assert run.heads[0] == link(beginning(spool.writer), 1, b"one")
    with pytest.raises(ValueError, match="longer than"):
        spool.append(b"three", bytes(MAX_BODY + 1))


async def test_whoever_writes_seldom_turns_to_a_new_segment_in_time(
    spool: SpoolWriter, tmp_path: Path
) -> None:
    backlog = SpoolBacklog(tmp_path, own=spool.writer, recent=spool.recent)
    directory = tmp_path / spool.writer
    assert not spool.roll_if_older(-1), "there is nothing in it"
    spool.append(b"one", b"sealed")
    assert not spool.roll_if_older(-1), "it is not written yet"
    await spool.flushed()
    assert not spool.roll_if_older(3600)
    assert spool.roll_if_older(-1)
    assert not spool.roll_if_older(-1)
    assert sorted(path.name for path in directory.iterdir()) == [name_of(1), name_of(2)]
    assert not backlog.release(spool.writer, upto=1)
    assert [path.name for path in directory.iterdir()] == [name_of(2)]
    while spool._syncing is not None:
        await asyncio.sleep(0.001)
    open_files = [Path(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]  # noqa: PTH208 - one vanishes
    assert not [path for path in open_files if path.is_symlink() and name_of(1) in str(path.readlink())]
    spool.append(b"two")
    await spool.flushed()
    run = backlog.read(spool.writer, after=1, limit=9)
    assert run is not None
    assert run.before == link(beginning(spool.writer), 1, b"one")
    # Shipped before it turns: nobody looks again, and it goes all the same.
    assert not backlog.release(spool.writer, upto=2)
    assert [path.name for path in directory.iterdir()] == [name_of(2)]
    assert spool.roll_if_older(-1)
    assert [path.name for path in directory.iterdir()] == [name_of(3)]
    assert not _damage(tmp_path, spool)


async def test_a_log_that_takes_nothing_does_not_turn_to_a_new_segment(
    spool: SpoolWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.append(b"one")
    await spool.flushed()
    with monkeypatch.context() as patch:
        Disk(patch).room = 10
        assert not spool.roll_if_older(-1), "there is no room for another"
        spool.append(b"two")
        with pytest.raises(AuditUnavailable):
            await spool.flushed()
    assert not spool.roll_if_older(-1)
    assert [path.name for path in (tmp_path / spool.writer).iterdir()] == [name_of(1)]
    spool.close()
    assert not spool.roll_if_older(-1)


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
    assert all(not isinstance(one, Damage) for one in ExaminedSpool(tmp_path).examine(writer))
    backlog.close()


def test_the_kernel_s_own_failing_sync_is_met(tmp_path: Path) -> None:
    """The fifth `fdatasync` of the process fails in the kernel's place, as it does when a disk breaks."""
    strace = shutil.which("strace")
    if strace is None or not _may_trace(strace):
        pytest.skip("strace is not here, or may not trace")
    script = """
        import asyncio, sys
        from pathlib import Path
        from gateway.ports import AuditUnavailable, Durability
        from gateway.stores.spool import SpoolWriter

        async def main():
            spool = SpoolWriter.open(Path(sys.argv[1]), durability=Durability.POWER)
            for number in range(12):
                try:
                    seq = spool.append(b"%d" % number)
                    await spool.flushed()
                    print("durable", seq)
                except AuditUnavailable as error:
                    print("refused", number, error)
                    spool._probe_at = 0.0

        asyncio.run(main())
    """
    inject = ["-f", "-qq", "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=5"]
    done = subprocess.run(
        [strace, *inject, sys.executable, "-c", textwrap.dedent(script), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    said = [line for line in done.stdout.splitlines() if line.startswith(("durable", "refused"))]
    refused = "refused 4 cannot sync the audit spool: Input/output error"
    assert said == [refused if number == 5 else f"durable {number}" for number in range(1, 13)]
    backlog = SpoolBacklog(tmp_path, own=None)
    (writer,) = backlog.writers()
    run = backlog.read(writer, after=0, limit=99)
    assert run is not None
    assert run.bodies == tuple(b"%d" % number for number in range(12))
    assert all(not isinstance(one, Damage) for one in ExaminedSpool(tmp_path).examine(writer))
    backlog.close()


def _may_trace(strace: str) -> bool:
    tried = subprocess.run([strace, "-qq", "-e", "trace=none", "true"], capture_output=True, check=False)
    return tried.returncode == 0


async def test_a_spool_that_somebody_removed_takes_nothing_more(spool: SpoolWriter, tmp_path: Path) -> None:
    spool.append(b"one")
    await spool.flushed()
    shutil.rmtree(tmp_path / spool.writer)
    spool.append(b"two")
    with pytest.raises(AuditUnavailable):
        await spool.flushed()
    assert not _available(spool)
