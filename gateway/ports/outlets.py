"""Where records and checkpoints go besides the database."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from gateway.ports.audit import Position

Record = Mapping[str, object]
"""One record with all fields of the contract, in its order."""


class OutletUnavailable(Exception):
    """An outlet does not take anything at the moment. The text says why, without a secret."""


class Outlet(Protocol):
    """One place that records are sent to, in order, each at least once."""

    @property
    def name(self) -> str:
        """What it is called in logs, metrics and its position: `webhook https://siem.example.com/ingest`.
        Never with a secret."""

    async def send(self, records: Sequence[Record]) -> None:
        """Return once all of them have been taken. Raise `OutletUnavailable`; then all will be sent again."""

    async def close(self) -> None:
        """Let go of connections and files."""


class CheckpointOutlet(Protocol):
    """One place that checkpoints are sent to, in order, each at least once."""

    @property
    def name(self) -> str:
        """What it is called in logs, metrics and its position. Never with a secret."""

    async def publish(self, note: str) -> None:
        """Return once the signed note has been taken. Raise `OutletUnavailable`."""

    async def close(self) -> None:
        """Let go of connections and files."""


class OutletPositions(Protocol):
    """How far each outlet has come, and which process serves it. All raise `StoreUnavailable`."""

    async def hold(self, outlet: str, *, holder: str, now: float, until: float) -> bool:
        """Take or keep an outlet for one process until a time (seconds since the epoch); False when another
        process has it."""

    async def position(self, outlet: str) -> Position:
        """Return how far an outlet has come, by writer; empty for one that has had nothing."""

    async def advance(self, outlet: str, position: Position) -> None:
        """Note how far it has come for the writers that are named."""
