"""Ends what is old enough. That it is removed on purpose is signed before it is done."""

import asyncio
import random
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

import structlog

from gateway.audit.notary import Notary
from gateway.audit.vouched import younger
from gateway.model import Event, EventKind, Principal, timestamp
from gateway.ports import Clock, Dropped, Events, Retention, RetentionRefused, StoreUnavailable

_DAY: Final = 86400
_EVERY: Final = 3600.0
"""Seconds between two looks: a day ends once a day, but nobody knows when this process began."""
_FIRST: Final = 60.0
"""Within so many seconds after the start is the first look; processes that start together take turns."""
_SLACK: Final = 3600.0
"""Seconds after the end of a day in which its last records are signed for, whatever the clocks are."""
_REFUSED: Final = 86400.0
"""Seconds until a database that does not let us is asked again."""


class Disposal:
    """Removes records that were kept long enough."""

    def __init__(self, retention: Retention, notary: Notary, events: Events, clock: Clock) -> None:
        self._retention = retention
        self._notary = notary
        self._events = events
        self._clock = clock
        self._time, self._ticks = clock.now(), clock.monotonic()
        """The time at the last look, and what the clock that nobody sets said then."""

    async def run(self, *, keep: float) -> None:
        """Keep records for so many seconds at least, until cancelled."""
        pause = random.uniform(0, _FIRST)  # noqa: S311 - nobody gains by guessing it
        while True:
            await asyncio.sleep(pause)
            pause = _EVERY
            try:
                days = await self.dispose(keep=keep, now=self._trusted())
                if days:
                    _log().info("audit.records_removed", days=days)
            except RetentionRefused as refused:
                pause = _REFUSED
                _log().warning("audit.records_kept", detail=str(refused))
            except StoreUnavailable as fault:
                _log().warning("audit.records_kept", detail=str(fault))

    def _trusted(self) -> float:
        """Return the time, which may go twice as fast as time does: a clock that is set a year ahead must not
        end a year's records before anybody sees it, and one that stood still must be able to catch up."""
        ticks = self._clock.monotonic()
        self._time = min(self._clock.now(), self._time + 2 * (ticks - self._ticks))
        self._ticks = ticks
        return self._time

    async def dispose(
        self, *, keep: float, now: float | None = None, operator: Principal | None = None
    ) -> int:
        """Remove the days that ended more than so many seconds ago; return how many there were.

        A day with records that were signed for only later stays as long again, and those behind it. Recorded
        as `audit.gap`, of the operator if there is one. Raise `RetentionRefused`, `StoreUnavailable`.
        """
        before = int(((self._clock.now() if now is None else now) - keep) // _DAY)
        expired = await self._old(await self._retention.expired(before), before)
        if expired:
            # Signed first: whoever checks while it is removed, or after it was only half removed, knows.
            await self._notary.sign(expired)
        days = await self._retention.drop(before, signed=expired)
        if days:
            await self._events.event(
                Event(
                    kind=EventKind.AUDIT_GAP,
                    actor=operator,
                    attributes={"removed_before": _date(before), "days": days},
                )
            )
        return days

    async def _old(self, expired: Sequence[Dropped], before: int) -> Sequence[Dropped]:
        """Return those of what the database calls old that the checkpoints do not call younger."""
        limit = timestamp(before * _DAY + _SLACK)
        young = await younger(self._notary.checkpoints, self._notary.keys, expired, limit=limit)
        for writer in sorted(young):
            _log().warning("audit.records_kept", writer=writer, detail=f"signed for only after {limit}")
        return [one for one in expired if one.writer not in young]


def _date(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()


def _log() -> structlog.typing.FilteringBoundLogger:
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger("gateway.audit")
    return logger
