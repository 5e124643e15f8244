"""Where limits are counted: in this process, or in the Redis that processes and replicas share."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from gateway.assembly.stores import StartRefused, Stores
from gateway.ports import CounterStore
from gateway.stores.memory import MemoryCounters
from gateway.stores.redis import Link, Peers, RedisAddress, RedisCounters, RedisUnusable


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """Counters in Redis, the way there, and who else counts there."""

    counters: RedisCounters
    link: Link
    peers: Peers


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    """The counters, and what they need to be kept going."""

    store: CounterStore
    local: MemoryCounters
    """What is counted in this process: everything, or what cannot be counted in Redis at the moment."""
    shared: Shared | None = None
    """What is counted in Redis, None when that is not configured."""

    def fault(self) -> str | None:
        """Say why counting is not what it should be, None when it is."""
        return None if self.shared is None else self.shared.link.fault


@contextlib.asynccontextmanager
async def counting(stores: Stores) -> AsyncIterator[Counting]:
    """Lend the counters. Raise `StartRefused` when Redis refuses us; one that is away is waited for."""
    local = MemoryCounters(stores.clock)
    if stores.redis is None:
        yield Counting(store=local, local=local)
        return
    async with _shared(stores, stores.redis, local) as shared:
        yield shared


@contextlib.asynccontextmanager
async def _shared(stores: Stores, address: RedisAddress, local: MemoryCounters) -> AsyncIterator[Counting]:
    link = Link(address, scripts=[RedisCounters.script])
    peers = Peers(address, name=stores.audit.spool.writer, at_least=stores.settings.workers)
    counters = RedisCounters(
        link,
        local,
        stores.clock,
        key_secret=stores.roots.derive("counter-keys"),
        processes=lambda: peers.count,
    )
    try:
        await link.start()
    except RedisUnusable as fault:
        raise StartRefused(str(fault)) from None
    try:
        shared = Shared(counters=counters, link=link, peers=peers)
        yield Counting(store=counters, local=local, shared=shared)
    finally:
        await link.close()
