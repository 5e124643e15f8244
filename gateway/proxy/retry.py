"""How many more requests an upstream may be sent because of retries."""

from typing import Final

_RESERVE: Final = 10.0


class RetryBudget:
    """A share of the load. Every exchange adds the share, every retry takes one.

    The ten retries in reserve let a quiet upstream have some; a share of zero allows none at all.
    """

    __slots__ = ("_left", "_share")

    def __init__(self, share: float) -> None:
        self._share = share
        self._left = _RESERVE if share > 0 else 0.0

    def __repr__(self) -> str:
        return f"RetryBudget(share={self._share}, left={self._left:.1f})"

    def earn(self) -> None:
        """Count an exchange."""
        if self._left < _RESERVE:
            self._left = min(_RESERVE, self._left + self._share)

    def spend(self) -> bool:
        """Take one retry; False when none is left."""
        if self._left < 1:
            return False
        self._left -= 1
        return True
