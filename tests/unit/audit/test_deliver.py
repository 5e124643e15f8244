"""Shipping: everything, once, in order, whatever fails."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from support.proofs import SIGNER, SIGNERS, Hands, KeptCheckpoints

from gateway.audit import Auditor, Deliverer, Level, Notary, Pressure, deliver, encode, gaps
from gateway.audit.checkpoint import Mark, Statement
from gateway.crypto import MasterSecret, Sealer, beginning, open_note
from gateway.model import Event
from gateway.ports import (
    AuditUnavailable,
    Events,
    RecordRefused,
    Run,
    SinkAstray,
    StoreUnavailable,
    SystemClock,
)
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

    async def skip(self, run: Run) -> None:
        self._check()
        assert len(run.bodies) == 1
        self.cursors[run.writer] = max(run.last, self.cursors.get(run.writer, 0))

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
def clock() -> Hands:
    return Hands()


@pytest.fixture
def kept() -> KeptCheckpoints:
    return KeptCheckpoints()


@pytest.fixture
def pressure() -> Pressure:
    return Pressure(1 << 20)


@pytest.fixture
def events(spool: SpoolWriter, pressure: Pressure) -> Auditor:
    sealer = Sealer(MasterSecret(b"s" * 32))
    return Auditor(spool, SystemClock(), sealer=sealer, hash_key=b"h" * 32, pressure=pressure)


@pytest.fixture
def make(
    sink: Memory, kept: KeptCheckpoints, clock: Hands, pressure: Pressure
) -> Callable[[SpoolBacklog, Events], Deliverer]:
    def made(backlog: SpoolBacklog, events: Events) -> Deliverer:
        return Deliverer(backlog, sink, events, notary=Notary(kept, SIGNERS, clock), pressure=pressure)

    return made


@pytest.fixture
def deliverer(
    spool: SpoolWriter, events: Auditor, tmp_path: Path, make: Callable[[SpoolBacklog, Events], Deliverer]
) -> Deliverer:
    return make(SpoolBacklog(tmp_path, own=spool.writer), events)


def _signed(kept: KeptCheckpoints) -> dict[str, Mark]:
    """Return how far the checkpoints say that each writer is."""
    said = [Statement.parse(open_note(row.note, [SIGNER.key])) for row in kept.rows]
    return {mark.writer: mark for statement in said for mark in statement.marks}


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


@pytest.mark.parametrize("place", [-1, -5, -60])
async def test_the_last_record_of_a_dead_log_is_a_gap_and_kept_when_it_was_damaged(
    deliverer: Deliverer, spool: SpoolWriter, sink: Memory, tmp_path: Path, place: int
) -> None:
    other = SpoolWriter.open(tmp_path)
    await _fill(other, 9)
    other.append(b"x" * 100)
    await other.flushed()
    other.close()
    (path,) = (tmp_path / other.writer).iterdir()
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    await deliverer.drain()
    await deliverer.drain()
    assert len(sink.of(other.writer)) == 9
    (gap,) = sink.of(spool.writer)
    assert b'"before":11,"count":1' in gap
    assert not (tmp_path / other.writer).exists()
    (kept,) = (tmp_path / "quarantine").iterdir()
    assert kept.read_bytes() == data


async def test_a_gap_that_cannot_be_recorded_does_not_stop_shipping_and_is_recorded_later(
    spool: SpoolWriter,
    sink: Memory,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[SpoolBacklog, Events], Deliverer],
) -> None:
    class Full:
        def __init__(self) -> None:
            self.full = True
            self.taken: list[Event] = []

        async def event(self, event: Event) -> None:
            if self.full:
                raise AuditUnavailable("full")
            self.taken.append(event)

    events = Full()
    deliverer = make(SpoolBacklog(tmp_path, own=spool.writer), events)
    spool.append(b"poison")
    bodies = await _fill(spool, 3)
    await deliverer.drain()
    assert sink.of(spool.writer) == bodies
    assert "audit.gap" in "".join(capsys.readouterr())
    events.full = False
    await deliverer.drain()
    (event,) = events.taken
    assert (event.attributes["before"], event.attributes["count"]) == (2, 1)


async def test_a_log_that_the_disk_does_not_give_back_holds_up_nobody(
    sink: Memory,
    events: Auditor,
    tmp_path: Path,
    kept: KeptCheckpoints,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[SpoolBacklog, Events], Deliverer],
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
        await make(backlog, events).drain()
    assert len(sink.of(good.writer)) == 3
    assert _signed(kept).keys() == {good.writer}
    assert not (tmp_path / good.writer).exists()
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


async def test_what_was_shipped_is_signed_for_before_it_is_given_up(
    deliverer: Deliverer,
    sink: Memory,
    tmp_path: Path,
    kept: KeptCheckpoints,
    clock: Hands,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deliver, "_EVERY", 0.01)
    await deliverer.drain()
    kept.rows.clear()
    other = SpoolWriter.open(tmp_path)
    await _fill(other, 5)
    other.close()
    async with _running(deliverer):
        await _until(lambda: len(sink.of(other.writer)) == 5)
        await asyncio.sleep(0.05)
        assert (tmp_path / other.writer).exists()
        assert kept.rows == []
        clock.time += 11
        await _until(lambda: not (tmp_path / other.writer).exists())
    assert _signed(kept)[other.writer].seq == 5


async def test_what_a_process_shipped_and_did_not_sign_for_the_next_one_signs_for(
    deliverer: Deliverer, sink: Memory, tmp_path: Path, kept: KeptCheckpoints
) -> None:
    other = SpoolWriter.open(tmp_path)
    await _fill(other, 7)
    run = SpoolBacklog(tmp_path, own=other.writer).read(other.writer, after=0, limit=100)
    assert run is not None
    other.close()
    sink.cursors[other.writer] = 7
    await deliverer.drain()
    assert _signed(kept)[other.writer] == Mark(other.writer, 7, run.heads[-1])
    assert not (tmp_path / other.writer).exists()


async def test_the_end_is_signed_for_even_when_nothing_came(
    deliverer: Deliverer, kept: KeptCheckpoints
) -> None:
    await deliverer.drain()
    assert len(kept.rows) == 1


async def test_a_record_that_was_put_aside_is_signed_for_in_its_place(
    deliverer: Deliverer, spool: SpoolWriter, kept: KeptCheckpoints, sink: Memory
) -> None:
    await _fill(spool, 3)
    spool.append(b"poison")
    await spool.flushed()
    await deliverer.drain()
    # The gap that was written down meanwhile comes with it.
    assert _signed(kept)[spool.writer].seq == sink.cursors[spool.writer] == 5


async def test_a_gap_is_written_down_before_the_cursor_moves_and_once(
    deliverer: Deliverer, spool: SpoolWriter, sink: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.append(b"poison")
    await spool.flushed()
    skip = sink.skip

    async def away(run: Run) -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(sink, "skip", away)
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await deliverer.drain()
    assert spool.last == 2
    assert deliverer.lost == 0
    monkeypatch.setattr(sink, "skip", skip)
    await deliverer.drain()
    (gap,) = sink.of(spool.writer)
    assert b'"action":"audit.gap"' in gap
    assert deliverer.lost == 1


async def test_how_full_the_spool_is_is_seen_while_the_sink_is_down(
    deliverer: Deliverer,
    spool: SpoolWriter,
    sink: Memory,
    pressure: Pressure,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(deliver, "_EVERY", 0.01)
    asked = asyncio.Event()

    async def never(writer: str) -> int:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(sink, "cursor", never)
    async with _running(deliverer):
        await asked.wait()
        for _ in range(200):
            spool.append(encode({"n": "x" * 4500}))
        await spool.flushed()
        await _until(lambda: pressure.level is Level.SPARE)
    assert "audit.spool_fill" in "".join(capsys.readouterr())
    assert deliverer.spool_bytes == pressure.fill * (1 << 20)


async def test_completions_that_were_spared_are_told_of(
    deliverer: Deliverer,
    spool: SpoolWriter,
    sink: Memory,
    pressure: Pressure,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deliver, "_EVERY", 0.01)
    monkeypatch.setattr(gaps, "_SPARED_EVERY", 3600.0)
    monkeypatch.setattr(deliverer, "_measure", _nothing)
    pressure.measure(900_000)
    pressure.spared = 3
    async with _running(deliverer):
        await _until(lambda: b'"count":3' in b"".join(sink.of(spool.writer)))
        pressure.spared = 10
        await asyncio.sleep(0.05)
        assert len(sink.of(spool.writer)) == 1
        pressure.measure(0)
        await _until(lambda: b'"count":7' in b"".join(sink.of(spool.writer)))
    pressure.spared = 11
    await deliverer.drain()
    assert b'"count":1,' in sink.of(spool.writer)[-1]


async def _nothing() -> None:
    return None


async def test_what_an_idle_process_has_shipped_does_not_stay_on_its_disk(
    deliverer: Deliverer, spool: SpoolWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver, "_RELEASE_AGAIN", 0.0)
    await _fill(spool, 3)
    await deliverer.drain()
    before = set((tmp_path / spool.writer).iterdir())
    spool.roll_if_older(0.0)
    await deliverer.drain()
    assert not before & set((tmp_path / spool.writer).iterdir())


async def test_a_log_that_cannot_be_cleared_away_does_not_keep_the_others_on_the_disk(
    deliverer: Deliverer, tmp_path: Path
) -> None:
    logs = []
    for _ in range(3):
        other = SpoolWriter.open(tmp_path)
        await _fill(other, 3)
        other.close()
        logs.append(tmp_path / other.writer)
    for log in logs[:2]:
        (log / "a directory that nobody knows").mkdir()
    with pytest.raises(OSError, match="directory"):
        await deliverer.drain()
    assert [log.exists() for log in logs] == [True, True, False]
    for log in logs[:2]:
        (log / "a directory that nobody knows").rmdir()
    await deliverer.drain()
    assert not any(log.exists() for log in logs)


class Chained(Memory):
    """A sink that takes only what follows from what it has."""

    def __init__(self) -> None:
        super().__init__()
        self.heads: dict[str, bytes] = {}
        self.backup: tuple[dict[tuple[str, int], bytes], dict[str, int], dict[str, bytes]] | None = None

    async def ship(self, run: Run) -> None:
        if run.before != self.heads.get(run.writer, beginning(run.writer)) and not run.lost:
            raise SinkAstray("it does not follow")
        await super().ship(run)
        self.heads[run.writer] = run.heads[-1]

    def back_up(self) -> None:
        self.backup = dict(self.records), dict(self.cursors), dict(self.heads)

    def restore(self) -> None:
        assert self.backup is not None
        self.records, self.cursors, self.heads = self.backup


def _shipping(
    spool: SpoolWriter, sink: Memory, events: Auditor, root: Path, kept: KeptCheckpoints, pressure: Pressure
) -> Deliverer:
    backlog = SpoolBacklog(root, own=spool.writer, recent=spool.recent)
    return Deliverer(backlog, sink, events, notary=Notary(kept, SIGNERS, Hands()), pressure=pressure)


async def test_what_somebody_wrote_of_one_writer_does_not_hold_up_the_others_and_is_told_once(
    spool: SpoolWriter, events: Auditor, tmp_path: Path, kept: KeptCheckpoints, pressure: Pressure
) -> None:
    class Changed(Memory):
        async def cursor(self, writer: str) -> int:
            if writer in changed:
                raise SinkAstray("acked_seq is what the gateway never wrote")
            return await super().cursor(writer)

    sink, changed = Changed(), {spool.writer}
    other = SpoolWriter.open(tmp_path)
    bodies = await _fill(other, 3)
    other.close()
    mine = await _fill(spool, 2)
    deliverer = _shipping(spool, sink, events, tmp_path, kept, pressure)
    with capture_logs() as logs:
        async with _running(deliverer):
            await _until(lambda: sink.of(other.writer) == bodies)
            await _until(lambda: deliverer.failing)
            changed.clear()
            await _until(lambda: sink.of(spool.writer) == mine)
            await _until(lambda: deliverer.failing is None)
    assert [log["event"] for log in logs] == ["audit.shipping_failed", "audit.shipping_resumed"]


@pytest.mark.parametrize("kept_by_the_spool", [True, False])
async def test_a_database_that_is_set_back_gets_what_the_spool_still_has_and_the_rest_is_a_gap(
    spool: SpoolWriter,
    events: Auditor,
    tmp_path: Path,
    kept: KeptCheckpoints,
    pressure: Pressure,
    *,
    kept_by_the_spool: bool,
) -> None:
    sink = Chained()
    deliverer = _shipping(spool, sink, events, tmp_path, kept, pressure)
    bodies = await _fill(spool, 10)
    await deliverer.drain()
    sink.back_up()
    bodies += await _fill(spool, 10 if kept_by_the_spool else 500, 10)
    await deliverer.drain()
    gone = len(bodies)
    bodies += await _fill(spool, 5, gone)
    sink.restore()
    await deliverer.drain()
    await deliverer.drain()
    stored = sink.of(spool.writer)
    told = [one for one in stored if b'"audit.gap"' in one]
    assert [one for one in stored if one not in told] == [
        one for number, one in enumerate(bodies, 1) if (spool.writer, number) in sink.records
    ]
    missing = [number for number in range(1, len(bodies) + 1) if (spool.writer, number) not in sink.records]
    if kept_by_the_spool:
        assert (missing, told) == ([], [])
    else:
        # What was shipped, signed for and let go of.
        (gap,) = told
        assert missing == list(range(11, missing[-1] + 1))
        assert f'"before":{missing[-1] + 1},"count":{len(missing)}'.encode() in gap
    assert deliverer.lost == len(missing)


async def test_a_writer_that_the_sink_will_not_follow_keeps_its_log_and_holds_up_nobody(
    spool: SpoolWriter,
    events: Auditor,
    tmp_path: Path,
    kept: KeptCheckpoints,
    pressure: Pressure,
) -> None:
    sink = Chained()
    deliverer = _shipping(spool, sink, events, tmp_path, kept, pressure)
    other = SpoolWriter.open(tmp_path)
    bodies = await _fill(other, 3)
    other.close()
    await _fill(spool, 5)
    await deliverer.drain()
    assert sink.of(other.writer) == bodies
    sink.heads[spool.writer] = bytes(32)
    late = SpoolWriter.open(tmp_path)
    await _fill(late, 2)
    late.close()
    await _fill(spool, 5, 5)
    with pytest.raises(StoreUnavailable, match="does not follow"):
        await deliverer.drain()
    assert len(sink.of(late.writer)) == 2
    assert deliverer.shipped_upto(spool.writer) == 5
