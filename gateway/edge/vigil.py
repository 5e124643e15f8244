"""Who watches over what goes on for long: it ends when its permit does not hold any more."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from gateway.model import Permit, Reason
from gateway.ports import StoreUnavailable
from gateway.proxy import Ongoing

SWEEP_SECONDS: Final = 1.0
"""Between two looks at everything. Streams end within two seconds of whatever ends them."""
ANSWER_SECONDS: Final = 0.8
"""How long a store may take to say what it knows of a caller, so that the next look is not late."""
UNKNOWN_SECONDS: Final = 5.0
"""How long something may go on about whose caller nobody can say anything."""
_AT_ONCE: Final = 16
"""Questions to stores at the same time."""
_BREATH: Final = 100
"""Exchanges that are looked at before everything else gets its turn."""


class Judge(Protocol):
    """Who says whether a permit still holds: the enforcement point."""

    def refuses_now(self, permit: Permit) -> Reason | None:
        """Return why the policy in force would refuse at this moment, or that the credential has expired."""

    async def has_recalled(self, permit: Permit, *, is_stream: bool) -> Reason | None:
        """Return why a permit does not hold by what is known of its caller. Raise `StoreUnavailable`."""


class Vigil:
    """Implements `proxy.Watch`: looks at every ongoing exchange once a second.

    Streams end when their credential expires, is revoked, or the policy in force would refuse them; other
    answers only when it is revoked.
    """

    def __init__(self, judge: Judge, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.verdicts: dict[str, Reason] = {}
        """Why exchanges were ended, by request id, until somebody asks."""
        self._judge = judge
        self._monotonic = monotonic
        self._ongoing: dict[Ongoing, float | None] = {}
        """Since when nobody could say whether the caller is still good; None: they can."""

    def __repr__(self) -> str:
        return f"Vigil(ongoing={len(self._ongoing)})"

    def begin(self, exchange: Ongoing) -> None:
        """Take an exchange whose response goes on."""
        self._ongoing[exchange] = None

    def over(self, exchange: Ongoing) -> None:
        """Forget an exchange that has ended."""
        self._ongoing.pop(exchange, None)

    def verdict(self, permit: Permit) -> Reason | None:
        """Return why an exchange was ended here, once; None when it was not."""
        return self.verdicts.pop(permit.head.id, None)

    def end_all(self, *, going_away: bool) -> None:
        """End everything that is ongoing, because the gateway is `going_away` or nothing holds any more."""
        for exchange in tuple(self._ongoing):
            self._end(exchange, Reason.DRAINING, going_away=going_away)

    async def run(self) -> None:
        """Look at everything once a second, for ever."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            await self.sweep()

    async def sweep(self) -> None:
        """Look at everything once."""
        # First what is known here, so that a store that does not answer delays none of it.
        for count, exchange in enumerate(tuple(self._ongoing), 1):
            if exchange.is_stream and (reason := self._judge.refuses_now(exchange.permit)) is not None:
                self._end(exchange, reason)
            if not count % _BREATH:
                await asyncio.sleep(0)
        left = iter([one for one in self._ongoing if not one.permit.principal.is_anonymous])
        silent: set[str] = set()
        async with asyncio.TaskGroup() as group:
            for _ in range(min(_AT_ONCE, len(self._ongoing))):
                group.create_task(self._ask(left, silent))

    async def _ask(self, exchanges: Iterator[Ongoing], silent: set[str]) -> None:
        """Ask about callers, one after the other; `silent` are the authenticators that could not answer."""
        for count, exchange in enumerate(exchanges, 1):
            authenticator = exchange.permit.principal.authn
            if authenticator in silent:
                self._unknown(exchange)
                continue
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    reason = await self._judge.has_recalled(exchange.permit, is_stream=exchange.is_stream)
            except (StoreUnavailable, TimeoutError):
                silent.add(authenticator)
                self._unknown(exchange)
            else:
                if reason is not None:
                    self._end(exchange, reason)
                elif exchange in self._ongoing:
                    self._ongoing[exchange] = None
            if not count % _BREATH:
                await asyncio.sleep(0)

    def _unknown(self, exchange: Ongoing) -> None:
        if exchange not in self._ongoing:
            return
        now = self._monotonic()
        since = self._ongoing[exchange]
        if since is None:
            self._ongoing[exchange] = now
        elif now - since >= UNKNOWN_SECONDS:
            self._end(exchange, Reason.DEPENDENCY_UNAVAILABLE)

    def _end(self, exchange: Ongoing, reason: Reason, *, going_away: bool = False) -> None:
        if exchange in self._ongoing:
            del self._ongoing[exchange]
            self.verdicts[exchange.permit.head.id] = reason
            exchange.recall(going_away=going_away)
