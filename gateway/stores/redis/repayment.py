"""Telling Redis, when it is back, what was admitted without it."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final

from gateway.model import Charge, Tally
from gateway.model.rate import Meter
from gateway.ports import StoreUnavailable
from gateway.stores.redis.fallback import Fallback
from gateway.stores.redis.faults import Refused, Reply
from gateway.stores.redis.knowledge import Key, Knowledge
from gateway.stores.redis.link import Link
from gateway.stores.redis.script import DEBIT, head, is_answer

DEBTS_AT_ONCE: Final = 64

_Then = Callable[[], None] | None
_Debt = tuple[Key, Meter]


class Repayment:
    """Pays debts: those of keys that are asked for first, the others in the background, some at a time.

    It needs no task of its own: each reply sends the next debts.
    """

    def __init__(self, link: Link, fallback: Fallback, knowledge: Knowledge, now: Callable[[], int]) -> None:
        self._link = link
        self._fallback = fallback
        self._knowledge = knowledge
        self._now = now
        self._is_paying = False
        # Payments without an answer in time. The answer comes late, or the connection is lost.
        self._unsure: dict[asyncio.Future[Reply], Sequence[_Debt]] = {}
        self.is_due = False
        """Whether something was counted here that Redis certainly did not count."""

    def begin_anew(self) -> None:
        """Redis is back: pay what nobody knows the payment of, and all that was counted here.

        Should Redis have charged those without saying so, they are paid twice: that is too strict for as
        long as a window. Not to pay is not an option.
        """
        for debts in self._unsure.values():
            self._put_back(debts)
        self._unsure.clear()
        self.begin()

    def begin(self) -> None:
        """Redis answers: make debts of all that was counted here, and begin to pay."""
        self.is_due = False
        self._fallback.settle()
        if not self._is_paying and self._fallback.has_debts:
            self._is_paying = True
            self._pay_some()

    def pay_first(self, charges: Sequence[Charge]) -> None:
        """Pay what is owed for these keys before they are charged: Redis does what it is told in order."""
        self._pay(self._fallback.debts_of(key for _, key in charges), then=None)

    def hear_late(self, future: asyncio.Future[Reply], reply: Reply) -> bool:
        """Take the late reply to a payment; False when it is a reply to something else."""
        debts = self._unsure.pop(future, None)
        if debts is not None:
            self._settle(debts, reply)
        return debts is not None

    def _pay_some(self) -> None:
        if not self._fallback.has_debts:
            self._is_paying = False
        elif not self._pay(self._fallback.debts(DEBTS_AT_ONCE), then=self._pay_some):
            asyncio.get_running_loop().call_soon(self._pay_some)

    def _pay(self, debts: Iterable[_Debt], *, then: _Then) -> bool:
        """Charge debts without asking; say whether there was anything to send."""
        now = self._now()
        words = []
        arguments = [DEBIT]
        sent: list[_Debt] = []
        for key, meter in debts:
            encoded = self._knowledge.limit_of(key)
            amount = meter.own(now)
            # A limit that a reload took away, or made another kind of, is owed nothing.
            if amount > 0 and encoded is not None and encoded.limit.algorithm is meter.algorithm:
                words.append(self._knowledge.learn(encoded.limit, key).key)
                arguments.append(encoded.debit(amount))
                sent.append((key, meter))
            else:
                self._fallback.paid(key, meter)
        if not sent:
            return False
        try:
            future = self._link.send(b"".join([head(len(sent)), *words, *arguments]))
        except StoreUnavailable:
            self._stop(then)
            self._put_back(sent)
        else:
            future.add_done_callback(partial(self._end, sent, then))
        return True

    def _end(self, debts: Sequence[_Debt], then: _Then, future: asyncio.Future[Reply]) -> None:
        fault = future.exception()
        if fault is None:
            if self._settle(debts, future.result()):
                if then is not None:
                    then()
                return
        elif isinstance(fault, Refused):
            self._put_back(debts)
        else:
            self._unsure[future] = debts
        self._stop(then)

    def _settle(self, debts: Sequence[_Debt], reply: Reply) -> bool:
        """Read the answer to a payment; False when it says that nothing was charged."""
        if not is_answer(reply, len(debts)):
            self._put_back(debts)
            self.is_due = True
            return False
        now = self._now()
        for at, (key, meter) in enumerate(debts):
            known = self._knowledge.get(key)
            if self._fallback.paid(key, meter) and known is not None:
                known.tally = Tally(known.limit, 0, reply[3 * at + 2], reply[3 * at + 3])
                known.heard_at = now
        return True

    def _put_back(self, debts: Sequence[_Debt]) -> None:
        for key, meter in debts:
            self._fallback.unpaid(key, meter)

    def _stop(self, then: _Then) -> None:
        """Go on with what is left when Redis answers again."""
        if then is not None:
            self._is_paying = False
        self.is_due = True
