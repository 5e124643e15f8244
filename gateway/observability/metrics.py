"""What one process counts. The path of a request only adds to plain numbers; names, labels and text come when
somebody asks.

One event loop uses it, so that nothing needs a lock.
"""

import platform
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Final

from gateway import __version__
from gateway.model import Completion, Outcome, Permit, Reason, Refusal, status_of
from gateway.observability import metrics_families as families
from gateway.observability.logs import log
from gateway.observability.metrics_families import NO_ROUTE, Family, Kind
from gateway.observability.metrics_process import process_values
from gateway.observability.metrics_state import MetricsState, Read, key_of, state_of

# Looking up a member of an enum costs as much as ten of these (Python 3.11).
_COMPLETE: Final = Outcome.COMPLETE
_RATE_EXCEEDED: Final = Reason.RATE_EXCEEDED
_DECISION_BOUNDS: Final = families.DECISION_SECONDS.bounds
_REQUEST_BOUNDS_MS: Final = tuple(bound * 1000 for bound in families.REQUEST_SECONDS.bounds)
_CLASSES: Final = ("none", "1xx", "2xx", "3xx", "4xx", "5xx", "other", "other", "other", "other")
"""By the first digit of a status; 0 is that of a client that was sent nothing."""


class _Traffic:
    """What went to one upstream."""

    __slots__ = ("buckets", "bytes_in", "bytes_out", "endings", "milliseconds")

    def __init__(self) -> None:
        self.buckets = [0] * (len(_REQUEST_BOUNDS_MS) + 1)
        self.milliseconds = 0.0
        self.bytes_in = 0
        self.bytes_out = 0
        self.endings: dict[Outcome, int] = defaultdict(int)
        """Those that are not complete."""


class Metrics:
    """The counters of one process, and where the rest is read from. `worker` is the process's name among its
    siblings."""

    def __init__(self, *, worker: str = "0") -> None:
        self.worker = worker
        self._permits: dict[str, int] = defaultdict(int)
        self._refusals: dict[tuple[str, Reason], int] = defaultdict(int)
        self._limits: dict[str, int] = defaultdict(int)
        self._unknown: dict[str, int] = defaultdict(int)
        self._decision_buckets = [0] * (len(_DECISION_BOUNDS) + 1)
        self._decision_seconds = 0.0
        self._statuses: dict[str, list[int]] = defaultdict(lambda: [0] * len(_CLASSES))
        self._traffic: dict[str, _Traffic] = defaultdict(_Traffic)
        self._sources: dict[Family, Callable[[], Read | None]] = {}
        self._broken: set[Family] = set()
        """Sources that have failed, and been complained about."""

    def watch(self, family: Family, read: Callable[[], Read | None]) -> None:
        """Have a function asked for the value of a metric whenever somebody wants to see it.

        It returns a number, numbers by the value of the label or by the values of the labels, or None when
        there is nothing to say; it must be quick, must not wait and is called on the event loop.
        """
        if family.kind is Kind.HISTOGRAM:
            raise ValueError(f"{family.name} is a histogram, which is not read from elsewhere")
        self._sources[family] = read

    def took(self, seconds: float) -> None:
        """Count how long a decision took, until it was durable."""
        self._decision_buckets[bisect_left(_DECISION_BOUNDS, seconds)] += 1
        self._decision_seconds += seconds

    def decided(self, decision: Permit | Refusal) -> None:
        """Count a decision on a proxied request, or on one that could not be read."""
        if isinstance(decision, Refusal):
            route = decision.route
            self.refused(NO_ROUTE if route is None else route.id, decision)
        else:
            self._permits[decision.route.id] += 1

    def refused(self, route: str, refusal: Refusal) -> None:
        """Count a refusal and the answer that follows from its reason."""
        self._refusals[route, refusal.reason] += 1
        if refusal.broken:
            self._unknown[route] += 1
        if refusal.reason is _RATE_EXCEEDED:
            for tally in refusal.tallies:
                if tally.wait_us:
                    self._limits[tally.limit.id] += 1

    def answered(self, route: str, status: int) -> None:
        """Count an answer that the gateway gave itself, be it from an endpoint of its own."""
        self._permits[route] += 1
        self._statuses[route][status // 100] += 1

    def completed(self, permit: Permit, completion: Completion) -> None:
        """Count how an exchange ended; one without an upstream was answered by the gateway itself."""
        route = permit.route
        self._statuses[route.id][completion.status // 100] += 1
        if not route.upstream:
            return
        traffic = self._traffic[route.upstream]
        milliseconds = completion.duration_ms
        traffic.buckets[bisect_left(_REQUEST_BOUNDS_MS, milliseconds)] += 1
        traffic.milliseconds += milliseconds
        traffic.bytes_in += completion.bytes_in
        traffic.bytes_out += completion.bytes_out
        if completion.outcome is not _COMPLETE:
            traffic.endings[completion.outcome] += 1

    def state(self) -> MetricsState:
        """Return all that is known now, as a value of its own. To be called where the counting is done."""
        values: dict[Family, Read] = {
            families.REQUESTS: self._requests(),
            families.RESPONSES: self._responses(),
            families.EXCHANGES: self._exchanges(),
            families.REQUEST_BYTES: {name: one.bytes_in for name, one in self._traffic.items()},
            families.RESPONSE_BYTES: {name: one.bytes_out for name, one in self._traffic.items()},
            families.LIMIT_REFUSALS: self._limits,
            families.BROKEN_CONDITIONS: self._unknown,
            families.BUILD: {(__version__, platform.python_version()): 1},
            **process_values(),
        }
        state = state_of(values, worker=self.worker)
        for family in self._sources:
            state |= self._asked(family)
        sum_us = round(self._decision_seconds * 1_000_000)
        state[families.DECISION_SECONDS.name] = {"": [sum_us, *self._decision_buckets]}
        state[families.REQUEST_SECONDS.name] = {
            key_of(families.REQUEST_SECONDS, name): [round(one.milliseconds * 1000), *one.buckets]
            for name, one in self._traffic.items()
        }
        return state

    def _requests(self) -> Mapping[tuple[str, str, str], int]:
        permits = {(route, "allow", "ok"): count for route, count in self._permits.items()}
        refusals = {(route, "deny", why.value): count for (route, why), count in self._refusals.items()}
        return {**permits, **refusals}

    def _responses(self) -> Mapping[tuple[str, str], int]:
        counted: dict[tuple[str, str], int] = defaultdict(int)
        for route, by_class in self._statuses.items():
            for name, count in zip(_CLASSES, by_class, strict=True):
                if count:
                    counted[route, name] += count
        for (route, reason), count in self._refusals.items():
            counted[route, _CLASSES[status_of(reason) // 100]] += count
        return counted

    def _exchanges(self) -> Mapping[tuple[str, str], int]:
        counted: dict[tuple[str, str], int] = {}
        for name, one in self._traffic.items():
            counted[name, _COMPLETE.value] = sum(one.buckets) - sum(one.endings.values())
            for outcome, count in one.endings.items():
                counted[name, outcome.value] = count
        return counted

    def _asked(self, family: Family) -> MetricsState:
        try:
            value = self._sources[family]()
            return {} if value is None else state_of({family: value}, worker=self.worker)
        except Exception as error:  # noqa: BLE001 - one source that fails must not hide all others
            if family not in self._broken:
                self._broken.add(family)
                log.error("metric_unreadable", metric=family.name, error=type(error).__name__, exc_info=error)
            return {}
