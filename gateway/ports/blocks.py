"""Addresses that are shut out, for a while or until somebody lets them in again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.ports.users import BeforeCommit

REMEMBERED_SECONDS: Final = 86_400.0
"""How long after its end a block makes the next one of the same address longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One address, or one /64 of IPv6. Times are seconds since the epoch."""

    network: str
    """As `client_key` returns it."""
    reason: str
    """For operators: `failed logins`, or what one of them wrote."""
    created_by: str | None
    """Id of the operator; None: the gateway itself."""
    created_at: float
    until: float | None
    """None: until it is lifted."""
    times: int
    """Which block in a row this is, from 1: each lasts longer."""


class BlockStore(Protocol):
    """Blocks. Every change is also announced through the change feed. A block that is over is kept as long
    as it makes the next one longer."""

    async def present(self, *, now: float) -> Sequence[Block]:
        """Return the blocks that hold, newest first."""

    async def find(self, network: str) -> Block | None:
        """Return the last block of an address, though it may be over."""

    async def put(self, block: Block, *, now: float, before_commit: BeforeCommit | None = None) -> bool:
        """Store a block in place of one that is over; False, and nothing is stored, when one holds that lasts
        as long or longer. Raise what `before_commit` raises; then nothing is stored."""

    async def remove(self, network: str, *, at: float, before_commit: BeforeCommit | None = None) -> bool:
        """Lift a block and forget the ones before it; False when there is none that holds. Raise what
        `before_commit` raises; then it still holds."""


class Blocked(Protocol):
    """Asking whether an address is shut out, on every request, without leaving the process."""

    @property
    def any(self) -> bool:
        """Whether anybody is."""

    def holds(self, client: str) -> float | None:
        """Return the seconds until the block of a client's address ends (infinite: until it is lifted), None
        when there is no block."""
