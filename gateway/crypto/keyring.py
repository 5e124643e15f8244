"""The signing keys as one process sees them: which one signs, which ones verify, what is published."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType

import orjson
import structlog
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from gateway.crypto.sealing import SealBroken, Sealer
from gateway.crypto.signing import SigningKey
from gateway.ports import Change, Clock, SigningKeyStore, StoredSigningKey, StoreUnavailable

ACTIVE = "active"
RETRY_SECONDS = 1.0

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("gateway.keys")


class KeyringUnusable(Exception):
    """No stored key can sign. The text says what to do."""


class Keyring:
    """The signing keys, replaced whole by `reload`. Made by `await Keyring.open(...)`."""

    active: SigningKey
    """The key that signs."""
    verifying: Mapping[str, EllipticCurvePublicKey]
    """Public keys by `kid`, the active one's too. Another object after every change, so that whoever keeps
    something derived from the keys notices."""

    def __init__(self, store: SigningKeyStore, sealer: Sealer) -> None:
        self._store = store
        self._sealer = sealer
        self._stale = asyncio.Event()
        self._jwks = b""

    def __repr__(self) -> str:
        return f"Keyring(active={self.active.kid}, verifying={sorted(self.verifying)})"

    @classmethod
    async def open(cls, store: SigningKeyStore, sealer: Sealer, clock: Clock) -> "Keyring":
        """Return the keys in the store, after making the first one when there is none.

        Raise `StoreUnavailable`; `SealBroken` when the master secret is not the one they were sealed with;
        `KeyringUnusable` when none of them may sign.
        """
        keyring = cls(store, sealer)
        stored = await store.all()
        if not stored:
            first = SigningKey.generate(created_at=clock.now())
            # When another process was quicker, its key is what the second look finds.
            await store.add_first(first.to_stored(sealer))
            stored = await store.all()
        keyring._take(stored)
        return keyring

    async def reload(self) -> None:
        """Take the keys as they are stored now. Raise as `open` does; then the present ones stay."""
        self._take(await self._store.all())

    def notice(self, change: Change) -> None:  # noqa: ARG002 - that it happened is all there is to know
        """Note that the stored keys changed: what to subscribe with to the change feed."""
        self._stale.set()

    async def follow(self, *, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Reload after every noticed change, for ever. While that fails, the present keys stay in use and
        it is tried again every second.
        """
        while True:
            await self._stale.wait()
            self._stale.clear()
            try:
                await self.reload()
            except (StoreUnavailable, SealBroken, KeyringUnusable) as fault:
                _log.error("signing_keys.not_reloaded", detail=str(fault))
                self._stale.set()
                await pause(RETRY_SECONDS)

    def jwks(self) -> bytes:
        """Return the public keys as a JSON Web Key Set (RFC 7517 section 5), the active one first."""
        return self._jwks

    def _take(self, stored: Sequence[StoredSigningKey]) -> None:
        active: SigningKey | None = None
        retired: list[SigningKey] = []
        for row in stored:
            try:
                key = SigningKey.from_stored(row, self._sealer)
            except SealBroken as fault:
                if row.state == ACTIVE:
                    raise
                # A damaged retired key costs the tokens it signed, not the gateway's life.
                _log.error("signing_keys.left_out", detail=str(fault))
                continue
            if row.state == ACTIVE and active is None:
                active = key
            else:
                retired.append(key)
        if active is None:
            raise KeyringUnusable("no stored signing key is active; run `gateway signing-keys rotate`")
        keys = [active, *retired]
        self.active = active
        self.verifying = MappingProxyType({key.kid: key.public for key in keys})
        self._jwks = orjson.dumps({"keys": [key.jwk() for key in keys]})
