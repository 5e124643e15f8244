"""Shipping: everything, once, in order, whatever fails."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.audit import Auditor, Deliverer, deliver, encode
from gateway.model import Event
from gateway.ports import AuditUnavailable, RecordRefused, Run, StoreUnavailable, SystemClock
from gateway.stores.spool import SpoolBacklog, SpoolWriter


class Memory:
    """A sink that can be down, can lose an answer, and refuses poison."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, int], bytes] = {}
        self.cursors: dict[str, int] = {}
        self.down = False
        self.lose_answer = False
        self.calls = 0

    async def cursor(self, writer: str) -> int:
        self._check()
        return self.cursors.get(writer, 0)

    async def ship(self, run: Run) -> None:
        self.calls += 1
        self._check()
        if b"poison" in b"".join(run.bodies):
            raise RecordRefused("it cannot be stored")
        for seq, body in enumerate(run.bodies, run.first):
            assert self.records.setdefault((run.writer, seq), body) == body
        self.cursors[run.writer] = max(run.last, self.cursors.get(run.writer, 0))
        if self.lose_answer:
            self.lose_answer = False
            raise StoreUnavailable("the answer was lost")

    async def skip(self, writer: str, *, upto: int) -> None:
        self._check()
        self.cursors[writer] = max(upto, self.cursors.get(writer, 0))

    def _check(self) -> None:
        if self.down:
            raise StoreUnavailable("the sink is down")

    def of(self, writer: str) -> list[bytes]:
        return [body for (owner, _), body in sorted(self.records.items()) if owner == writer]


@pytest.fixture
def sink() -> Memory:
    return Memory()


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[SpoolWriter]:
    writer = SpoolWriter.open(tmp_path, segment_bytes=4096)
    yield writer
    writer.close()


@pytest.fixture
def deliverer(spool: SpoolWriter, sink: Memory, tmp_path: Path) -> Deliverer:
    return Deliverer(SpoolBacklog(tmp_path, own=spool.writer), sink, Auditor(spool, SystemClock()))


async def _fill(spool: SpoolWriter, count: int, start: int = 0) -> list[bytes]:
    bodies = [encode({"n": number}) for number in range(start, start + count)]
    for body in bodies:
        spool.append(body)
    await spool.flushed()
    return bodies


@asynccontextmanager
async def _running(deliverer: Deliverer) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(deliverer.run())
        yield
        task.cancel()


async def _until(condition: Callable[[], object], *, within: float = 5.0) -> None:
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.005)


async def test_records_arrive_within_a_second_in_order_and_once(
    deliverer: Deliverer, spool: SpoolWriter, sink: Memory
) -> None:
    async with _running(deliverer):
        bodies = []
        for start in range(0, 100, 10):
            bodies += await _fill(spool, 10, start)
            await asyncio.sleep(0.02)
        await _until(lambda: len(sink.records) == 100, within=1.0)
    assert sink.of(spool.writer) == bodies
    assert deliverer.shipped == 100


async def test_logs_of_dead_processes_are_shipped_and_cleared_away(
    deliverer: Deliverer, spool: SpoolWriter, sink: Memory, tmp_path: Path
) -> None:
    dead = []
    for _ in range(3):
        other = SpoolWriter.open(tmp_path, segment_bytes=512)
        await _fill(other, 50)
        other.close()
        dead.append(other.writer)
    await _fill(spool, 5)
    await deliverer.drain()
    assert [len(sink.of(writer)) for writer in (*dead, spool.writer)] == [50, 50, 50, 5]
    assert [path.name for path in tmp_path.iterdir()] == [spool.writer]


async def test_a_dead_log_that_was_shipped_already_is_only_cleared_away(
    deliverer: Deliverer, sink: Memory, tmp_path: Path
) -> None:
    other = SpoolWriter.open(tmp_path)
    await _fill(other, 50)
    other.close()
    sink.cursors[other.writer] = 50
    await deliverer.drain()
    assert not (tmp_path / other.writer).exists()
    assert sink.records == {}


async def test_a_sink_that_is_down_is_tried_again_and_nothing_is_lost(
    deliverer: Deliverer, spool: SpoolWriter, sink: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver, "_EVERY", 0.01)
    sink.down = True
    bodies = await _fill(spool, 20)
    async with _running(deliverer):
        await _until(lambda: deliverer.failing is not None)
        assert str(deliverer.failing) == "the sink is down"
        bodies += await _fill(spool, 20, 20)
        sink.down = False
        await _until(lambda: len(sink.records) == 40)
        await _until(lambda: deliverer.failing is None)
    assert sink.of(spool.writer) == bodies


async def test_what_was_stored_without_our_knowing_is_sent_twice_and_stored_once(
    deliverer: Deliverer, spool: SpoolWriter, sink: Memory
) -> None:
    bodies = await _fill(spool, 20)
    sink.lose_answer = True
    with pytest.raises(StoreUnavailable):
        await deliverer.drain()
    await deliverer.drain()
    assert sink.calls == 2
    assert sink.of(spool.writer) == bodies


async def test_shipping_that_is_cancelled_goes_on_where_it_was(
    deliverer: Deliverer, spool: SpoolWriter, sink: Memory
) -> None:
    bodies = await _fill(spool, 5000)
    async with _running(deliverer):
        await _until(lambda: sink.records)
    await deliverer.drain()
    assert sink.of(spool.writer) == bodies


