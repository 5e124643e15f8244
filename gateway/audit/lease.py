"""Which process serves an outlet, and how far the outlet has come.

A process has an outlet for half a minute and keeps it by asking again. When it stops asking, because it died
or because it cannot reach the outlet, another one goes on from the position that was noted last.
"""

from typing import Final

from gateway.ports import Clock, OutletPositions, Position

SECONDS: Final = 30.0
_RENEWED_AFTER: Final = 5.0


class Lease:
    """One process' hold on one outlet."""

    def __init__(self, positions: OutletPositions, outlet: str, clock: Clock, *, holder: str) -> None:
        self._positions = positions
        self._outlet = outlet
        self._clock = clock
        self._holder = holder
        self._position: dict[str, int] | None = None
        self._renew_at = float("-inf")
        self._ends = float("-inf")

    @property
    def position(self) -> Position:
        """How far the outlet has come, while this process holds it."""
        return self._position or {}

    @property
    def remaining(self) -> float:
        """Seconds for which nobody else can have it; negative when somebody else may."""
        return self._ends - self._clock.monotonic()

    async def keep(self) -> bool:
        """Have the outlet for a while longer; False when another process has it. Raise `StoreUnavailable`."""
        # Read before the store is asked: an answer may be a while on its way.
        now, wall = self._clock.monotonic(), self._clock.now()
        if now < self._renew_at:
            return True
        if now >= self._ends:
            # Somebody else may have gone on meanwhile.
            self._position = None
        if not await self._positions.hold(self._outlet, holder=self._holder, now=wall, until=wall + SECONDS):
            self._forget()
            return False
        self._renew_at, self._ends = now + _RENEWED_AFTER, now + SECONDS
        if self._position is None:
            self._position = dict(await self._positions.position(self._outlet))
        return True

    async def advance(self, position: Position) -> None:
        """Note how far the outlet has come for the writers that are named. Raise `StoreUnavailable`."""
        await self._positions.advance(self._outlet, position)
        if self._position is not None:
            self._position.update(position)

    async def release(self) -> None:
        """Leave the outlet to whoever asks first. Raise `StoreUnavailable`."""
        if self.remaining > 0:
            wall = self._clock.now()
            self._forget()
            await self._positions.hold(self._outlet, holder=self._holder, now=wall, until=wall)

    def _forget(self) -> None:
        self._position = None
        self._renew_at = self._ends = float("-inf")
