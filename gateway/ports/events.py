"""Telling the audit trail that something happened."""

from typing import Protocol

from gateway.model import Event


class Events(Protocol):
    """Where events go."""

    async def event(self, event: Event) -> None:
        """Return once the event is durable. Raise `AuditUnavailable` when it cannot be."""
