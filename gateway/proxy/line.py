"""Exchanges that wait for a connection to any target of an upstream, longest first.

State is changed in methods without awaits. What is given to somebody who leaves at that very moment is passed
on.
"""

import asyncio
from collections import deque
from collections.abc import Collection
from typing import Generic, Protocol, TypeVar

from gateway.proxy.connection import Connection
from gateway.proxy.faults import Fault, UpstreamFault


class Giver(Protocol):
    """A pool, as far as the line goes."""

    def take_back(self, connection: Connection | None) -> None:
        """Take a connection, or the right to open one (None), that nobody uses after all."""


G = TypeVar("G", bound=Giver)


class _Waiter(Generic[G]):
    __slots__ = ("given", "passed_over")

    def __init__(self, passed_over: Collection[G]) -> None:
        self.given: asyncio.Future[tuple[G, Connection | None]] = asyncio.get_running_loop().create_future()
        self.passed_over = passed_over


class Line(Generic[G]):
    """Who waits. Pools serve it when they have something to give."""

    __slots__ = ("_upstream", "waiters")

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self.waiters: deque[_Waiter[G]] = deque()

    def __repr__(self) -> str:
        return f"Line({self._upstream}, {len(self.waiters)} waiting)"

    def serve(self, giver: G, connection: Connection | None) -> bool:
        """Give a connection, or the right to open one (None), to whoever waits longest and does not pass this
        pool over; False when there is nobody."""
        for waiter in self.waiters:
            # Somebody who was cancelled stays in line until the loop comes to it.
            if not waiter.given.done() and giver not in waiter.passed_over:
                self.waiters.remove(waiter)
                waiter.given.set_result((giver, connection))
                return True
        return False

    def turn_away(self, fault: UpstreamFault) -> None:
        """End the wait of everybody."""
        for waiter in self.waiters:
            if not waiter.given.done():
                waiter.given.set_exception(fault)

    async def wait(self, within: float, most: int, passed_over: Collection[G]) -> tuple[G, Connection | None]:
        """Return what a pool that is not passed over gives: a connection, or room reserved for a new one.

        Waits `within` seconds at most. Raises `UpstreamFault` with `POOL_FULL` when that is not enough, or
        when `most` wait already.
        """
        if len(self.waiters) >= most:
            raise UpstreamFault(Fault.POOL_FULL, f"{self!r}: the line is full")
        waiter = _Waiter(passed_over)
        self.waiters.append(waiter)
        try:
            async with asyncio.timeout(within):
                return await waiter.given
        except BaseException as problem:
            self._leave(waiter)
            if isinstance(problem, TimeoutError):
                raise UpstreamFault(Fault.POOL_FULL, f"{self!r}: the line did not move in time") from None
            raise

    def _leave(self, waiter: _Waiter[G]) -> None:
        if waiter in self.waiters:
            self.waiters.remove(waiter)
        given = waiter.given
        if given.done() and not given.cancelled() and given.exception() is None:
            giver, connection = given.result()
            giver.take_back(connection)
