"""Which worker gets the next connection: the one that has the fewest, in turns among equals.

The kernel spreads unevenly. Of 100 connections to four processes on one shared listening socket, one got 98:
the process that was last to go to sleep is the first to be woken. With SO_REUSEPORT a hash of the addresses
chooses: 14 to 32 each; connections in the queue of a process that dies are lost, and unix sockets have
nothing of the kind. Long connections make an uneven spread last. So the supervisor accepts, as the primary of
node's cluster does, and chooses: 25 each. That costs it 30 us of CPU a connection under load.
"""

from collections.abc import Iterable
from typing import Final

from gateway.workers.hand import DRAINING, Hand

_SLOW: Final = 0.1
"""Seconds without taking what waits, after which a worker is given nothing while another one is at hand."""
_FEW: Final = 32
"""Connections that may wait for a worker while another one is at hand."""


class Spread:
    """Chooses among the hands of workers that serve."""

    def __init__(self) -> None:
        self._turn = 0

    def choose(self, hands: Iterable[Hand], now: float) -> Hand | None:
        """Return whose turn it is, None when nobody can take a connection now."""
        best: Hand | None = None
        best_rank: tuple[bool, bool, int, bool] | None = None
        best_index = 0
        for index, hand in enumerate(hands):
            if not hand.can_take:
                continue
            rank = (is_slow(hand, now), hand.mood == DRAINING, hand.open, index < self._turn)
            if best_rank is None or rank < best_rank:
                best, best_rank, best_index = hand, rank, index
        self._turn = best_index + 1
        return best


def is_slow(hand: Hand, now: float) -> bool:
    """Whether a worker does not take what waits for it: stopped, stuck, or very busy."""
    since = hand.waiting_since
    return hand.is_stuck or hand.waiting >= _FEW or (since is not None and now - since > _SLOW)
