"""Reading what other servers publish, such as the keys of an issuer of tokens."""

from dataclasses import dataclass, field
from typing import Protocol


class PageUnavailable(Exception):
    """A page cannot be had. The text says why, for operators; it holds nothing of what was answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a server published at an address."""

    body: bytes = field(repr=False)
    max_age: float | None
    """For how many seconds it is good, by what the server says; None: it says nothing."""


class Pages(Protocol):
    """Fetches public pages. Nothing is sent but the address."""

    async def fetch(self, url: str) -> Page:
        """Return what is published at an address. Raise `PageUnavailable`, within a few seconds at most."""
