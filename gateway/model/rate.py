"""The arithmetic of limits: what one limit has counted for one key, and what it says now.

Times are whole microseconds of a clock that never goes back. A meter is asked first (`wait_us`, which changes
nothing) and charged afterwards (`spend`), so that whoever holds the meters of all limits of a request can
charge all of them or none.

Two algorithms:

* A window admits never more than `quota` in any half-open window of `window_us`. Up to 256 it remembers every
  hit. Above, hits share 64 slots, and a slot counts until all of its hits are old: never more than `quota`,
  and a hit may be held `window_us / 64` longer than it should.
* GCRA admits at most `burst + t / T` in any time `t`, where `T` is `window_us / quota`, rounded up to a whole
  microsecond.
"""

from bisect import bisect_right

from gateway.model.limit import Algorithm, Limit

LARGEST_LOG = 256
"""Quotas up to here are counted hit by hit."""
SLOTS = 64
NEVER = 1 << 62
"""A time that does not come."""


class WindowMeter:
    """Hits of a sliding window, each with the time at which it stops counting."""

    __slots__ = ("_counts", "_expiries", "_total", "limit", "refuses_until")

    algorithm = Algorithm.WINDOW

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.refuses_until = 0
        """A request before this time is refused."""
        self._expiries: list[int] = []
        """Ascending."""
        self._counts: list[int] = []
        self._total = 0
        self._look_ahead()

    @property
    def neutral_at(self) -> int:
        """When the last hit stops counting, so that a new meter says the same; 0 when there is none."""
        return self._expiries[-1] if self._expiries else 0

    def adopt(self, limit: Limit) -> None:
        """Go on with another quota or window; what was counted keeps counting, for the new window."""
        longer = limit.window_us - self.limit.window_us
        if longer:
            self._expiries = [expiry + longer for expiry in self._expiries]
        self.limit = limit
        self._look_ahead()

    def wait_us(self, now: int) -> int:
        """Return how long until the limit admits a request, 0 when it does now."""
        until = self.refuses_until
        return 0 if until <= now else self.limit.window_us if until == NEVER else until - now

    def spend(self, now: int) -> tuple[int, int]:
        """Count one request, and return what `left` would."""
        limit = self.limit
        expiries = self._expiries
        if expiries and expiries[0] <= now:
            self._forget(now)
        expiry = _expiry(now, limit)
        cost = limit.cost
        self._total = total = self._total + cost
        if expiries and expiries[-1] >= expiry:
            # The same slot; or a later end, from a time when the quota was large enough for slots.
            self._counts[-1] += cost
        else:
            expiries.append(expiry)
            self._counts.append(cost)
        remaining = limit.quota - total
        if remaining < cost:
            self._look_ahead()
        return remaining, expiries[0] - now

    def left(self, now: int) -> tuple[int, int]:
        """Return how many requests of cost 1 would be admitted now, and the time until there are more."""
        expiries = self._expiries
        first = bisect_right(expiries, now)
        used = self._total - sum(self._counts[:first])
        return max(0, self.limit.quota - used), expiries[first] - now if first < len(expiries) else 0

    def _look_ahead(self) -> None:
        """Find out when so many hits have stopped counting that another request fits in."""
        limit = self.limit
        excess = self._total + limit.cost - limit.quota
        self.refuses_until = 0
        if excess <= 0:
            return
        for expiry, count in zip(self._expiries, self._counts, strict=True):
            excess -= count
            if excess <= 0:
                self.refuses_until = expiry
                return
        # A cost above the quota never passes.
        self.refuses_until = NEVER

    def _forget(self, now: int) -> None:
        first = bisect_right(self._expiries, now)
        self._total -= sum(self._counts[:first])
        del self._expiries[:first]
        del self._counts[:first]


class GcraMeter:
    """The theoretical arrival: when everything that was admitted would have come at the even rate."""

    __slots__ = ("_arrival", "_burst_us", "_cost_us", "_interval_us", "limit", "refuses_until")

    algorithm = Algorithm.GCRA

    def __init__(self, limit: Limit) -> None:
        self._arrival = 0
        self.refuses_until = 0
        """A request before this time is refused."""
        self.adopt(limit)

    @property
    def neutral_at(self) -> int:
        """When the whole burst is available again, so that a new meter says the same."""
        return self._arrival

    def adopt(self, limit: Limit) -> None:
        """Go on with another rate or burst; a smaller burst locks nobody out, see `_ahead`."""
        self.limit = limit
        self._interval_us = -(-limit.window_us // limit.quota)
        self._burst_us = limit.burst * self._interval_us
        self._cost_us = limit.cost * self._interval_us
        self._look_ahead()

    def wait_us(self, now: int) -> int:
        """Return how long until the limit admits a request, 0 when it does now."""
        until = self.refuses_until
        if until <= now:
            return 0
        return self.limit.window_us if until == NEVER else min(until - now, self._cost_us)

    def spend(self, now: int) -> tuple[int, int]:
        """Count one request, and return what `left` would."""
        arrival = self._arrival
        if arrival < now:
            arrival = now
        elif arrival - now > self._burst_us:
            arrival = now + self._burst_us
        self._arrival = arrival = arrival + self._cost_us
        self.refuses_until = arrival + self._cost_us - self._burst_us
        ahead = arrival - now
        return (self._burst_us - ahead) // self._interval_us, ahead

    def left(self, now: int) -> tuple[int, int]:
        """Return how many requests of cost 1 would be admitted now, and the time until the burst is whole."""
        ahead = self._ahead(now)
        return (self._burst_us - ahead) // self._interval_us, ahead

    def _look_ahead(self) -> None:
        # A cost above the burst never passes.
        never = self._cost_us > self._burst_us
        self.refuses_until = NEVER if never else self._arrival + self._cost_us - self._burst_us

    def _ahead(self, now: int) -> int:
        """Return how far the arrivals are ahead of the clock: at most the burst now in force."""
        ahead = self._arrival - now
        return 0 if ahead < 0 else min(ahead, self._burst_us)


Meter = WindowMeter | GcraMeter
"""What one limit has counted for one key."""


def new_meter(limit: Limit) -> Meter:
    """Return a meter that has counted nothing."""
    return WindowMeter(limit) if limit.algorithm is Algorithm.WINDOW else GcraMeter(limit)


def _expiry(now: int, limit: Limit) -> int:
    """Return when a hit of now stops counting."""
    window = limit.window_us
    if limit.quota <= LARGEST_LOG:
        return now + window
    width = -(-window // SLOTS)
    # A hit of slot q comes before (q + 1) * width, so its window is over at (q + 1 + SLOTS) * width.
    return (now // width + 1 + SLOTS) * width
