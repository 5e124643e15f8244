"""Blocked addresses held in memory and kept up to date by following the change feed."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from gateway.model import client_key
from gateway.ports import Block, BlockStore, Change, Clock, StoreUnavailable

RETRY_SECONDS: Final = 0.3
SWEEP_SECONDS: Final = 10.0
"""Between two looks for blocks that are over, so that nobody pays for those of yesterday."""
_FOREVER: Final = float("inf")

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("gateway.blocks")


class FollowedBlocks:
    """What the store says of addresses that are shut out at the moment.

    `spares` says of which addresses no block holds, whatever is stored: trusted proxies, who speak for
    everybody behind them. Clients of a unix socket have no address, and are never blocked.
    """

    def __init__(self, store: BlockStore, clock: Clock, *, spares: Callable[[str], bool]) -> None:
        self.any = False
        """Whether anybody is blocked: all that it costs while nobody is."""
        self._store = store
        self._now = clock.now
        self._spares = spares
        self._until: dict[str, float] = {}
        self._stale: set[str] = set()
        self._noticed = asyncio.Event()

    def __repr__(self) -> str:
        return f"FollowedBlocks({len(self._until)})"

    def __len__(self) -> int:
        return len(self._until)

    def spares(self, client: str) -> bool:
        """Say whether an address is never blocked."""
        return not client or self._spares(client)

    def holds(self, client: str) -> float | None:
        """Return the seconds until the block of a client's address ends (infinite: until it is lifted), None
        when there is no block."""
        until = self._until.get(client_key(client))
        if until is None:
            return None
        left = until - self._now()
        return left if left > 0 and not self.spares(client) else None

    async def start(self) -> None:
        """Learn of the blocks that hold. Raise `StoreUnavailable`."""
        for block in await self._store.present(now=self._now()):
            self.take(block)

    def take(self, block: Block) -> None:
        """Have a block hold here at once: for whoever stores one, before answering."""
        self._until[block.network] = _FOREVER if block.until is None else block.until
        self.any = True

    def notice(self, change: Change) -> None:
        """Note that a block came or went: what to subscribe with to the change feed."""
        self._stale.add(change.subject)
        self._noticed.set()

    async def follow(self, *, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Look up every noticed change, for ever. While that fails, what is known stays in force."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SWEEP_SECONDS):
                    await self._noticed.wait()
            self._noticed.clear()
            try:
                await self._look_up()
            except StoreUnavailable as fault:
                _log.error("blocks.not_read", detail=str(fault))
                self._noticed.set()
                await pause(RETRY_SECONDS)
            self.sweep()

    def sweep(self) -> None:
        """Forget what is over."""
        now = self._now()
        for network in [network for network, until in self._until.items() if until <= now]:
            del self._until[network]
        self.any = bool(self._until)

    async def _look_up(self) -> None:
        while self._stale:
            network = self._stale.pop()
            try:
                block = await self._store.find(network)
            except StoreUnavailable:
                self._stale.add(network)
                raise
            if block is None:
                self._until.pop(network, None)
            else:
                self.take(block)
