"""Ships the spool to where the trail is kept. Runs beside the traffic and never in its way."""

import asyncio
import time
from asyncio import to_thread
from contextlib import suppress
from typing import Final

import structlog

from gateway.model import Event, EventKind
from gateway.ports import (
    AuditSink,
    AuditUnavailable,
    Backlog,
    Events,
    RecordRefused,
    Run,
    StoredRecord,
    StoreUnavailable,
)

_EVERY: Final = 0.5
"""Seconds between two looks at the spool: what makes records visible within a second."""
_AT_ONCE: Final = 8192
_LONGEST_PAUSE: Final = 5.0
_GAP: Final = b'"action":"audit.gap"'


class Deliverer:
    """Moves records from the backlog to the sink, its own first, then those of dead writers."""

    def __init__(self, backlog: Backlog, sink: AuditSink, events: Events) -> None:
        self.shipped = 0
        """Records shipped by this process."""
        self.lost = 0
        """Records found missing, or put aside because the sink takes them never."""
        self.spool_bytes = 0
        """What the logs took on the disk at the last look."""
        self.failing: str | None = None
        """Why the sink takes nothing at the moment, None when it does."""
        self._backlog = backlog
        self._sink = sink
        self._events = events
        self._acked: dict[str, int] = {}
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
        pause = _EVERY
        while True:
            try:
                await self._look(to_the_end=False)
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

    async def drain(self) -> None:
        """Ship everything that waits. Raise `StoreUnavailable`, `OSError`; what was shipped stays so."""
        await self._look(to_the_end=True)

    async def _look(self, *, to_the_end: bool) -> None:
        began = time.monotonic()
        damage: OSError | None = None
        for writer in await to_thread(self._backlog.writers):
            try:
                await self._drain(writer, to_the_end=to_the_end)
            except OSError as error:
                # One log that the disk does not give back must not hold up the others.
                damage = error
        self.spool_bytes = await to_thread(self._backlog.size)
        if damage is not None:
            raise damage
        self._caught_up = began

    async def _drain(self, writer: str, *, to_the_end: bool) -> None:
        moved = writer not in self._acked
        if moved:
            self._acked[writer] = await self._sink.cursor(writer)
        while True:
            run = await to_thread(self._backlog.read, writer, after=self._acked[writer], limit=_AT_ONCE)
            if run is None:
                break
            moved = True
            began = asyncio.get_running_loop().time()
            await self._ship(run)
            if run.lost:
                await self._gap(writer, before=run.first, count=run.lost)
            if len(run.bodies) == _AT_ONCE:
                # A long queue must not take the machine from the traffic: rest as long as the work took.
                await asyncio.sleep(asyncio.get_running_loop().time() - began)
            elif not to_the_end:
                # What has come since is worth a run of its own only at the next look: traffic does not end.
                break
        if moved and await to_thread(self._backlog.release, writer, upto=self._acked[writer]):
            del self._acked[writer]

    async def _ship(self, run: Run) -> None:
        count = len(run.bodies)
        try:
            await self._sink.ship(run)
        except RecordRefused as refusal:
            if count == 1:
                await self._put_aside(run, str(refusal))
            else:
                await self._ship(run.part(0, count // 2))
                await self._ship(run.part(count // 2, count))
        else:
            self._acked[run.writer] = run.last
            self.shipped += count

    async def _put_aside(self, run: Run, why: str) -> None:
        record = StoredRecord(writer=run.writer, seq=run.first, body=run.bodies[0])
        name = await to_thread(self._backlog.quarantine, record)
        await self._sink.skip(run.writer, upto=run.last)
        self._acked[run.writer] = run.last
        if _GAP in record.body:
            # A sink that refuses even this would be told of its refusals for ever.
            self.lost += 1
            _log().error("audit.gap_refused", file=name, detail=why)
            return
        await self._gap(run.writer, before=run.last + 1, count=1, file=name, detail=why)

    async def _gap(self, writer: str, *, before: int, count: int, **more: str) -> None:
        """Write down that `count` records are missing from the trail, before number `before`."""
        self.lost += count
        attributes: dict[str, str | int | bool | list[str]] = {
            "writer": writer,
            "before": before,
            "count": count,
        }
        attributes |= more
        _log().error("audit.gap", **attributes)
        # When the spool takes nothing now, the log has said it.
        with suppress(AuditUnavailable):
            await self._events.event(Event(kind=EventKind.AUDIT_GAP, actor=None, attributes=attributes))


def _log() -> structlog.typing.FilteringBoundLogger:
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger("gateway.audit")
    return logger
