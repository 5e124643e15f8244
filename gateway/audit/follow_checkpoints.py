"""Brings the signed checkpoints to outlets, where whoever could change the trail cannot change them."""

import asyncio
from typing import Final

from gateway.audit.following import SEND_SECONDS, Following
from gateway.ports import CheckpointOutlet, Checkpoints, Clock, OutletPositions, OutletUnavailable

CHECKPOINTS: Final = "checkpoints"
"""What stands in place of a writer in the position of such an outlet."""
_AT_ONCE: Final = 100


class CheckpointFollower(Following):
    """Sends the signed checkpoints to one outlet. None is ever passed over."""

    def __init__(
        self,
        outlet: CheckpointOutlet,
        checkpoints: Checkpoints,
        positions: OutletPositions,
        clock: Clock,
        *,
        holder: str,
    ) -> None:
        """`holder` names this process, and no other."""
        super().__init__(outlet.name, positions, clock, holder=holder)
        self._outlet = outlet
        self._checkpoints = checkpoints

    async def _send_some(self) -> bool:
        number = last = self._lease.position.get(CHECKPOINTS, 0)
        found = await self._checkpoints.after(number, limit=_AT_ONCE)
        try:
            for checkpoint in found:
                await self._keep()
                await self._publish(checkpoint.note)
                last = checkpoint.number
        finally:
            if last > number:
                await self._lease.advance({CHECKPOINTS: last})
        return len(found) == _AT_ONCE

    async def _publish(self, note: str) -> None:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._outlet.publish(note)
        except TimeoutError:
            raise OutletUnavailable(f"no answer within {SEND_SECONDS:.0f} seconds") from None
        self.sent += 1

    async def _close(self) -> None:
        await self._outlet.close()
