"""Brings the shipped trail to outlets besides the database, each record at least once, in order.

An outlet that is away loses nothing and fills no disk: what it has not had waits in the trail. A record that
it refuses is passed over, so that it does not hold up those behind it, and the trail says so (`audit.gap`).
But an outlet that refuses everything is taken for one that is set up wrongly, and nothing is passed over for
an hour; then one portion is, and the next hour begins.
"""

import asyncio
import time
from asyncio import to_thread
from collections.abc import Sequence
from pathlib import Path
from traceback import extract_tb
from typing import Final, NamedTuple

import structlog

from gateway.audit.following import SEND_SECONDS, Following
from gateway.audit.record import decode
from gateway.model import Event, EventKind
from gateway.ports import (
    AuditTrail,
    Clock,
    Events,
    Outlet,
    OutletPositions,
    OutletUnavailable,
    Position,
    Record,
    RecordRefused,
    StoredRecord,
)

_AT_ONCE: Final = 1000
_SUSPICIOUS: Final = 8
"""So many refusals, and nothing taken: more attempts would only be noise at the receiver."""
_PATIENCE: Final = 3600.0
_NAMED: Final = 100
"""How many refused records an event names."""


class _Refused(NamedTuple):
    record: Record
    why: str

    @property
    def place(self) -> str:
        return f"{self.record['writer']}/{self.record['seq']}"


class Follower(Following):
    """Sends the records of the trail to one outlet."""

    def __init__(
        self,
        outlet: Outlet,
        trail: AuditTrail,
        positions: OutletPositions,
        events: Events,
        clock: Clock,
        *,
        holder: str,
    ) -> None:
        """`trail` is what all processes see alike; `holder` names this process, and no other."""
        super().__init__(outlet.name, positions, clock, holder=holder)
        self.refused = 0
        """Records that were passed over because the outlet does not take them."""
        self._outlet = outlet
        self._trail = trail
        self._events = events
        self._limit = _AT_ONCE
        self._taken = 0
        self._refusing_since: float | None = None

    async def _send_some(self) -> bool:
        limit = self._limit
        began = time.monotonic()
        stored = await self._trail.after(self._lease.position, limit=limit)
        if not stored:
            return False
        records = await to_thread(_decoded, stored)
        worked = time.monotonic() - began
        self._taken = 0
        refused: list[_Refused] = []
        await self._send(records, refused)
        if refused:
            await self._pass_over(refused)
        else:
            self._refusing_since = None
        await self._lease.advance(_end_of(stored))
        if len(stored) < limit:
            # What has come since is worth a portion of its own only at the next look: traffic does not end.
            return False
        # A long queue must not take the machine from the traffic: rest as long as the work took.
        await asyncio.sleep(worked)
        return True

    async def _send(self, records: Sequence[Record], refused: list[_Refused]) -> None:
        """Send records, in parts when the outlet refuses one of them, and add those that it refuses alone."""
        await self._keep()
        try:
            await self._attempt(records)
        except RecordRefused as refusal:
            if len(records) > 1:
                half = len(records) // 2
                await self._send(records[:half], refused)
                await self._send(records[half:], refused)
                return
            refused.append(_Refused(records[0], str(refusal)))
            if self._taken == 0 and len(refused) >= _SUSPICIOUS:
                self._check_patience(refused)

    async def _attempt(self, records: Sequence[Record]) -> None:
        count = len(records)
        began = time.monotonic()
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._outlet.send(records)
        except TimeoutError:
            # A receiver that is slow gets as much at once as it can take in that time.
            self._limit = max(1, min(self._limit, count) // 2)
            raise OutletUnavailable(
                f"{count} records were not taken within {SEND_SECONDS:.0f} seconds"
            ) from None
        except (OutletUnavailable, RecordRefused):
            raise
        except Exception as error:  # noqa: BLE001 - one record must not end the gateway
            # Neither its text nor a whole traceback is logged: both may show what the record holds.
            place = extract_tb(error.__traceback__)[-1]
            fault = f"{type(error).__name__} in {Path(place.filename).name}:{place.lineno}"
            _log().error("audit.outlet_defect", outlet=self.name, detail=fault)
            raise RecordRefused(f"it could not be sent: {fault}") from None
        if time.monotonic() - began < SEND_SECONDS / 4:
            self._limit = min(_AT_ONCE, self._limit * 2)
        self._taken += count
        self.sent += count

    def _check_patience(self, refused: Sequence[_Refused]) -> None:
        """Raise `OutletUnavailable` when nothing may be passed over yet."""
        now = self._clock.monotonic()
        if self._refusing_since is None:
            self._refusing_since = now
        if now - self._refusing_since < _PATIENCE:
            raise OutletUnavailable(f"it takes nothing: {refused[0].why}")

    async def _pass_over(self, refused: Sequence[_Refused]) -> None:
        """Write down which records the outlet does not get. Raise `AuditUnavailable`, `OutletUnavailable`."""
        if self._taken == 0:
            self._check_patience(refused)
        self._refusing_since = None
        attributes: dict[str, str | int | bool | list[str]] = {
            "outlet": self.name,
            "count": len(refused),
            "records": [one.place for one in refused[:_NAMED]],
            "detail": refused[0].why,
        }
        _log().error("audit.outlet_gap", **attributes)
        # An outlet that refuses even to be told so would be told of that for ever.
        if any(one.record["action"] != EventKind.AUDIT_GAP for one in refused):
            await self._events.event(Event(kind=EventKind.AUDIT_GAP, actor=None, attributes=attributes))
        self.refused += len(refused)

    async def _close(self) -> None:
        await self._outlet.close()


def _decoded(stored: Sequence[StoredRecord]) -> list[Record]:
    return [decode(one) for one in stored]


def _end_of(stored: Sequence[StoredRecord]) -> Position:
    """Return the number of the newest record of each writer. Their order is that of time, which a clock that
    was set back may have turned round."""
    end: dict[str, int] = {}
    for one in stored:
        end[one.writer] = max(one.seq, end.get(one.writer, 0))
    return end


def _log() -> structlog.typing.FilteringBoundLogger:
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger("gateway.audit")
    return logger
