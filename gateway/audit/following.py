"""Runs beside the traffic and brings one outlet what comes, again and again until it takes it."""

import asyncio
import random
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Final

import structlog

from gateway.audit.lease import SECONDS, Lease
from gateway.ports import Clock, OutletPositions, OutletUnavailable, StoreUnavailable

SEND_SECONDS: Final = 10.0
"""How long an outlet may take for what it is sent at once. Less than a lease, so that nobody else sends the
same meanwhile."""
_EVERY: Final = 0.5
_STANDBY: Final = 5.0
"""Seconds between two looks whether an outlet that another process serves is free."""
_LONGEST_PAUSE: Final = SECONDS * 2
"""Longer than a lease: a process that cannot reach an outlet leaves it to one that perhaps can."""
_LAST_SECONDS: Final = 3.0


class LeaseLost(Exception):
    """Another process serves the outlet by now."""


class Following(ABC):
    """What serves one outlet, as long as no other process does."""

    def __init__(
        self, name: str, positions: OutletPositions, clock: Clock, *, holder: str, every: float = _EVERY
    ) -> None:
        """`holder` names this process, and no other; `every` is in seconds."""
        self.name = name
        """What the outlet is called."""
        self.sent = 0
        """What the outlet took from this process: records, or checkpoints."""
        self.failing: str | None = None
        """Why the outlet takes nothing at the moment, None when it does, or another process serves it."""
        self._lease = Lease(positions, name, clock, holder=holder)
        self._clock = clock
        self._every = every
        self._caught_up: float | None = None

    @property
    def lag(self) -> float | None:
        """Seconds since a look began after which nothing was left to send, or since this process began to
        serve the outlet; None while another one does."""
        return None if self._caught_up is None else self._clock.monotonic() - self._caught_up

    async def run(self) -> None:
        """Serve until cancelled. An outlet or a store that fails is tried again for ever, more slowly."""
        pause = self._every
        while True:
            try:
                serving = await self._look()
            except (OutletUnavailable, StoreUnavailable) as error:
                if self.failing is None:
                    _log().warning("audit.outlet_failing", outlet=self.name, detail=str(error))
                self.failing = str(error)
                pause = min(pause * 2, _LONGEST_PAUSE)
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
                continue
            if self.failing is not None:
                _log().info("audit.outlet_resumed" if serving else "audit.outlet_left", outlet=self.name)
                self.failing = None
            pause = self._every
            await asyncio.sleep(pause if serving else max(pause, _STANDBY))

    async def finish(self) -> None:
        """Send what has come, for three seconds at the most, and let go of the outlet. After `run`."""
        with suppress(OutletUnavailable, StoreUnavailable, TimeoutError):
            async with asyncio.timeout(_LAST_SECONDS):
                if self._caught_up is not None and self.failing is None:
                    await self._look()
                await self._lease.release()
        await self._close()

    async def _look(self) -> bool:
        """Send all that there is; False when another process serves the outlet."""
        with suppress(LeaseLost):
            while True:
                await self._keep()
                began = self._clock.monotonic()
                if self._caught_up is None:
                    self._caught_up = began
                    _log().info("audit.outlet_served", outlet=self.name)
                if not await self._send_some():
                    self._caught_up = began
                    return True
        self._caught_up = None
        return False

    async def _keep(self) -> None:
        if not await self._lease.keep():
            raise LeaseLost

    @abstractmethod
    async def _send_some(self) -> bool:
        """Send a portion and note that; False when nothing is left for now.

        Raise `OutletUnavailable`, `StoreUnavailable`, `LeaseLost`.
        """

    @abstractmethod
    async def _close(self) -> None:
        """Let go of the outlet."""


def _log() -> structlog.typing.FilteringBoundLogger:
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger("gateway.audit")
    return logger
