"""The live side of one upstream: its connections, whose turn it is, and how many retries are left."""

from collections import Counter
from typing import Final, NamedTuple

from gateway.config import Upstream
from gateway.proxy.balance import RoundRobin
from gateway.proxy.connection import Connection
from gateway.proxy.faults import Fault, UpstreamFault
from gateway.proxy.pool import Pool
from gateway.proxy.request_head import RequestHeads
from gateway.proxy.response_head import ResponseHeads
from gateway.proxy.retry import RetryBudget

_CONNECT_FAULTS: Final = (Fault.CONNECT, Fault.CONNECT_TIMEOUT)


class Usage(NamedTuple):
    """What the live side of an upstream is doing, and what has failed since it began."""

    busy: int
    """Connections that carry an exchange, are being opened or closed."""
    idle: int
    waiting: int
    """Exchanges that wait for a connection."""
    retries: int
    """Times that a target could not be connected to and another one was tried."""
    faults: dict[Fault, int]
    """Exchanges that failed."""


class Fleet:
    """The targets of one upstream."""

    def __init__(self, upstream: Upstream) -> None:
        self.faults: Counter[Fault] = Counter()
        """Exchanges that failed, by what failed."""
        self._retries = 0
        self._pools: dict[str, Pool] = {}
        self._retired: list[Pool] = []
        self._adopt(upstream)

    def __repr__(self) -> str:
        return f"Fleet({self.upstream.id}, {list(self._pools.values())})"

    def follow(self, upstream: Upstream) -> None:
        """Go over to a new configuration, keeping the connections to targets that are still named."""
        if upstream is not self.upstream:
            self._adopt(upstream)

    def requests(self, credential_fields: frozenset[bytes]) -> RequestHeads:
        """Return what writes request heads when these fields carry credentials."""
        heads = self._requests.get(credential_fields)
        if heads is None:
            heads = self._requests[credential_fields] = RequestHeads(self.upstream.forward, credential_fields)
        return heads

    async def reach(self) -> tuple[Pool, Connection]:
        """Return a connection to the target whose turn it is.

        A target that cannot be connected to is passed over for another, within the rules for retries:
        nothing has been sent yet. Raises `UpstreamFault`.
        """
        self._budget.earn()
        tried: tuple[int, ...] = ()
        while (index := self._balance.turn(tried)) is not None:
            pool = self._line[index]
            connection = pool.take()
            if connection is not None:
                return pool, connection
            try:
                return pool, await pool.get(self.upstream.timeouts.connect)
            except UpstreamFault as fault:
                tried = (*tried, index)
                may_retry = len(tried) <= self.upstream.retries.max and len(tried) < len(self._line)
                if fault.fault not in _CONNECT_FAULTS or not may_retry or not self._budget.spend():
                    raise
                self._retries += 1
        raise UpstreamFault(Fault.NO_UPSTREAM, f"{self.upstream.id} has no target")

    def usage(self) -> Usage:
        """Return what it is doing now."""
        pools = (*self._pools.values(), *self._retired)
        idle = sum(pool.idle for pool in pools)
        return Usage(
            busy=sum(pool.count for pool in pools) - idle,
            idle=idle,
            waiting=sum(pool.waiting for pool in pools),
            retries=self._retries,
            faults=dict(self.faults),
        )

    def close(self) -> None:
        """Close every connection."""
        for pool in (*self._pools.values(), *self._retired):
            pool.close()

    def _adopt(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.responses = ResponseHeads(upstream.forward)
        self._requests: dict[frozenset[bytes], RequestHeads] = {}
        self._balance = RoundRobin([target.weight for target in upstream.targets])
        self._budget = RetryBudget(upstream.retries.budget)
        self._line: list[Pool] = []
        old, self._pools = self._pools, {}
        for target in upstream.targets:
            # A target may be named twice, and its weight may change: it is one set of connections.
            name = target.authority
            pool = self._pools.get(name) or old.pop(name, None) or Pool(target, upstream.pool)
            pool.rules = upstream.pool
            self._pools[name] = pool
            self._line.append(pool)
        for pool in old.values():
            pool.retire()
        self._retired = [pool for pool in (*self._retired, *old.values()) if pool.count]
