"""Counting what principals and addresses spend."""

from collections.abc import Sequence
from typing import Protocol

from gateway.model import Charge, Verdict


class CounterStore(Protocol):
    """Takes all charges of one request in one step, or none."""

    async def take(self, charges: Sequence[Charge]) -> Verdict:
        """Charge every limit, or none when one of them refuses. Raise `StoreUnavailable`."""

    async def give_back(self, charges: Sequence[Charge]) -> None:
        """Undo one `take` of these charges that was admitted, as far as it still counts. Never raises: what
        cannot be given back only counts until its time is over."""

    @property
    def is_refusing(self) -> bool:
        """Whether any key is known to be exhausted at all; when none is, `known_wait` is 0 for everybody."""

    def known_wait(self, charges: Sequence[Charge]) -> float:
        """Return the seconds until the charges could pass as far as this process knows, 0 when they may.

        Spends nothing and asks nobody: it is what refuses exhausted addresses before any signature is
        checked.
        """
