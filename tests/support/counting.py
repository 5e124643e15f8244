"""Limits, charges, and counters on Redis that go by a clock of the test's own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from gateway.model import Algorithm, Charge, Limit, OnStoreError
from gateway.ports import Clock, StoreUnavailable
from gateway.ports.clock import SystemClock
from gateway.stores.memory import MemoryCounters
from gateway.stores.redis import Link, RedisAddress, RedisCounters, Reply
from gateway.stores.redis.encoding import bulk
from gateway.stores.redis.script import DEBIT, GIVE_BACK, TAKE

SECOND = 1_000_000
KEY_SECRET = b"0123456789abcdef0123456789abcdef"


@dataclass
class StandingClock:
    """A clock that moves when told; in whole microseconds, so that nothing is lost to rounding."""

    us: int = 5_000 * SECOND

    def advance(self, us: int) -> None:
        self.us += us

    def now(self) -> float:
        return self.us / SECOND

    def monotonic(self) -> float:
        return self.us / SECOND


class StandingLink(Link):
    """A link that tells the script the time of a standing clock, in place of the server's."""

    clock: StandingClock

    def send(self, command: bytes) -> asyncio.Future[Reply]:
        for order in (TAKE, DEBIT, GIVE_BACK):
            timed = bulk(b"%b%d" % (order[4:5], self.clock.us))
            command = command.replace(b"\r\n" + order, b"\r\n" + timed)
        return super().send(command)


State = Literal["up", "slow", "down", "deaf"]


class UnreliableLink(StandingLink):
    """A link that is down when told. When slow or deaf, Redis does what it is told. The reply comes late
    over a slow link, which was never down; over a deaf one it is lost.
    """

    state: State = "up"

    @property
    def fault(self) -> str | None:
        return None if self.state in {"up", "slow"} else "told to fail"

    def become(self, state: State) -> None:
        was_down = self.fault is not None
        self.state = state
        if was_down and self.fault is None and self.on_up is not None:
            self.on_up()

    def send(self, command: bytes) -> asyncio.Future[Reply]:
        if self.state == "down":
            raise StoreUnavailable("told to fail")
        future = super().send(command)
        if self.state == "up":
            return future
        is_slow = self.state == "slow"
        given_up: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        def end(future: asyncio.Future[Reply]) -> None:
            given_up.set_exception(StoreUnavailable(f"told to be {self.state}"))
            if is_slow and self.on_late is not None:
                self.on_late(given_up, future.result())

        future.add_done_callback(end)
        return given_up


@asynccontextmanager
async def counters_on(
    url: str,
    clock: Clock | None = None,
    *,
    processes: Callable[[], int] = lambda: 1,
    timeout: float = 1.0,
) -> AsyncIterator[tuple[RedisCounters, Link]]:
    """Count on a Redis server, with its time or that of a standing clock."""
    make = UnreliableLink if isinstance(clock, StandingClock) else Link
    link = make(RedisAddress.parse(url), scripts=[RedisCounters.script], timeout=timeout)
    if isinstance(link, StandingLink) and isinstance(clock, StandingClock):
        link.clock = clock
    clock = clock or SystemClock()
    counters = RedisCounters(link, MemoryCounters(clock), clock, key_secret=KEY_SECRET, processes=processes)
    await link.start()
    try:
        yield counters, link
    finally:
        await link.close()


def limit(
    name: str = "x",
    quota: int = 3,
    *,
    window_us: int = 10 * SECOND,
    algorithm: Algorithm = Algorithm.WINDOW,
    per: tuple[str, ...] = ("principal",),
    burst: int = 0,
    cost: int = 1,
    on_store_error: OnStoreError = OnStoreError.LOCAL,
) -> Limit:
    """Return a limit with what a test says of it."""
    return Limit(
        id=name,
        place="policies.yaml:1",
        algorithm=algorithm,
        per=per,
        quota=quota,
        window_us=window_us,
        burst=burst or quota,
        cost=cost,
        on_store_error=on_store_error,
    )


def charge(of: Limit, who: str = "a") -> Charge:
    """Return what somebody would be charged."""
    return Charge(of, (of.id, who))
