"""The keys of one issuer as they are at the moment: fetched beside the requests, and never for each."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final, Protocol

import structlog

from gateway.crypto import VerifyingKey
from gateway.identity.discovery import discover_keys
from gateway.identity.key_set import KeySet, KeySetRefused, read_key_set
from gateway.ports import Clock, Pages, PageUnavailable, StoreUnavailable

LIFE_SECONDS: Final = 600.0
"""For how long keys are good whose server does not say it."""
SHORTEST_LIFE: Final = 60.0
LONGEST_LIFE: Final = 86_400.0
RENEWED_AT: Final = 0.8
"""Of their life, when they are fetched again."""
COOLDOWN_SECONDS: Final = 30.0
"""Between two fetches for the sake of keys that nobody knows: tokens that name some are free, and must not
be a way to have the gateway attack its issuer."""
FIRST_RETRY: Final = 1.0
LONGEST_RETRY: Final = 60.0
PATIENCE_SECONDS: Final = 5.0
"""How long a request waits for keys that are being fetched."""

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("gateway.identity")


class Keys(Protocol):
    """Where a token's key is found."""

    @property
    def changes(self) -> int:
        """A number that grows whenever the keys are others: what was verified by then is verified anew."""

    async def find(self, kid: str | None, algorithm: str) -> VerifyingKey | None:
        """Return the key that a token means, None when there is none. Raise `StoreUnavailable` when nobody
        knows."""

    def trusts(self, thumbprint: str) -> bool:
        """Say whether the key of this thumbprint is still among them."""


class SecretKey:
    """One shared secret. Implements `Keys`."""

    changes: Final = 0

    def __init__(self, key: VerifyingKey) -> None:
        self._key = key

    async def find(self, kid: str | None, algorithm: str) -> VerifyingKey | None:  # noqa: ARG002 - there is one
        """Return the key, whatever name a token gives it."""
        return self._key if algorithm == self._key.algorithm else None

    def trusts(self, thumbprint: str) -> bool:  # noqa: ARG002 - it is the one there is
        """Say yes."""
        return True


class IssuerKeys:
    """Fetches an issuer's keys before they are old, and again when a token names one that is not among them.

    `follow` does the fetching; requests only wait for it, and only those whose key is not known. While
    nothing can be fetched, the last good keys stay. Implements `Keys`.
    """

    def __init__(
        self, issuer: str, *, address: str | None, algorithms: Sequence[str], pages: Pages, clock: Clock
    ) -> None:
        """`address` is where the keys are; None: the issuer's metadata says it."""
        self.issuer = issuer
        self.changes = 0
        self.fetched = 0
        """How often the keys were fetched."""
        self.failed = 0
        """How often that was not possible."""
        self.fault: str | None = None
        """Why the last attempt failed; None when it did not."""
        self._address = address
        self._algorithms = tuple(algorithms)
        self._pages = pages
        self._monotonic = clock.monotonic
        self._keys: KeySet | None = None
        self._fetched_at: float | None = None
        self._may_ask_at = 0.0
        self._retry = FIRST_RETRY
        self._pause = 0.0
        self._wanted = asyncio.Event()
        self._attempt: asyncio.Event | None = asyncio.Event()
        """Set when the attempt that runs, or is about to, is over; None between two attempts."""

    def __repr__(self) -> str:
        return f"IssuerKeys({self.issuer!r}, {self._keys!r})"

    @property
    def age(self) -> float | None:
        """For how many seconds the keys have been known, None when there are none."""
        return None if self._fetched_at is None else self._monotonic() - self._fetched_at

    async def find(self, kid: str | None, algorithm: str) -> VerifyingKey | None:
        """Return the key that a token means, None when there is none. Raise `StoreUnavailable` when no keys
        were ever fetched."""
        keys = self._keys
        if keys is not None:
            found = keys.find(kid, algorithm)
            if found is not None or kid is None or keys.knows(kid):
                return found
        await self._fetched_again()
        if self._keys is None:
            raise StoreUnavailable(
                f"the keys of {self.issuer} are not known: {self.fault or 'no answer yet'}"
            )
        return self._keys.find(kid, algorithm)

    def trusts(self, thumbprint: str) -> bool:
        """Say whether the issuer publishes the key of this thumbprint."""
        return self._keys is not None and self._keys.holds(thumbprint)

    async def follow(self) -> None:
        """Keep the keys, for ever."""
        while True:
            await self._try()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause):
                    await self._wanted.wait()
            self._wanted.clear()

    async def _fetched_again(self) -> None:
        """Return when an attempt is over that runs or may be made, and at once when none may."""
        if self._attempt is None:
            now = self._monotonic()
            if self._keys is None or now < self._may_ask_at:
                return
            self._may_ask_at = now + COOLDOWN_SECONDS
            self._attempt = asyncio.Event()
            self._wanted.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._attempt.wait()

    async def _try(self) -> None:
        attempt = self._attempt = self._attempt or asyncio.Event()
        try:
            self._take(*await self._fetch())
        except (PageUnavailable, KeySetRefused) as fault:
            self.failed += 1
            self._pause, self._retry = self._retry, min(self._retry * 2, LONGEST_RETRY)
            if self.fault is None:
                _log.error("issuer.keys_not_fetched", issuer=self.issuer, detail=str(fault))
            self.fault = str(fault)
        finally:
            self._attempt = None
            attempt.set()

    async def _fetch(self) -> tuple[KeySet, float | None]:
        address = self._address or await discover_keys(self.issuer, self._pages)
        page = await self._pages.fetch(address)
        return read_key_set(page.body, algorithms=self._algorithms), page.max_age

    def _take(self, keys: KeySet, max_age: float | None) -> None:
        self.fetched += 1
        self._fetched_at = self._monotonic()
        if keys != self._keys:
            self._keys = keys
            self.changes += 1
            _log.info("issuer.keys", issuer=self.issuer, keys=", ".join(keys.names))
        if self.fault is not None:
            _log.info("issuer.keys_fetched_again", issuer=self.issuer)
        self.fault = None
        self._retry = FIRST_RETRY
        life = LIFE_SECONDS if max_age is None else min(max(max_age, SHORTEST_LIFE), LONGEST_LIFE)
        self._pause = life * RENEWED_AT
