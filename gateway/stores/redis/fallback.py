"""Counting in this process while Redis cannot be asked, and the debt that Redis is told of afterwards."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from gateway.model import Charge, Tally, Verdict
from gateway.model.rate import Meter, new_meter
from gateway.stores.memory import MemoryCounters
from gateway.stores.redis.knowledge import Key, Known
from gateway.stores.redis.script import EncodedLimit

MOST_UNPAID = 500_000

_new = tuple.__new__
"""Makes a named tuple of a tuple at a third of what its class would take."""


class Fallback:
    """Counts each process's share of a limit: its quota divided by the number of processes.

    A key begins with what Redis said last about it, so that a client that always comes to this process is
    not given its quota anew. What was admitted here is a debt in Redis; until a key's debt is paid, it goes
    on counting here too if Redis is lost again.
    """

    def __init__(self, local: MemoryCounters, processes: Callable[[], int]) -> None:
        self.local = local
        self._processes = processes
        self._unpaid: dict[Key, Meter] = {}
        self._in_payment: dict[Key, Meter] = {}

    @property
    def has_debts(self) -> bool:
        """Whether there are debts that nobody began to pay."""
        return bool(self._unpaid)

    async def take(self, charges: Sequence[tuple[EncodedLimit, Key, Known | None]], now: int) -> Verdict:
        """Charge the share of every limit, or of none; what the tallies say is left is left of shares."""
        processes = max(1, self._processes())
        shares = []
        for encoded, key, known in charges:
            share = Charge(encoded.share(processes), key)
            self._begin(share, known, now)
            shares.append(share)
        verdict = await self.local.take(shares)
        tallies = [
            _new(Tally, (encoded.limit, *tally[1:]))
            for (encoded, _, _), tally in zip(charges, verdict.tallies, strict=True)
        ]
        return Verdict(verdict.admitted, tuple(tallies))

    def give_back(self, keys: Iterable[Key], now: int) -> None:
        """Count one request less of these keys, of what is counted or owed here."""
        for key in keys:
            meter = self._meter_of(key)
            if meter is not None:
                meter.give_back(now)

    def known_wait(self, charges: Sequence[tuple[EncodedLimit, Key]]) -> float:
        """Return the seconds until the shares would admit, as far as is known without counting."""
        processes = max(1, self._processes())
        return self.local.known_wait([Charge(encoded.share(processes), key) for encoded, key in charges])

    def settle(self) -> None:
        """End counting here: everything that was counted becomes debt."""
        self._unpaid.update(self.local.drain())
        excess = len(self._unpaid) - MOST_UNPAID
        if excess > 0:
            for key in list(islice(self._unpaid, excess)):
                del self._unpaid[key]

    def counted(self, keys: Iterable[Key], at: int) -> None:
        """Owe nothing for the request that was admitted here at `at`: Redis has counted it too."""
        for key in keys:
            meter = self._meter_of(key)
            if meter is not None:
                meter.counted_elsewhere(at)

    def debts_of(self, keys: Iterable[Key]) -> Iterator[tuple[Key, Meter]]:
        """Take the debts of these keys, to pay them."""
        for key in keys:
            meter = self._unpaid.pop(key, None)
            if meter is not None:
                self._in_payment[key] = meter
                yield key, meter

    def debts(self, most: int) -> Iterator[tuple[Key, Meter]]:
        """Take debts of any keys, at most so many, to pay them."""
        while self._unpaid and most > 0:
            most -= 1
            key, meter = self._unpaid.popitem()
            self._in_payment[key] = meter
            yield key, meter

    def paid(self, key: Key, meter: Meter) -> bool:
        """End a payment; say whether nothing was counted on top of the debt meanwhile."""
        if self._in_payment.get(key) is not meter:
            return False
        del self._in_payment[key]
        return True

    def unpaid(self, key: Key, meter: Meter) -> None:
        """End a payment that failed."""
        if self.paid(key, meter):
            self._unpaid[key] = meter

    def _meter_of(self, key: Key) -> Meter | None:
        return self.local.meter(key) or self._unpaid.get(key) or self._in_payment.get(key)

    def _begin(self, share: Charge, known: Known | None, now: int) -> None:
        """Make the key's meter know what Redis said last, and what is owed for it."""
        limit, key = share
        # A payment that is on its way may fail. Should it succeed, the debt is paid twice: too strict for as
        # long as a window.
        unpaid = self._unpaid.pop(key, None) or self._in_payment.pop(key, None)
        if unpaid is not None:
            self.local.put(key, unpaid)
        meter = unpaid or self.local.meter(key)
        tally = None if known is None else known.tally
        if known is None or tally is None or (meter is not None and meter.begun_at >= known.heard_at):
            return
        # What remains of the whole limit as it is now, should it have changed since.
        remaining = max(0, known.limit.burst - tally.limit.burst + tally.remaining)
        begun = new_meter(limit)
        begun.begin(known.heard_at, max(0, limit.burst - remaining))
        # What Redis said does not include what it has not been told.
        if meter is not None and meter.algorithm is limit.algorithm and (owed := meter.own(now)):
            begun.owe(now, owed)
        self.local.put(key, begun)
