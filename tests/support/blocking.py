"""Addresses that are blocked, or not, in the hands of a test."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class HeldOff:
    """Who is blocked, without a store behind it."""

    clients: Mapping[str, float] = field(default_factory=dict)
    """Seconds that are left, by address."""

    @property
    def any(self) -> bool:
        return bool(self.clients)

    def holds(self, client: str) -> float | None:
        return self.clients.get(client)