async def test_poison_is_put_aside_and_the_rest_goes_on(
    deliverer: Deliverer, spool: SpoolWriter, sink: Memory, tmp_path: Path
) -> None:
    good = await _fill(spool, 37)
    poison = spool.append(b'{"poison": 1}')
    good += await _fill(spool, 100, 37)
    second = spool.append(b'{"poison": 2}')
    await spool.flushed()
    await deliverer.drain()
    await deliverer.drain()
    stored = sink.of(spool.writer)
    assert stored[: len(good)] == good
    gaps = stored[len(good) :]
    assert len(gaps) == 2
    assert all(b'"action":"audit.gap"' in gap and spool.writer.encode() in gap for gap in gaps)
    assert b"it cannot be stored" in gaps[0]
    aside = {path.name: path.read_bytes() for path in (tmp_path / "quarantine").iterdir()}
    assert aside == {
        f"{spool.writer}-{poison}.json": b'{"poison": 1}',
        f"{spool.writer}-{second}.json": b'{"poison": 2}',
    }


async def test_a_sink_that_refuses_everything_is_not_told_so_for_ever(
    deliverer: Deliverer, spool: SpoolWriter, sink: Memory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def refuse(run: Run) -> None:
        raise RecordRefused("no")

    monkeypatch.setattr(sink, "ship", refuse)
    await _fill(spool, 3)
    for _ in range(5):
        await deliverer.drain()
    assert len(list((tmp_path / "quarantine").iterdir())) == 6
    assert spool.last == 6


async def test_poison_at_the_end_of_a_dead_log_does_not_keep_it(
    deliverer: Deliverer, tmp_path: Path, sink: Memory
) -> None:
    other = SpoolWriter.open(tmp_path)
    other.append(b"poison")
    await other.flushed()
    other.close()
    await deliverer.drain()
    assert not (tmp_path / other.writer).exists()
    assert sink.cursors[other.writer] == 1


async def test_records_that_the_disk_lost_are_a_gap_in_the_trail(
    deliverer: Deliverer, spool: SpoolWriter, sink: Memory, tmp_path: Path
) -> None:
    other = SpoolWriter.open(tmp_path)
    await _fill(other, 10)
    other.close()
    (path,) = (tmp_path / other.writer).iterdir()
    data = bytearray(path.read_bytes())
    data[-len(data) // 2] ^= 1
    path.write_bytes(data)
    await deliverer.drain()
    await deliverer.drain()
    assert len(sink.of(other.writer)) == 9
    (gap,) = sink.of(spool.writer)
    assert b'"action":"audit.gap"' in gap
    assert b'"count":1' in gap


async def test_a_gap_that_cannot_be_recorded_does_not_stop_shipping(
    spool: SpoolWriter, sink: Memory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Full:
        async def event(self, event: Event) -> None:
            raise AuditUnavailable("full")

    deliverer = Deliverer(SpoolBacklog(tmp_path, own=spool.writer), sink, Full())
    spool.append(b"poison")
    bodies = await _fill(spool, 3)
    await deliverer.drain()
    assert sink.of(spool.writer) == bodies
    assert "audit.gap" in "".join(capsys.readouterr())


async def test_a_log_that_the_disk_does_not_give_back_holds_up_nobody(
    spool: SpoolWriter, sink: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = SpoolWriter.open(tmp_path)
    await _fill(other, 3)
    other.close()
    backlog = SpoolBacklog(tmp_path, own=None)
    good = SpoolWriter.open(tmp_path)
    await _fill(good, 3)
    good.close()
    read = backlog.read

    def broken(writer: str, *, after: int, limit: int) -> Run | None:
        if writer == other.writer:
            raise OSError(5, "Input/output error")
        return read(writer, after=after, limit=limit)

    monkeypatch.setattr(backlog, "read", broken)
    with pytest.raises(OSError, match="Input/output"):
        await Deliverer(backlog, sink, Auditor(spool, SystemClock())).drain()
    assert len(sink.of(good.writer)) == 3
    backlog.close()


async def test_how_far_shipping_is_behind_grows_while_the_sink_is_down(
    deliverer: Deliverer, spool: SpoolWriter, sink: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver, "_EVERY", 0.01)
    await _fill(spool, 10)
    await deliverer.drain()
    assert (deliverer.shipped_upto(spool.writer), deliverer.shipped_upto("of nobody")) == (10, 0)
    before = deliverer.lag
    sink.down = True
    await _fill(spool, 5)
    async with _running(deliverer):
        await _until(lambda: deliverer.failing)
        assert deliverer.lag > before
        assert deliverer.shipped_upto(spool.writer) == 10
        assert deliverer.spool_bytes > 0
        grown = deliverer.lag
        sink.down = False
        await _until(lambda: deliverer.failing is None and sink.cursors[spool.writer] == 15)
        await _until(lambda: deliverer.lag < grown)
    assert deliverer.shipped_upto(spool.writer) == 15


async def test_records_that_are_missing_are_counted(
    deliverer: Deliverer, spool: SpoolWriter, tmp_path: Path
) -> None:
    other = SpoolWriter.open(tmp_path)
    await _fill(other, 10)
    other.close()
    (path,) = (tmp_path / other.writer).iterdir()
    data = bytearray(path.read_bytes())
    data[-len(data) // 2] ^= 1
    path.write_bytes(data)
    spool.append(b"poison")
    await spool.flushed()
    await deliverer.drain()
    assert deliverer.lost == 2
