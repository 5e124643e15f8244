"""Reading a store again when something comes from elsewhere that may be newer than what is known."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from gateway.ports import Clock, StoreUnavailable

LEAST_SECONDS: Final = 0.1
"""From the beginning of a read to that of the next. Texts that name what nobody has made are free, and must
not become a load for the store."""
MOST_REST: Final = 1.0
"""Seconds after a read at most in which there is none."""
_REST: Final = 4.0
"""How many times as long as a read took there is none after it: where much is kept, reading is work here."""


class SharedRead:
    """One way of reading a store, shared by all who wait for it at the same time."""

    def __init__(self, read: Callable[[], Awaitable[None]], clock: Clock) -> None:
        """`read` may raise `StoreUnavailable`."""
        self._read = read
        self._monotonic = clock.monotonic
        self._reading = asyncio.Lock()
        self._begun = self._finished = 0
        """Numbers of reads. Whoever begins one may leave before it is over."""
        self._next_at = float("-inf")
        """Before this time none begins."""
        self._fault: StoreUnavailable | None = None
        """Why the last one failed; None when it did not."""

    async def again(self) -> None:
        """Return when a read is over that began after this call: what was written before it is known then.

        Raise `StoreUnavailable` when it failed.
        """
        begun = self._begun
        async with self._reading:
            if self._finished <= begun:
                await asyncio.sleep(self._next_at - self._monotonic())
                self._begun += 1
                self._fault = await self._failure()
                self._finished = self._begun
            if self._fault is not None:
                raise StoreUnavailable(str(self._fault))

    async def _failure(self) -> StoreUnavailable | None:
        """Read, and return why that was not possible."""
        began_at = self._monotonic()
        try:
            await self._read()
        except StoreUnavailable as fault:
            return fault
        finally:
            now = self._monotonic()
            self._next_at = max(began_at + LEAST_SECONDS, now + min(_REST * (now - began_at), MOST_REST))
        return None
