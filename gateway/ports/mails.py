"""Mails: what is to be sent is kept until it was, whatever happens to the process; and who sends it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One mail in plain text."""

    to: str = field(repr=False)
    subject: str
    text: str = field(repr=False)
    """Lines with `\\n`. It may hold a link that works."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedMail:
    """What waits to be sent, or to be made a mail of. Times are seconds since the epoch."""

    id: str
    sealed: bytes = field(repr=False)
    """What it is about, sealed with the master secret: addresses and links are nobody's else business."""
    created_at: float
    attempts: int
    """How often it was tried."""


class MailQueue(Protocol):
    """Mails that wait. Each is claimed by one process at a time."""

    async def add(self, mail: QueuedMail) -> None:
        """Keep a mail until it is sent."""

    async def claim(self, *, now: float, until: float, limit: int) -> Sequence[QueuedMail]:
        """Take the oldest that are due and nobody has claimed; they are this process's own until `until`, and
        have been tried once more."""

    async def waiting(self) -> Sequence[QueuedMail]:
        """Return all of them, the claimed ones too, the oldest first."""

    async def sent(self, id: str) -> None:
        """Forget a mail."""

    async def later(self, id: str, *, at: float) -> None:
        """Give a claimed mail back, due at a time."""


class MailRefused(Exception):
    """A mail cannot be sent now. The text says why, without the address; `final`: nor ever."""

    def __init__(self, why: str, *, final: bool = False) -> None:
        super().__init__(why)
        self.final = final


class Postman(Protocol):
    """Who sends mails."""

    async def send(self, mail: Mail) -> None:
        """Return when the mail was taken over. Raise `MailRefused`."""
