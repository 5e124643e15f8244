"""When a whole upstream is left alone: it carries too much already, or too much of what it carried failed."""

from collections import deque
from collections.abc import Callable
from typing import Final, Literal

from gateway.config import CircuitRules
from gateway.observability import log
from gateway.proxy.faults import Fault, UpstreamFault

CircuitState = Literal["closed", "open", "probing"]

_SLOTS: Final = 10
"""Parts of the time that is looked at; what is older than all of them is forgotten part by part."""


class Circuit:
    """Counts the exchanges of one upstream, and says whether it may have another."""

    def __init__(self, upstream: str, rules: CircuitRules, now: Callable[[], float]) -> None:
        """`now` is a clock in seconds that never steps."""
        self._upstream = upstream
        self._now = now
        self._active = 0
        self._probes = 0
        self._probe_at: float | None = None
        """When an open circuit lets the next exchange through; None while it is closed."""
        # Each slot has its number, and how many exchanges ended in it: all, and the bad ones.
        self._window: deque[list[int]] = deque()
        self._all = 0
        self._bad = 0
        self.rules = rules

    def __repr__(self) -> str:
        return f"Circuit({self._upstream}, {self.state}, active={self._active}, bad={self._bad}/{self._all})"

    @property
    def state(self) -> CircuitState:
        """Whether exchanges are let through, and whether one is being tried out."""
        if self._probe_at is None:
            return "closed"
        return "probing" if self._probes else "open"

    @property
    def active(self) -> int:
        """Exchanges that were let through and have not ended."""
        return self._active

    def follow(self, rules: CircuitRules) -> None:
        """Go over to other rules; what was counted stays unless they count differently."""
        if rules.open_after != self.rules.open_after:
            self._close()
        self.rules = rules

    def enter(self) -> bool:
        """Let an exchange through, until `leave`; return whether it is a probe.

        Raises `UpstreamFault` with `TOO_MANY` or `CIRCUIT_OPEN`.
        """
        most = self.rules.max_concurrent
        if most is not None and self._active >= most:
            raise UpstreamFault(Fault.TOO_MANY, f"{self._upstream} carries {self._active} exchanges")
        is_probe = self._probe_at is not None
        if self._probe_at is not None:
            now = self._now()
            if now < self._probe_at:
                raise UpstreamFault(Fault.CIRCUIT_OPEN, f"{self._upstream}: too many exchanges failed")
            self._probe_at = now + self.rules.probe_every
            self._probes += 1
        self._active += 1
        return is_probe

    def leave(self, *, is_probe: bool) -> None:
        """End an exchange that was let through."""
        self._active -= 1
        self._probes -= is_probe

    def count(self, *, good: bool, is_probe: bool) -> None:
        """Count how an exchange went. A good probe closes the circuit; of an open one nothing else counts."""
        if self._probe_at is not None:
            if is_probe and good:
                log.info("circuit_closed", upstream=self._upstream)
                self._close()
            return
        rules = self.rules.open_after
        if rules is None:
            return
        slot = int(self._now() * _SLOTS / rules.within)
        window = self._window
        while window and window[0][0] <= slot - _SLOTS:
            _, count, bad = window.popleft()
            self._all -= count
            self._bad -= bad
        if not window or window[-1][0] != slot:
            window.append([slot, 0, 0])
        window[-1][1] += 1
        window[-1][2] += not good
        self._all += 1
        self._bad += not good
        if not good and self._all >= rules.at_least and self._bad >= rules.errors * self._all:
            log.warning("circuit_opened", upstream=self._upstream, failed=self._bad, of=self._all)
            self._probe_at = self._now() + self.rules.probe_every

    def _close(self) -> None:
        self._probe_at = None
        self._window.clear()
        self._all = self._bad = 0
