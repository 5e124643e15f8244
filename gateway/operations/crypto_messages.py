"""How many messages were encrypted with each key, and what follows from it.

Every message has a random initialization vector, and under one key there may be 2^32 of them (NIST SP 800-38D
section 8.3). Processes count for themselves and add up in the database; one that is killed forgets what it
has counted since, for which half of what is allowed is left.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from gateway.accounts import AccountRefusal
from gateway.crypto import CryptoKeys, Sealer
from gateway.operations.crypto_keys import rotate_after
from gateway.ports import Clock, CryptoKeyStore, Events, StoredCryptoKey, StoreUnavailable

MOST_MESSAGES: Final = 2**31
"""Messages under one version; then the gateway makes the next one by itself."""
MANY_MESSAGES: Final = MOST_MESSAGES // 2
"""Messages under one version at which that is announced: the next version is of random bytes, and whoever
shares the key with others brings one along before."""
COUNT_SECONDS: Final = 30.0
_LAST_SECONDS: Final = 1.0
"""How long the end of a process may wait for the database."""

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("gateway.keys")


class Messages:
    """What one process has encrypted and not told the database yet."""

    def __init__(
        self, ring: CryptoKeys, keys: CryptoKeyStore, sealer: Sealer, events: Events, clock: Clock
    ) -> None:
        self._ring = ring
        self._keys = keys
        self._sealer = sealer
        self._events = events
        self._clock = clock
        self._untold: dict[tuple[str, int], int] = {}
        self._used: set[str] = set()
        """Names of keys that are to be looked at: they were counted, and perhaps could not be rotated."""
        self._announced: set[tuple[str, int]] = set()
        """Versions of which it was said that they have encrypted much."""

    async def tell(self) -> None:
        """Add what was encrypted to what the database knows. Raise `StoreUnavailable`; then it is kept for
        the next time."""
        for used, count in self._ring.take_counts().items():
            self._untold[used] = self._untold.get(used, 0) + count
        if not self._untold:
            return
        await self._keys.count(self._untold)
        self._used.update(name for name, _ in self._untold)
        self._untold = {}

    async def rotate_worn(self) -> None:
        """Make the next version of each key whose newest has encrypted as much as it may. Of processes that
        do it at once, one does. Raise `StoreUnavailable`."""
        while self._used:
            name = next(iter(self._used))
            key = await self._keys.find(name)
            if key is not None and key.newest.messages >= MANY_MESSAGES:
                await self._spare(key)
            self._used.discard(name)

    async def _spare(self, key: StoredCryptoKey) -> None:
        """Rotate a key that has encrypted enough, and say so when it soon will have."""
        newest = key.newest
        if newest.messages >= MOST_MESSAGES:
            rotated = await rotate_after(
                self._keys, self._sealer, self._events, self._clock, key=key, operator=None
            )
            if not isinstance(rotated, AccountRefusal):
                _log.warning(
                    "crypto_keys.rotated",
                    key=key.name,
                    detail="the newest version had encrypted 2^31 messages",
                )
        elif (key.name, newest.version) not in self._announced:
            self._announced.add((key.name, newest.version))
            _log.warning(
                "crypto_keys.worn",
                key=key.name,
                version=newest.version,
                messages=newest.messages,
                detail="after 2^31 messages the gateway makes the next version, of random bytes; "
                "if others have this key too, bring one along before",
                run=f"gateway crypto-keys rotate {key.name} --jwk-file FILE",
            )

    async def keep_young(self, *, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Tell the database what was encrypted and rotate what is due, every half a minute, for ever; tell it
        once more at the end. What fails is tried again."""
        try:
            while True:
                await pause(COUNT_SECONDS)
                try:
                    await self.tell()
                    await self.rotate_worn()
                except StoreUnavailable as fault:
                    _log.error("crypto_keys.not_counted", detail=str(fault))
        finally:
            await self._finish()

    async def _finish(self) -> None:
        try:
            async with asyncio.timeout(_LAST_SECONDS):
                await self.tell()
        except (StoreUnavailable, TimeoutError):
            return
