"""Counters that every process shares: exact for as long as Redis answers."""

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from gateway.model import Charge, Limit, OnStoreError, Tally, Verdict
from gateway.ports import Clock, StoreUnavailable
from gateway.stores.memory import MemoryCounters
from gateway.stores.redis.fallback import Fallback
from gateway.stores.redis.faults import Refused, Reply
from gateway.stores.redis.knowledge import Denials, Key, Knowledge, Known, untouched
from gateway.stores.redis.link import Link
from gateway.stores.redis.repayment import Repayment
from gateway.stores.redis.script import GIVE_BACK, SCRIPT, TAKE, head, is_answer
from gateway.stores.redis.statistics import CounterStatistics

MOST_KNOWN: Final = 100_000

_new = tuple.__new__
"""Makes a named tuple of a tuple at a third of what its class would take."""

_Unsure = tuple[Sequence[Charge], Sequence[Known], Sequence[Key], int]
"""What was asked, of which keys, which of them owe what was admitted here since, and when that was."""


class RedisCounters:
    """A `CounterStore` on Redis: one script call takes all limits of a request, or none.

    While Redis cannot be asked, each limit's `on_store_error` says what happens; `local` counts what this
    process admits then, and `processes` says how many share the quota. When Redis is back it is told of what
    was admitted, each key before its next request. `key_secret` keys the digests of what Redis must not show.
    """

    script: ClassVar[bytes] = SCRIPT
    """What the link has to load."""

    def __init__(
        self,
        link: Link,
        local: MemoryCounters,
        clock: Clock,
        *,
        key_secret: bytes,
        processes: Callable[[], int],
    ) -> None:
        self.statistics: Final = CounterStatistics()
        self._link = link
        self._monotonic = clock.monotonic
        self._knowledge = Knowledge(MOST_KNOWN, hashlib.blake2b(key_secret, person=b"counters").digest())
        self._denials = Denials()
        self._fallback = Fallback(local, processes)
        self._repayment = Repayment(link, self._fallback, self._knowledge, self._now)
        # Requests that Redis did not answer in time. The answer comes late, or the connection is lost.
        self._unsure: dict[asyncio.Future[Reply], _Unsure] = {}
        link.on_up = self._begin_anew
        link.on_late = self._note_late

    async def take(self, charges: Sequence[Charge]) -> Verdict:
        """Charge every limit, or none when one of them refuses.

        Raise `StoreUnavailable` when Redis cannot be asked and one of the limits is `closed` then.
        """
        if not charges:
            return Verdict(admitted=True, tallies=())
        if self._denials:
            denied = self._deny(charges)
            if denied is not None:
                return denied
        lately = self._knowledge.lately
        learn = self._knowledge.learn
        asked: list[Known] = []
        words = [head(len(charges))]
        arguments = [TAKE]
        for limit, key in charges:
            known = lately.get(key)
            if known is None or known.limit is not limit:
                known = learn(limit, key)
            asked.append(known)
            words.append(known.key)
            arguments.append(known.argument)
        if self._fallback.has_debts and self._link.fault is None:
            self._repayment.pay_first(charges)
        words += arguments
        try:
            future = self._link.send(b"".join(words))
        except StoreUnavailable as fault:
            self._repayment.is_due = True
            return await self._without(charges, fault)
        try:
            reply = await future
        except Refused as fault:
            self._repayment.is_due = True
            return await self._without(charges, fault)
        except StoreUnavailable as fault:
            verdict = await self._without(charges, fault)
            owed = [key for limit, key in charges if verdict.admitted and _is_local(limit)]
            self._unsure[future] = (charges, asked, owed, self._now())
            return verdict
        if not is_answer(reply, len(charges)):
            self._repayment.is_due = True
            return await self._without(charges, StoreUnavailable("Redis: not the answer of the script"))
        if self._repayment.is_due and self._link.fault is None:
            self._repayment.begin()
        if reply[0]:
            self.statistics.exact_admitted += 1
        else:
            self.statistics.exact_refused += 1
        return self._heard(charges, asked, reply)

    async def give_back(self, charges: Sequence[Charge]) -> None:
        """Undo one `take` of these charges that was admitted, as far as it still counts. Never raises."""
        if not charges:
            return
        words = [head(len(charges))]
        arguments = [GIVE_BACK]
        for limit, key in charges:
            self._denials.drop(key)
            known = self._knowledge.learn(limit, key)
            words.append(known.key)
            arguments.append(known.argument)
        if self._fallback.has_debts and self._link.fault is None:
            # What was counted here would else be charged after it was given back.
            self._repayment.pay_first(charges)
        try:
            future = self._link.send(b"".join([*words, *arguments]))
        except StoreUnavailable:
            self._fallback.give_back((key for _, key in charges), self._now())
            return
        with contextlib.suppress(StoreUnavailable):
            # Without an answer nobody knows whether it was done: at worst it counts until its time is over.
            await future

    @property
    def is_refusing(self) -> bool:
        """Whether any key is known to be exhausted."""
        return bool(self._denials) or (self._fallback.local.is_refusing and self._link.fault is not None)

    def known_wait(self, charges: Sequence[Charge]) -> float:
        """Return the seconds until the charges could pass, 0 when they may as far as this process knows."""
        now = self._now()
        self._denials.forget(now)
        wait = self._denials.wait_us(charges, now) / 1_000_000
        if self._link.fault is None or not self._fallback.local.is_refusing:
            return wait
        shares = [(self._knowledge.encoded(limit), key) for limit, key in charges if _is_local(limit)]
        return max(wait, self._fallback.known_wait(shares))

    def _heard(self, charges: Sequence[Charge], asked: Sequence[Known], reply: list[int]) -> Verdict:
        """Read a reply: whether it is admitted, then three numbers for each limit."""
        now = self._now()
        tallies: list[Tally] = []
        at = 1
        if reply[0]:
            for known in asked:
                tally = known.tally = _new(Tally, (known.limit, 0, reply[at + 1], reply[at + 2]))
                known.heard_at = now
                tallies.append(tally)
                at += 3
            return _new(Verdict, (True, tuple(tallies)))
        for (limit, key), known in zip(charges, asked, strict=True):
            wait = reply[at]
            tally = known.tally = Tally(limit, wait, reply[at + 1], reply[at + 2])
            known.heard_at = now
            if wait:
                self._denials.add(key, known, now, wait)
            tallies.append(tally)
            at += 3
        return Verdict(admitted=False, tallies=tuple(tallies))

    def _deny(self, charges: Sequence[Charge]) -> Verdict | None:
        """Refuse what Redis refused a moment ago; None when it has to be asked."""
        now = self._now()
        self._denials.forget(now)
        if not self._denials.wait_us(charges, now):
            return None
        self.statistics.deny_cache_refused += 1
        tallies = []
        for charge in charges:
            known = self._denials.get(charge, now) or self._knowledge.get(charge.key)
            is_known = known is not None and known.limit is charge.limit
            tallies.append(known.aged(now) if known and is_known else untouched(charge.limit))
        return Verdict(admitted=False, tallies=tuple(tallies))

    async def _without(self, charges: Sequence[Charge], fault: StoreUnavailable) -> Verdict:
        """Answer although Redis cannot be asked, as the limits say."""
        if any(limit.on_store_error is OnStoreError.CLOSED for limit, _ in charges):
            self.statistics.closed_refused += 1
            raise fault
        shares = [
            (self._knowledge.encoded(limit), key, self._knowledge.get(key))
            for limit, key in charges
            if _is_local(limit)
        ]
        if not shares:
            self.statistics.open_admitted += 1
            return Verdict(admitted=True, tallies=())
        verdict = await self._fallback.take(shares, self._now())
        if verdict.admitted:
            self.statistics.local_admitted += 1
        else:
            self.statistics.local_refused += 1
        return verdict

    def _now(self) -> int:
        return round(self._monotonic() * 1_000_000)

    def _begin_anew(self) -> None:
        self._unsure.clear()
        self._repayment.begin_anew()

    def _note_late(self, future: asyncio.Future[Reply], reply: Reply) -> None:
        # Whoever waited for the future may have been told a moment ago, and goes on before this is called.
        asyncio.get_running_loop().call_soon(self._hear_late, future, reply)

    def _hear_late(self, future: asyncio.Future[Reply], reply: Reply) -> None:
        if self._repayment.hear_late(future, reply):
            return
        was_counted = isinstance(reply, list) and bool(reply) and reply[0] == 1
        self.statistics.late_admitted += was_counted
        unsure = self._unsure.pop(future, None)
        if unsure is None:
            return
        charges, asked, owed, at = unsure
        if was_counted:
            self._fallback.counted(owed, at)
        elif owed:
            # Redis has refused what was admitted here.
            self._repayment.is_due = True
        if is_answer(reply, len(asked)):
            self._heard(charges, asked, reply)


def _is_local(limit: Limit) -> bool:
    return limit.on_store_error is OnStoreError.LOCAL
