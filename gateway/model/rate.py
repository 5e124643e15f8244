"""The arithmetic of limits: what one limit has counted for one key, and what it says now.

Times are whole microseconds of a clock that never goes back. A meter is asked first (`wait_us`, which changes
nothing) and charged afterwards (`spend`), so that whoever holds the meters of all limits of a request can
charge all of them or none. What was counted elsewhere enters a meter without being asked (`begin`).

Two algorithms:

* A window admits never more than `quota` in any half-open window of `window_us`. Up to 256 it remembers every
  hit. Above, hits share 64 slots, and a slot counts until all of its hits are old: never more than `quota`,
  and a hit may be held `window_us / 64` longer than it should.
* GCRA admits at most `burst + t / T` in any time `t`, where `T` is `window_us / quota`, rounded up to a whole
  microsecond.
"""

from bisect import bisect_left, bisect_right

from gateway.model.limit import Algorithm, Limit

LARGEST_LOG = 256
"""Quotas up to here are counted hit by hit."""
SLOTS = 64
NEVER = 1 << 62
"""A time that does not come."""


class WindowMeter:
    """Hits of a sliding window, each with the time at which it stops counting."""

    __slots__ = (
        "_counts",
        "_elsewhere",
        "_expiries",
        "_total",
        "begun_at",
        "limit",
        "refuses_until",
    )

    algorithm = Algorithm.WINDOW

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.refuses_until = 0
        """A request before this time is refused."""
        self._expiries: list[int] = []
        """Ascending."""
        self._counts: list[int] = []
        self._total = 0
        self.begun_at = -1
        """When what `begin` was told was known; -1 when it was told nothing."""
        # Until when what was counted elsewhere counts, and how much it is.
        self._elsewhere: tuple[tuple[int, int], ...] = ()
        self._look_ahead()

    @property
    def neutral_at(self) -> int:
        """When the last hit stops counting, so that a new meter says the same; 0 when there is none."""
        return self._expiries[-1] if self._expiries else 0

    def begin(self, at: int, used: int) -> None:
        """Start a new meter with what was counted elsewhere, the last of it at `at`."""
        self.begun_at = at
        if used > 0:
            self._elsewhere = ((_expiry(at, self.limit), used),)
            self._add(at, used)

    def owe(self, at: int, spent: int) -> None:
        """Go on with what was spent here before, as if all of it were spent at `at`."""
        self._add(at, spent)

    def counted_elsewhere(self, at: int) -> None:
        """Take note that a request that was spent here at `at` was counted elsewhere too."""
        expiry = _expiry(at, self.limit)
        others = tuple(one for one in self._elsewhere if at < one[0] != expiry)
        same = sum(count for until, count in self._elsewhere if until == expiry)
        self._elsewhere = (*others, (expiry, same + self.limit.cost))

    def own(self, now: int) -> int:
        """Return how much of what was spent here, and not elsewhere too, still counts."""
        used = self._total - sum(self._counts[: bisect_right(self._expiries, now)])
        return max(0, used - sum(count for until, count in self._elsewhere if until > now))

    def adopt(self, limit: Limit, now: int) -> None:
        """Go on with another quota or window; what still counts keeps counting, for the new window."""
        self._forget(now)
        longer = limit.window_us - self.limit.window_us
        if longer:
            self._expiries = [expiry + longer for expiry in self._expiries]
        # Slots may have been wider: nothing counts longer than a hit of now.
        latest = _expiry(now, limit)
        self._elsewhere = tuple(
            (min(until + longer, latest), count) for until, count in self._elsewhere if until > now
        )
        self.limit = limit
        first = bisect_left(self._expiries, latest)
        if first < len(self._expiries):
            self._expiries[first:] = [latest]
            self._counts[first:] = [sum(self._counts[first:])]
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
        if expiries and expiries[-1] == expiry:
            self._counts[-1] += cost
        else:
            expiries.append(expiry)
            self._counts.append(cost)
        remaining = limit.quota - total
        if remaining < cost:
            self._look_ahead()
        return remaining, expiries[0] - now

    def give_back(self, now: int) -> None:
        """Count one request less, the newest that still counts."""
        self._forget(now)
        excess = self.limit.cost
        while excess and self._expiries:
            gone = min(excess, self._counts[-1])
            excess -= gone
            self._total -= gone
            self._counts[-1] -= gone
            if not self._counts[-1]:
                del self._counts[-1], self._expiries[-1]
        self._look_ahead()

    def left(self, now: int) -> tuple[int, int]:
        """Return how many requests of cost 1 would be admitted now, and the time until there are more."""
        expiries = self._expiries
        first = bisect_right(expiries, now)
        used = self._total - sum(self._counts[:first])
        return max(0, self.limit.quota - used), expiries[first] - now if first < len(expiries) else 0

    def _add(self, at: int, used: int) -> None:
        expiry = _expiry(at, self.limit)
        self._total += used
        if self._expiries and self._expiries[-1] == expiry:
            self._counts[-1] += used
        else:
            self._expiries.append(expiry)
            self._counts.append(used)
        self._look_ahead()

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

    __slots__ = (
        "_arrival",
        "_begun_until",
        "_burst_us",
        "_cost_us",
        "_interval_us",
        "begun_at",
        "limit",
        "refuses_until",
    )

    algorithm = Algorithm.GCRA

    def __init__(self, limit: Limit) -> None:
        self._arrival = 0
        self.refuses_until = 0
        """A request before this time is refused."""
        self.begun_at = -1
        """When what `begin` was told was known; -1 when it was told nothing."""
        self._begun_until = 0
        self.adopt(limit, 0)

    @property
    def neutral_at(self) -> int:
        """When the whole burst is available again, so that a new meter says the same."""
        return self._arrival

    def begin(self, at: int, used: int) -> None:
        """Start a new meter with what was counted elsewhere, the last of it at `at`."""
        self.begun_at = at
        self._arrival = self._begun_until = at + used * self._interval_us
        self._look_ahead()

    def owe(self, at: int, spent: int) -> None:
        """Go on with what was spent here before, as if all of it were spent at `at`."""
        self._arrival = max(self._arrival, at) + spent * self._interval_us
        self._look_ahead()

    def counted_elsewhere(self, at: int) -> None:
        """Take note that a request that was spent here at `at` was counted elsewhere too."""
        self._begun_until = min(self._arrival, max(self._begun_until, at) + self._cost_us)

    def own(self, now: int) -> int:
        """Return how much of what was spent here, and not elsewhere too, is not made up for yet."""
        return max(0, -(-(self._arrival - max(now, self._begun_until)) // self._interval_us))

    def adopt(self, limit: Limit, now: int) -> None:
        """Go on with another rate or burst; a smaller burst locks nobody out for longer than it says."""
        self.limit = limit
        self._interval_us = -(-limit.window_us // limit.quota)
        self._burst_us = limit.burst * self._interval_us
        self._cost_us = limit.cost * self._interval_us
        self._arrival = min(self._arrival, now + self._burst_us)
        self._begun_until = min(self._begun_until, self._arrival)
        self._look_ahead()

    def wait_us(self, now: int) -> int:
        """Return how long until the limit admits a request, 0 when it does now."""
        until = self.refuses_until
        if until <= now:
            return 0
        return self.limit.window_us if until == NEVER else until - now

    def spend(self, now: int) -> tuple[int, int]:
        """Count one request, and return what `left` would."""
        self._arrival = arrival = max(self._arrival, now) + self._cost_us
        self.refuses_until = arrival + self._cost_us - self._burst_us
        ahead = arrival - now
        return (self._burst_us - ahead) // self._interval_us, ahead

    def give_back(self, now: int) -> None:
        """Count one request less, as far as it is not made up for yet."""
        self._arrival = max(self._arrival - self._cost_us, min(self._arrival, now))
        self._look_ahead()

    def left(self, now: int) -> tuple[int, int]:
        """Return how many requests of cost 1 would be admitted now, and the time until the burst is whole."""
        ahead = max(0, self._arrival - now)
        return (self._burst_us - ahead) // self._interval_us, ahead

    def _look_ahead(self) -> None:
        # A cost above the burst never passes.
        never = self._cost_us > self._burst_us
        self.refuses_until = NEVER if never else self._arrival + self._cost_us - self._burst_us


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
