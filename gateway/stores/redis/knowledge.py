"""What this process knows about the keys that it asked Redis about."""

from collections import OrderedDict
from collections.abc import Sequence

from gateway.model import Algorithm, Charge, Limit, Tally
from gateway.model.rate import SLOTS
from gateway.stores.redis.script import EncodedLimit

LONGEST_DENIAL_US = 1_000_000
"""A denial is believed this long. Only what is rare could end it earlier: a reset, a failover, something that
another process gave back."""
MOST_DENIED = 100_000
MOST_LIMITS = 10_000

Key = tuple[str, str]


class Known:
    """One key of one limit: how it is asked for, and what Redis said last."""

    __slots__ = ("argument", "denied_until", "heard_at", "key", "limit", "tally")

    def __init__(self, limit: Limit, key: bytes, argument: bytes) -> None:
        self.limit = limit
        self.key = key
        """As a word of a command, like `argument`."""
        self.argument = argument
        self.tally: Tally | None = None
        self.heard_at = 0
        self.denied_until = 0

    def aged(self, now: int) -> Tally:
        """Return what is known to be left at a later time."""
        limit, tally = self.limit, self.tally
        passed = now - self.heard_at
        if tally is None or tally.limit is not limit or passed >= _longest_us(limit):
            return untouched(limit)
        wait = tally.wait_us - passed if self.denied_until > now else 0
        return Tally(limit, max(0, wait), tally.remaining, max(0, tally.reset_us - passed))


def untouched(limit: Limit) -> Tally:
    """Return what is said of a limit of which nothing is known to be used."""
    return Tally(limit, 0, limit.burst, 0)


def _longest_us(limit: Limit) -> int:
    """Return how long a count may matter: a slot outlives its window, and a burst refills at its rate."""
    if limit.algorithm is Algorithm.GCRA:
        return limit.burst * -(-limit.window_us // limit.quota)
    return limit.window_us + 2 * (limit.window_us // SLOTS + 1)


class Denials:
    """Keys that Redis denied within the last second, so that whoever keeps asking costs Redis nothing.

    Before the wait is over no request can pass, because others only spend more. A denial holds for the
    limit that it was said of: after a reload Redis is asked again.
    """

    def __init__(self) -> None:
        self._denied: OrderedDict[Key, Known] = OrderedDict()
        """In the order of being denied."""

    def __bool__(self) -> bool:
        return bool(self._denied)

    def __len__(self) -> int:
        return len(self._denied)

    def add(self, key: Key, known: Known, now: int, wait_us: int) -> None:
        """Deny a key for as long as it is certain."""
        denied = self._denied
        self.forget(now)
        known.denied_until = now + min(wait_us, LONGEST_DENIAL_US)
        denied[key] = known
        denied.move_to_end(key)
        if len(denied) > MOST_DENIED:
            denied.popitem(last=False)

    def forget(self, now: int) -> None:
        """Drop what is over, a few at a time."""
        denied = self._denied
        for _ in range(min(2, len(denied))):
            key, known = denied.popitem(last=False)
            if known.denied_until > now:
                denied[key] = known
                denied.move_to_end(key, last=False)
                return

    def drop(self, key: Key) -> None:
        """Have Redis asked about a key again: something was given back."""
        self._denied.pop(key, None)

    def get(self, charge: Charge, now: int) -> Known | None:
        """Return what is known about a key that is denied, None when it is not."""
        known = self._denied.get(charge.key)
        if known is None or known.limit is not charge.limit or known.denied_until <= now:
            return None
        return known

    def wait_us(self, charges: Sequence[Charge], now: int) -> int:
        """Return how long until the charges could pass, 0 when nothing is known to stop them."""
        denied = [known for charge in charges if (known := self.get(charge, now)) is not None]
        return max((known.aged(now).wait_us for known in denied), default=0)


class Knowledge:
    """A bounded number of keys; those that were not asked for lately are forgotten first.

    `secret` keys the digests of what Redis must not show.
    """

    __slots__ = ("_half", "_limits", "_older", "_secret", "lately")

    def __init__(self, capacity: int, secret: bytes) -> None:
        self._half = capacity // 2
        self._secret = secret
        self.lately: dict[Key, Known] = {}
        """Where to look first."""
        self._older: dict[Key, Known] = {}
        self._limits: dict[str, EncodedLimit] = {}

    def __len__(self) -> int:
        return len(self.lately) + len(self._older)

    def get(self, key: Key) -> Known | None:
        """Return what is known about a key."""
        return self.lately.get(key) or self._older.get(key)

    def learn(self, limit: Limit, key: Key) -> Known:
        """Return what is known about a key that was not asked for lately, or not with this limit."""
        before = self.get(key)
        if before is not None and before.limit is limit:
            known = before
        else:
            encoded = self.encoded(limit)
            known = Known(limit, encoded.key(key[1]), encoded.argument)
            if before is not None:
                known.tally, known.heard_at = before.tally, before.heard_at
        if len(self.lately) >= self._half:
            self._older, self.lately = self.lately, {}
        self._older.pop(key, None)
        self.lately[key] = known
        return known

    def encoded(self, limit: Limit) -> EncodedLimit:
        """Return a limit as the script reads it."""
        encoded = self._limits.get(limit.id)
        if encoded is None or encoded.limit is not limit:
            if len(self._limits) >= MOST_LIMITS:
                self._limits.clear()
            encoded = self._limits[limit.id] = EncodedLimit(limit, self._secret)
        return encoded

    def limit_of(self, key: Key) -> EncodedLimit | None:
        """Return the limit of a key as it was asked for last, None when nobody asks for it any more."""
        return self._limits.get(key[0])
