"""A start that waits for a database server that is away."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from gateway.observability import log

_PAUSE: Final = 1.0
"""Seconds between two attempts."""


class StartGivenUp(Exception):
    """The process was told to stop while it waited."""


class Start:
    """Waits for as long as nobody says `stop`; `tell` hears what is missing, before each attempt."""

    def __init__(self, stop: asyncio.Event, tell: Callable[[str], Awaitable[None]]) -> None:
        self._stop = stop
        self._tell = tell
        self._told = ""

    async def patience(self, missing: str) -> None:
        """Return when it is time for another attempt. Raise `StartGivenUp`."""
        await self._tell(missing)
        if missing != self._told:
            # Once, and again when it is something else: the attempts go on for ever.
            log.warning("waiting", missing=missing)
            self._told = missing
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PAUSE):
                await self._stop.wait()
        if self._stop.is_set():
            raise StartGivenUp
