"""Whose turn it is: smooth weighted round robin, as nginx does it."""

from collections.abc import Container, Sequence


class RoundRobin:
    """Deals turns to targets so that of `sum(weights)` turns in a row each gets its weight, spread evenly.

    Weights of 5, 1, 1 give `a a b a c a a`, not `a a a a a b c`.
    """

    __slots__ = ("_credit", "_weights")

    def __init__(self, weights: Sequence[int]) -> None:
        self._weights = tuple(weights)
        self._credit = [0] * len(self._weights)

    def __repr__(self) -> str:
        return f"RoundRobin(weights={self._weights}, credit={self._credit})"

    def turn(self, tried: Container[int] = ()) -> int | None:
        """Return the index of the next target, None when every one is among the `tried`."""
        if len(self._weights) == 1:
            return None if 0 in tried else 0
        best: int | None = None
        total = 0
        credit = self._credit
        for index, weight in enumerate(self._weights):
            if index in tried:
                continue
            credit[index] += weight
            total += weight
            if best is None or credit[index] > credit[best]:
                best = index
        if best is not None:
            credit[best] -= total
        return best
