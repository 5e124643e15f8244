"""Counters in this process: exact for as long as there is only one."""

from collections.abc import Sequence
from heapq import heappop, heappush

from gateway.model import Charge, Limit, Tally, Verdict
from gateway.model.rate import NEVER, Meter, new_meter
from gateway.ports import Clock

_new = tuple.__new__
"""Makes a named tuple of a tuple at a third of what its class would take."""
_MOST_REFUSED = 100_000
"""Exhausted keys that are remembered for `known_wait`; one that is forgotten refuses all the same, later."""
_LINGER_US = 1_000_000
"""How long an entry is left alone after its time is up: one in steady use is looked at once a second."""
_CANDIDATES = 8
"""How many entries are looked at to find one that refuses nobody, before one that does is dropped."""


class MemoryCounters:
    """A `CounterStore` with a bounded number of entries.

    Entries that have nothing left to remember go first: losing one changes no answer. Only when there is
    none are others dropped, those that refuse last: a flood of new keys must not free who is blocked.
    """

    def __init__(self, clock: Clock, capacity: int = 500_000) -> None:
        self.admitted = 0
        """Requests whose charges were taken."""
        self.refused = 0
        """Requests that a limit refused."""
        self._clock = clock
        self._capacity = capacity
        self._meters: dict[tuple[str, str], Meter] = {}
        self._refused: dict[tuple[str, str], int] = {}
        """Keys that would refuse a request, and when they would admit one, in the order of finding out."""
        self._ends: list[tuple[int, tuple[str, str]]] = []
        """A heap with one item for each entry: its key, and a time before which it is not neutral. Spending
        moves the true time on; the item is put right when it comes up."""

    def __len__(self) -> int:
        return len(self._meters)

    async def take(self, charges: Sequence[Charge]) -> Verdict:
        """Charge every limit, or none when one of them refuses."""
        # No await below: nobody else's charge can come between the question and the charge.
        now = self._now()
        known = self._meters
        meters: list[Meter] = []
        is_refused = is_fresh = False
        for limit, key in charges:
            meter = known.get(key)
            if meter is None or meter.limit is not limit:
                meter = _adopted(meter, limit, now)
                is_fresh = True
            if meter.refuses_until > now:
                is_refused = True
            meters.append(meter)
        if is_refused:
            refused = [Tally(meter.limit, meter.wait_us(now), *meter.left(now)) for meter in meters]
            self._remember(charges, meters, now)
            self.refused += 1
            return Verdict(admitted=False, tallies=tuple(refused))
        tallies: list[Tally] = []
        is_spent = False
        for meter in meters:
            remaining, reset = meter.spend(now)
            tallies.append(_new(Tally, (meter.limit, 0, remaining, reset)))
            if meter.refuses_until > now:
                is_spent = True
        if is_spent:
            self._remember(charges, meters, now)
        if is_fresh:
            for (_, key), meter in zip(charges, meters, strict=True):
                if known.get(key) is not meter:
                    self._keep(key, meter, now)
        if self._ends and self._ends[0][0] <= now - _LINGER_US:
            self._settle_one(now)
        self.admitted += 1
        return Verdict(admitted=True, tallies=tuple(tallies))

    async def give_back(self, charges: Sequence[Charge]) -> None:
        """Undo one `take` of these charges that was admitted, as far as it still counts. Never raises."""
        now = self._now()
        for limit, key in charges:
            meter = self._meters.get(key)
            if meter is None or meter.algorithm is not limit.algorithm:
                continue
            _adopted(meter, limit, now).give_back(now)
            if meter.refuses_until <= now:
                self._refused.pop(key, None)

    @property
    def is_refusing(self) -> bool:
        """Whether any key is known to be exhausted."""
        return bool(self._refused)

    def known_wait(self, charges: Sequence[Charge]) -> float:
        """Return the seconds until the charges could pass, 0 when they may."""
        now = self._now()
        longest = 0
        for charge in charges:
            until = self._refused.get(charge.key)
            if until is None:
                continue
            if until <= now:
                del self._refused[charge.key]
                continue
            # The limit may have grown since, by a reload.
            meter = self._meters.get(charge.key)
            if meter is not None:
                longest = max(longest, _adopted(meter, charge.limit, now).wait_us(now))
        return longest / 1_000_000

    def meter(self, key: tuple[str, str]) -> Meter | None:
        """Return what was counted for a key, None when nothing was."""
        return self._meters.get(key)

    def put(self, key: tuple[str, str], meter: Meter) -> None:
        """Count a key with this meter, in place of the one that it has."""
        self._refused.pop(key, None)
        self._keep(key, meter, self._now())

    def drain(self) -> dict[tuple[str, str], Meter]:
        """Return every key's meter, and begin with none."""
        drained, self._meters = self._meters, {}
        self._refused.clear()
        self._ends.clear()
        return drained

    def _remember(self, charges: Sequence[Charge], meters: Sequence[Meter], now: int) -> None:
        refused = self._refused
        for (_, key), meter in zip(charges, meters, strict=True):
            # What never passes says nothing of others with this key.
            if now < meter.refuses_until < NEVER:
                refused.pop(key, None)
                refused[key] = meter.refuses_until
        # The oldest are looked at, so that keys nobody asks for again do not stay.
        while refused:
            oldest = next(iter(refused))
            if refused[oldest] > now and len(refused) <= _MOST_REFUSED:
                break
            del refused[oldest]

    def _now(self) -> int:
        return round(self._clock.monotonic() * 1_000_000)

    def _keep(self, key: tuple[str, str], meter: Meter, now: int) -> None:
        if key not in self._meters:
            while len(self._meters) >= self._capacity:
                if self._ends[0][0] <= now:
                    self._settle_one(now)
                else:
                    self._drop_counting(now)
            heappush(self._ends, (meter.neutral_at, key))
        self._meters[key] = meter

    def _settle_one(self, now: int) -> None:
        """Drop the entry whose time is up, or put its item right.

        An item is put right at most once for each charge, and a charge settles one: no backlog builds up.
        """
        _, key = heappop(self._ends)
        end = self._meters[key].neutral_at
        if end <= now:
            del self._meters[key]
        else:
            heappush(self._ends, (end, key))

    def _drop_counting(self, now: int) -> None:
        """Drop an entry that still counts something, if possible one that refuses nobody."""
        passed = []
        for _ in range(min(_CANDIDATES, len(self._ends))):
            item = heappop(self._ends)
            if self._meters[item[1]].wait_us(now) == 0:
                break
            passed.append(item)
        else:
            item = passed.pop(0)
        del self._meters[item[1]]
        for kept in passed:
            heappush(self._ends, kept)


def _adopted(meter: Meter | None, limit: Limit, now: int) -> Meter:
    """Return a key's meter, counting for the limit as it is now; a new one when there is none."""
    if meter is None or meter.algorithm is not limit.algorithm:
        # A reload that makes a rate of a window, or the reverse, leaves nothing of what was counted.
        return new_meter(limit)
    if meter.limit is not limit:
        meter.adopt(limit, now)
    return meter
