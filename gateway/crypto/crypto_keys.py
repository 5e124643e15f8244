"""The encryption keys as one process sees them: all of them, open, and never older than what they meet."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import structlog

from gateway.crypto.crypto_key import CryptoKey, KeyVersion, open_version
from gateway.crypto.message_counts import MessageCounts
from gateway.crypto.opened import KeyUnknown, Opened, VersionUnknown
from gateway.crypto.sealing import SealBroken, Sealer
from gateway.crypto.shared_read import SharedRead
from gateway.ports import Change, Clock, CryptoKeyStore, StoredCryptoKey, StoreUnavailable

RETRY_SECONDS: Final = 1.0

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("gateway.crypto")


class CryptoKeys:
    """The encryption keys, replaced whole when they change. Made by `await CryptoKeys.open(...)`.

    Another process may have rotated a key a moment ago, and what it encrypted may be here already: before a
    ciphertext is refused for naming a version that is too new, the store is asked, once for all who wait.
    """

    def __init__(self, store: CryptoKeyStore, sealer: Sealer, clock: Clock) -> None:
        self._store = store
        self._sealer = sealer
        self._shared = SharedRead(self._load, clock)
        self._keys: Mapping[str, CryptoKey] = {}
        self._versions: Mapping[tuple[str, int], KeyVersion] = {}
        self._damaged: set[tuple[str, int]] = set()
        """What was logged as damaged, once."""
        self._counts = MessageCounts()
        self._stale = asyncio.Event()

    def __repr__(self) -> str:
        return f"CryptoKeys({sorted(self._keys)})"

    @classmethod
    async def open(cls, store: CryptoKeyStore, sealer: Sealer, clock: Clock) -> "CryptoKeys":
        """Return the keys in the store. A version that does not open is left out, and logged.

        Raise `StoreUnavailable`.
        """
        keys = cls(store, sealer, clock)
        await keys._load()
        return keys

    def find(self, name: str) -> CryptoKey | None:
        """Return a key that can encrypt. None when there is none that this process knows of, or when its
        newest version is damaged."""
        key = self._keys.get(name)
        return key if key is not None and key.can_seal else None

    async def look_up(self, name: str) -> CryptoKey | None:
        """Return a key after asking the store when it is not known: for names that come from callers. With a
        damaged newest version it only decrypts (`can_seal`). Raise `StoreUnavailable`."""
        if name not in self._keys:
            await self._shared.again()
        return self._keys.get(name)

    async def look_again(self, name: str) -> CryptoKey | None:
        """Return a key after asking the store: for messages of a version that is not known. Raise
        `StoreUnavailable`."""
        await self._shared.again()
        return self._keys.get(name)

    async def unseal(self, name: str, sealed: bytes, *, context: str = "") -> Opened:
        """Return what a JWE or a text was made from, which is encrypted with this key, of whichever version.

        Raise `CannotOpen`, `KeyUnknown` when there is no such key, and `StoreUnavailable`.
        """
        try:
            return self._known(name).open(sealed, context=context)
        except (KeyUnknown, VersionUnknown):
            await self._shared.again()
        return self._known(name).open(sealed, context=context)

    def notice(self, change: Change) -> None:  # noqa: ARG002 - all keys are read again, whichever changed
        """Note that the stored keys changed: what to subscribe with to the change feed."""
        self._stale.set()

    async def follow(self, *, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Read the keys again after every noticed change, for ever. While that fails, the present keys stay
        in use and it is tried again every second."""
        while True:
            await self._stale.wait()
            self._stale.clear()
            try:
                await self._shared.again()
            except StoreUnavailable as fault:
                _log.error("crypto_keys.not_reloaded", detail=str(fault))
                self._stale.set()
                await pause(RETRY_SECONDS)

    def take_counts(self) -> Mapping[tuple[str, int], int]:
        """Return how many messages this process has encrypted since the last call, by name and version."""
        return self._counts.take()

    def _known(self, name: str) -> CryptoKey:
        key = self._keys.get(name)
        if key is None:
            raise KeyUnknown("there is no key of this name")
        return key

    async def _load(self) -> None:
        stored = await self._store.all()
        await self._sealer.ready_for(*(version.sealed for row in stored for version in row.versions))
        self._take(stored)

    def _take(self, stored: Sequence[StoredCryptoKey]) -> None:
        keys: dict[str, CryptoKey] = {}
        versions: dict[tuple[str, int], KeyVersion] = {}
        for row in stored:
            opened = self._opened(row)
            versions.update(((row.name, number), version) for number, version in opened.items())
            keys[row.name] = CryptoKey(
                row.name,
                opened,
                newest=row.newest.version,
                min_decryption_version=row.min_decryption_version,
                counts=self._counts,
            )
        self._keys, self._versions = keys, versions

    def _opened(self, row: StoredCryptoKey) -> dict[int, KeyVersion]:
        """Return the versions of a key that open."""
        opened: dict[int, KeyVersion] = {}
        for stored in row.versions:
            present = self._versions.get((row.name, stored.version))
            if present is not None and present.sealed == stored.sealed:
                opened[stored.version] = present
                continue
            try:
                opened[stored.version] = open_version(self._sealer, row.name, stored)
            except SealBroken as fault:
                if (row.name, stored.version) not in self._damaged:
                    self._damaged.add((row.name, stored.version))
                    _log.error("crypto_keys.damaged", key=row.name, version=stored.version, detail=str(fault))
                if present is not None:
                    # What has been good since this process began stays: no version is ever made anew.
                    opened[stored.version] = present
        return opened
