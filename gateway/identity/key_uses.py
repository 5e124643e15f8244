"""When API keys were last used: noted in memory on each request, and brought to the store now and then."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from gateway.ports import ApiKeyStore, StoreUnavailable

FLUSH_SECONDS: Final = 5.0
"""How long a use may be unknown to operators. A process that is killed forgets so much."""


class KeyUses:
    """What was used since the last time that the store took it. It holds good keys alone, so that nothing
    that is only tried makes it grow."""

    def __init__(self, store: ApiKeyStore) -> None:
        self._store = store
        self._used: dict[str, float] = {}

    def note(self, key_id: str, at: float) -> None:
        """Note a use, in seconds since the epoch."""
        self._used[key_id] = at

    async def flush(self) -> None:
        """Bring what was noted to the store. Raise `StoreUnavailable`; then it is kept for the next time."""
        used, self._used = self._used, {}
        if not used:
            return
        try:
            await self._store.note_used(used)
        except BaseException:
            # What was used meanwhile is newer.
            self._used = used | self._used
            raise

    async def run(self, *, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Flush every few seconds, for ever, and once more at the end. A store that is away is tried
        again."""
        try:
            while True:
                await pause(FLUSH_SECONDS)
                try:
                    await self.flush()
                except StoreUnavailable:
                    continue
        finally:
            await self._finish()

    async def _finish(self) -> None:
        try:
            async with asyncio.timeout(1.0):
                await self.flush()
        except (StoreUnavailable, TimeoutError):
            return
