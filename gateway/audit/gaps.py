"""Tells the trail what is missing from it."""

import time
from collections import deque
from typing import Final

import structlog

from gateway.audit.pressure import Level, Pressure
from gateway.model import Event, EventKind
from gateway.ports import AuditUnavailable, Events

GAP: Final = b'"action":"audit.gap"'
"""In every record of a gap."""
_SPARED_EVERY: Final = 10.0
"""Seconds between two records of what is spared, while it goes on."""
_MOST: Final = 10_000


class Gaps:
    """Writes `audit.gap` events, each gap's once in a process.

    One that cannot be written is kept and written later: a full spool must not keep the records in it from
    being shipped, which is what makes room.
    """

    def __init__(self, events: Events, pressure: Pressure) -> None:
        self._events = events
        self._pressure = pressure
        self._noted: set[tuple[str, int]] = set()
        self._waiting: deque[Event] = deque(maxlen=_MOST)
        self._spared = pressure.spared
        self._spared_at = float("-inf")

    async def note(self, writer: str, *, before: int, count: int, **more: str) -> bool:
        """Write down that `count` records of a writer are missing, before number `before`; False when that
        was done already."""
        place = writer, before
        if place in self._noted:
            return False
        if len(self._noted) >= _MOST:
            self._noted.clear()
        self._noted.add(place)
        await self._write({"writer": writer, "before": before, "count": count, **more})
        return True

    async def tell_if_time(self) -> None:
        """Write what waits, and what was spared, when that is over or has gone on for a while."""
        over = self._pressure.level < Level.SPARE
        if over or time.monotonic() - self._spared_at >= _SPARED_EVERY:
            await self.tell()
        else:
            await self._retry()

    async def tell(self) -> None:
        """Write what waits, and how many completions were spared since it was last written."""
        await self._retry()
        count = self._pressure.spared - self._spared
        if count:
            self._spared += count
            self._spared_at = time.monotonic()
            await self._write(
                {"count": count, "kind": "completion", "detail": "the spool was too full to write them down"}
            )

    async def _write(self, attributes: dict[str, str | int | bool | list[str]]) -> None:
        logger: structlog.typing.FilteringBoundLogger = structlog.get_logger("gateway.audit")
        logger.error("audit.gap", **attributes)
        self._waiting.append(Event(kind=EventKind.AUDIT_GAP, actor=None, attributes=attributes))
        await self._retry()

    async def _retry(self) -> None:
        while self._waiting:
            event = self._waiting.popleft()
            try:
                await self._events.event(event)
            except AuditUnavailable:
                self._waiting.appendleft(event)
                return
