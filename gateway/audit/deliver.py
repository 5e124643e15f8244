"""Ships the spool to where the trail is kept. Runs beside the traffic and never in its way."""

import asyncio
import time
from asyncio import to_thread
from dataclasses import replace
from typing import Final

import structlog

from gateway.audit.gaps import GAP, Gaps
from gateway.audit.notary import Notary
from gateway.audit.pressure import Pressure
from gateway.ports import AuditSink, Backlog, Events, RecordRefused, Run, SinkAstray, StoreUnavailable

_EVERY: Final = 0.5
"""Seconds between two looks at the spool: what makes records visible within a second."""
_AT_ONCE: Final = 8192
_RELEASE_AGAIN: Final = 30.0
"""Seconds after which the backlog is told again what it may let go of: it may let go of more by then."""
_LONGEST_PAUSE: Final = 5.0


class Deliverer:
    """Moves records from the backlog to the sink, its own first, then those of dead writers.

    What was shipped stays in the spool until a checkpoint signs for it: until then nothing else vouches for
    what the database has.
    """

    def __init__(
        self, backlog: Backlog, sink: AuditSink, events: Events, *, notary: Notary, pressure: Pressure
    ) -> None:
        self.shipped = 0
        """Records shipped by this process."""
        self.lost = 0
        """Records found missing, or put aside because the sink takes them never."""
        self.spool_bytes = 0
        """What the logs of all processes took on the disk at the last look."""
        self.failing: str | None = None
        """Why the sink takes nothing at the moment, None when it does."""
        self._backlog = backlog
        self._sink = sink
        self._notary = notary
        self._pressure = pressure
        self._gaps = Gaps(events, pressure)
        self._acked: dict[str, int] = {}
        self._released: dict[str, int] = {}
        self._released_at = time.monotonic()
        self._caught_up = time.monotonic()

    @property
    def lag(self) -> float:
        """Seconds since a look began after which nothing was left: below one when all is well."""
        return time.monotonic() - self._caught_up

    def shipped_upto(self, writer: str) -> int:
        """Return the number of a writer's newest record that is known to be shipped, 0 when none is."""
        return self._acked.get(writer, 0)

    async def run(self) -> None:
        """Ship until cancelled. A sink or a disk that fails is tried again for ever, more slowly."""
        async with asyncio.TaskGroup() as group:
            # A sink may take long to say that it is away, and that is when the spool grows.
            group.create_task(self._watch())
            group.create_task(self._ship_on())

    async def drain(self) -> None:
        """Ship everything that waits, and sign for it: the last thing that a process does.

        Raise `StoreUnavailable`, `OSError`; what was shipped stays so.
        """
        await self._gaps.tell()
        damage = await self._look(to_the_end=True)
        await self._notary.sign()
        await self._release()
        if damage is not None:
            raise damage

    async def _measure(self) -> None:
        """See how much room the logs take. Raise `OSError`."""
        self.spool_bytes = await to_thread(self._backlog.size)
        level = self._pressure.level
        self._pressure.measure(self.spool_bytes)
        if self._pressure.level != level:
            tell = _log().info if self._pressure.level < level else _log().warning
            tell(
                "audit.spool_fill",
                level=self._pressure.level.name.lower(),
                percent=round(self._pressure.fill * 100),
                bytes=self.spool_bytes,
            )

    async def _watch(self) -> None:
        while True:
            try:
                await self._measure()
            except OSError as error:
                _log().warning("audit.spool_unmeasured", detail=str(error))
            await self._gaps.tell_if_time()
            await asyncio.sleep(_EVERY)

    async def _ship_on(self) -> None:
        pause = _EVERY
        while True:
            try:
                damage = await self._look(to_the_end=False)
                await self._attest()
                if damage is not None:
                    raise damage
            except (StoreUnavailable, OSError) as error:
                pause = min(pause * 2, _LONGEST_PAUSE)
                if self.failing is None:
                    _log().warning("audit.shipping_failed", detail=str(error))
                self.failing = str(error)
            else:
                if self.failing is not None:
                    _log().info("audit.shipping_resumed")
                pause, self.failing = _EVERY, None
            await asyncio.sleep(pause)

    async def _look(self, *, to_the_end: bool) -> OSError | StoreUnavailable | None:
        """Ship what waits; return why some of it could not be read, or stored where it belongs."""
        began = time.monotonic()
        damage: OSError | StoreUnavailable | None = None
        for writer in await to_thread(self._backlog.writers):
            try:
                await self._drain(writer, to_the_end=to_the_end)
            except OSError as error:
                # One log that the disk does not give back must not hold up the others.
                damage = error
            except SinkAstray as astray:
                # Nor must one of which the sink holds what was never shipped.
                damage = astray
        if damage is None:
            self._caught_up = began
        return damage

    async def _drain(self, writer: str, *, to_the_end: bool) -> None:
        if writer not in self._acked:
            await self._begin(writer)
        while (after := self._acked.get(writer)) is not None:
            run = await to_thread(self._backlog.read, writer, after=after, limit=_AT_ONCE)
            if run is None:
                await self._see_the_end(writer)
                break
            began = asyncio.get_running_loop().time()
            if run.lost and await self._gaps.note(writer, before=run.first, count=run.lost):
                self.lost += run.lost
            try:
                await self._ship(run)
            except SinkAstray as astray:
                await self._go_back(run, after, astray)
            if len(run.bodies) == _AT_ONCE:
                await self._attest()
                # A long queue must not take the machine from the traffic: rest as long as the work took.
                await asyncio.sleep(asyncio.get_running_loop().time() - began)
            elif not to_the_end:
                # What has come since is worth a run of its own only at the next look: traffic does not end.
                break

    async def _see_the_end(self, writer: str) -> None:
        """Tell of the last records of a log that cannot be read, before it is cleared away."""
        number = await to_thread(self._backlog.damaged, writer)
        if number is not None:
            detail = "the log cannot be read from here to its end; it is kept in quarantine"
            if await self._gaps.note(writer, before=number + 1, count=1, detail=detail):
                self.lost += 1

    async def _go_back(self, run: Run, after: int, why: SinkAstray) -> None:
        """Begin again where the sink really is: it was set back to a backup. What it has lost, and the spool
        has not any more, is a gap. Raise `SinkAstray` when that does not explain it."""
        writer = run.writer
        acked = await self._sink.cursor(writer)
        if acked < after:
            _log().error("audit.sink_set_back", writer=writer, stored=acked, shipped=after, detail=str(why))
            self._acked[writer] = acked
            await to_thread(self._backlog.release, writer, upto=acked)
            return
        count = run.first - 1 - acked
        if count <= 0:
            raise why
        if await self._gaps.note(writer, before=run.first, count=count, detail="the database has lost them"):
            self.lost += count
        await self._ship(replace(run, lost=count))

    async def _begin(self, writer: str) -> None:
        """See how far a writer is. What its own process shipped and did not sign for is signed for by us."""
        acked = await self._sink.cursor(writer)
        if acked:
            run = await to_thread(self._backlog.read, writer, after=acked - 1, limit=1)
            if run is not None and run.first == acked:
                self._notary.shipped(run)
        self._acked[writer] = acked

    async def _attest(self) -> None:
        """Sign for what was shipped, if it is time, and let go of it."""
        await self._notary.look()
        await self._release()

    async def _release(self) -> None:
        """Let go of what is shipped and signed for. Raise `OSError` when a log could not be, at the end."""
        damage: OSError | None = None
        now = time.monotonic()
        if now - self._released_at >= _RELEASE_AGAIN:
            self._released.clear()
            self._released_at = now
        for writer, acked in list(self._acked.items()):
            if self._notary.owes(writer) or self._released.get(writer) == acked:
                continue
            try:
                is_over = await to_thread(self._backlog.release, writer, upto=acked)
            except OSError as error:
                damage = error
                continue
            if is_over:
                del self._acked[writer]
                self._released.pop(writer, None)
            else:
                self._released[writer] = acked
        if damage is not None:
            raise damage

    async def _ship(self, run: Run) -> None:
        count = len(run.bodies)
        try:
            await self._sink.ship(run)
        except RecordRefused as refusal:
            if count == 1:
                await self._put_aside(run, str(refusal))
            else:
                await self._ship(replace(run.part(0, count // 2), lost=run.lost))
                await self._ship(run.part(count // 2, count))
        else:
            self._acked[run.writer] = run.last
            self.shipped += count
            self._notary.shipped(run)

    async def _put_aside(self, run: Run, why: str) -> None:
        writer, seq, body = run.writer, run.first, run.bodies[0]
        name = await to_thread(self._backlog.quarantine, writer, seq, body)
        if GAP in body:
            # A sink that refuses even this would be told of its refusals for ever.
            _log().error("audit.gap_refused", file=name, detail=why)
        else:
            await self._gaps.note(writer, before=seq + 1, count=1, file=name, detail=why)
        await self._sink.skip(run)
        self._acked[writer] = seq
        self.lost += 1
        self._notary.shipped(run)


def _log() -> structlog.typing.FilteringBoundLogger:
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger("gateway.audit")
    return logger
