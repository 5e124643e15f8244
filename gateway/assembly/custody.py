"""What becomes of the records of a running gateway: shipped, signed for, sent on, ended when they are old."""

import asyncio
import uuid
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.assembly.stores import Stores
from gateway.audit import CheckpointFollower, Deliverer, Disposal, Follower
from gateway.formats import FORMATS
from gateway.observability import log
from gateway.outlets import checkpoint_outlets_from, outlets_from
from gateway.ports import Clock, StoreUnavailable
from gateway.stores.spool import SpoolWriter
from gateway.stores.sql import Database, prepare_days

_LAST_SHIPPING: Final = 3.0
"""Seconds for bringing the last records to where the trail is kept; the next process ships what is left."""
_DAY: Final = 86400
_DAYS_EVERY: Final = 3600.0
_DAYS_AGAIN: Final = 30.0
_TIDY_EVERY: Final = 60.0
_SEGMENT_SECONDS: Final = 600.0
"""How old a segment gets before a new one begins, so that what was shipped leaves this disk soon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Custody:
    """Everything that works on the records of one process. Nothing runs before `works` is run."""

    stores: Stores
    deliverer: Deliverer
    followers: tuple[Follower, ...]
    """One for each place that records are sent to."""
    witnesses: tuple[CheckpointFollower, ...]
    """One for each place that checkpoints are sent to."""

    @classmethod
    def of(cls, stores: Stores) -> "Custody":
        """Put together what the settings ask for."""
        audit, settings = stores.audit, stores.settings
        holder = audit.spool.writer or str(uuid.uuid4())
        return cls(
            stores=stores,
            deliverer=audit.deliverer(),
            followers=tuple(
                Follower(outlet, audit.shipped, audit.positions, audit.events, stores.clock, holder=holder)
                for outlet in outlets_from(settings.audit_sinks, FORMATS)
            ),
            witnesses=tuple(
                CheckpointFollower(outlet, audit.checkpoints, audit.positions, stores.clock, holder=holder)
                for outlet in checkpoint_outlets_from(settings.audit_checkpoints)
            ),
        )

    def works(self) -> Mapping[str, Coroutine[None, None, None]]:
        """Return what is to run for as long as the gateway does, by name."""
        stores, audit = self.stores, self.stores.audit
        works: dict[str, Coroutine[None, None, None]] = {
            "shipping": self.deliverer.run(),
            "days": _prepare_days(stores.database, stores.clock),
        }
        if isinstance(audit.spool, SpoolWriter):
            works["segments"] = _tidy(audit.spool)
        works |= {f"outlet {one.name}": one.run() for one in (*self.followers, *self.witnesses)}
        keep = stores.settings.audit_keep
        if keep is not None:
            disposal = Disposal(audit.retention, audit.notary, audit.events, stores.clock)
            works["retention"] = disposal.run(keep=keep)
        return works

    def fault(self) -> str | None:
        """Say which place besides the database takes nothing at the moment, None when all do."""
        for one in (*self.followers, *self.witnesses):
            if one.failing is not None:
                return f"{one.name}: {one.failing}"
        return None

    async def finish(self) -> None:
        """Bring away what is left, in the few seconds that a stop may take."""
        try:
            async with asyncio.timeout(_LAST_SHIPPING):
                await self.deliverer.drain()
        except (StoreUnavailable, OSError) as fault:
            # A time-out is an `OSError` too.
            why = str(fault) or f"it took longer than {_LAST_SHIPPING:.0f} seconds"
            log.warning("audit.records_left", detail=why, remedy="the next process here ships them")
        await asyncio.gather(*(one.finish() for one in (*self.followers, *self.witnesses)))


async def _prepare_days(database: Database, clock: Clock) -> None:
    """Have the database ready for the records of the days to come."""
    while True:
        pause = _DAYS_EVERY
        try:
            await prepare_days(database, int(clock.now() // _DAY))
        except StoreUnavailable as fault:
            # Records of a day that is not prepared are kept all the same, only less tidily.
            log.warning("audit.days_not_prepared", detail=str(fault))
            pause = _DAYS_AGAIN
        await asyncio.sleep(pause)


async def _tidy(spool: SpoolWriter) -> None:
    while True:
        await asyncio.sleep(_TIDY_EVERY)
        spool.roll_if_older(_SEGMENT_SECONDS)
