"""What commands work on: the stores, and what they recorded is brought to the others before they end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from gateway.assembly.stores import Stores, open_stores
from gateway.ports import StoreUnavailable
from gateway.settings import Settings
from gateway.stores.spool import SpoolBacklog, SpoolWriter

_PATIENCE: Final = 2.0
"""Seconds for it; what is not shipped then, the next gateway with this data directory ships."""


@contextlib.asynccontextmanager
async def at_the_command_line(settings: Settings) -> AsyncIterator[Stores]:
    """Open everything that a command works on. Raise `StartRefused`, `StoreAway`.

    There may be no gateway on this machine that would ship what the command recorded.
    """
    async with open_stores(settings, serves=False) as stores:
        try:
            yield stores
        finally:
            await _bring_away(stores)


async def _bring_away(stores: Stores) -> None:
    spool = stores.audit.spool
    if not isinstance(spool, SpoolWriter) or spool.last == 0:
        return
    spool.close()
    backlog = SpoolBacklog(stores.settings.data_dir / "spool", own=None, only=spool.writer)
    try:
        with contextlib.suppress(StoreUnavailable, OSError, TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await stores.audit.deliverer(backlog).drain()
    finally:
        backlog.close()
