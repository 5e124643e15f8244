"""One target as it is at the moment: its connections, how it does, and whether it is chosen."""

import asyncio
from typing import Literal

from gateway.config import HealthRules, OutlierRules, Target
from gateway.observability import log
from gateway.proxy.outlier import Failures
from gateway.proxy.pool import Pool

TargetState = Literal["healthy", "unhealthy", "ejected"]


class Instance:
    """The live side of one target."""

    __slots__ = (
        "_back",
        "_contradicting",
        "_failures",
        "_is_healthy",
        "_is_retired",
        "_upstream",
        "checks",
        "ejections",
        "is_out",
        "name",
        "pool",
        "target",
        "weight",
    )

    def __init__(self, upstream: str, target: Target, pool: Pool) -> None:
        self._upstream = upstream
        self.target = target
        self.name = target.name
        self.weight = target.weight
        self.pool = pool
        self.is_out = False
        """Whether it is unhealthy or ejected, and therefore not chosen."""
        self.ejections = 0
        """How often it was left out because exchanges failed."""
        self.checks = {"good": 0, "bad": 0}
        """How often it was asked how it is, by what came of it."""
        self._is_healthy = True
        self._is_retired = False
        self._contradicting = 0
        self._failures = Failures()
        self._back: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"Instance({self.name}, {self.state}, {self.pool!r})"

    @property
    def load(self) -> int:
        """Exchanges that it carries."""
        return self.pool.busy

    @property
    def is_ejected(self) -> bool:
        """Whether it is left out for a while because exchanges failed."""
        return self._back is not None

    @property
    def state(self) -> TargetState:
        """Why it is chosen or not."""
        if not self._is_healthy:
            return "unhealthy"
        return "ejected" if self.is_ejected else "healthy"

    def checked(self, rules: HealthRules, problem: str | None) -> None:
        """Take what came of a check: what is wrong with the target, or None."""
        good = problem is None
        self.checks["good" if good else "bad"] += 1
        if good is self._is_healthy:
            self._contradicting = 0
            return
        self._contradicting += 1
        if self._contradicting < (rules.healthy_after if good else rules.unhealthy_after):
            return
        if good:
            log.info("target_healthy", upstream=self._upstream, target=self.name)
        else:
            log.warning("target_unhealthy", upstream=self._upstream, target=self.name, error=problem)
        self._set_healthy(is_healthy=good)

    def is_checked_no_more(self) -> None:
        """Take the target for healthy: nobody asks it."""
        self._set_healthy(is_healthy=True)

    def went_well(self) -> None:
        """Count an exchange that did not fail."""
        self._failures.good()

    def failed(self, rules: OutlierRules) -> bool:
        """Count one that did; return whether there were too many in a row."""
        return not (self.is_ejected or self._is_retired) and self._failures.bad(rules)

    def eject(self, rules: OutlierRules) -> None:
        """Leave the target out for a while."""
        loop = asyncio.get_running_loop()
        seconds = self._failures.eject(rules, loop.time())
        log.warning("target_ejected", upstream=self._upstream, target=self.name, seconds=seconds)
        self.ejections += 1
        self._back = loop.call_later(seconds, self._return)
        self._weigh()

    def pardon(self) -> None:
        """End an ejection early: nobody counts failures."""
        self._failures = Failures()
        if self._back is not None:
            self._back.cancel()
            self._back = None
            self._weigh()

    def retire(self) -> None:
        """Keep nothing from now on, for good; exchanges that run go on, and whatever becomes of them changes
        nothing."""
        self._is_retired = True
        self.pardon()
        self.pool.keep_nothing()

    def _return(self) -> None:
        self._back = None
        log.info("target_returned", upstream=self._upstream, target=self.name)
        self._weigh()

    def _set_healthy(self, *, is_healthy: bool) -> None:
        self._contradicting = 0
        if is_healthy is not self._is_healthy:
            self._is_healthy = is_healthy
            self._weigh()

    def _weigh(self) -> None:
        is_out = not self._is_healthy or self.is_ejected
        if is_out is self.is_out or self._is_retired:
            return
        self.is_out = is_out
        if is_out:
            self.pool.keep_nothing()
        else:
            self.pool.keep_again()
