"""A spool that could not be opened."""

from collections.abc import Awaitable
from typing import NoReturn

from gateway.ports import AuditUnavailable
from gateway.stores.spool.recent import Recent


class UnopenedSpool:
    """Takes nothing and says why, so that commands which only read go on. Implements `ports.Spool`."""

    writer = ""
    available = False

    def __init__(self, why: str) -> None:
        self.recent = Recent()
        self._why = why

    def append(self, body: bytes, personal: bytes = b"") -> NoReturn:  # noqa: ARG002 - not looked at
        """Raise `AuditUnavailable`."""
        raise AuditUnavailable(self._why)

    def flushed(self) -> Awaitable[None]:
        """Raise `AuditUnavailable`."""
        raise AuditUnavailable(self._why)

    def write_now(self) -> NoReturn:
        """Raise `AuditUnavailable`."""
        raise AuditUnavailable(self._why)

    def close(self) -> None:
        """Do nothing."""
