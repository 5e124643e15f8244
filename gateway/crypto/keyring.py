"""The signing keys as one process sees them: which one signs, which ones verify, what is published.

A key is published before it signs, so that whoever keeps a copy of the published set has it by then, and
after it has signed for as long as anything that it signed can be alive. When each of that begins and ends is
stored with the key: all processes change over at the same moment, and none has to be told then.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

import orjson
import structlog
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from gateway.crypto.sealing import SealBroken, Sealer
from gateway.crypto.signing import SigningKey
from gateway.model import Event, EventKind, timestamp
from gateway.ports import Change, Clock, Events, SigningKeyStore, StoredSigningKey, StoreUnavailable

RETRY_SECONDS = 1.0
LOOK_SECONDS = 10.0
"""How often the clock is asked whether another key's time has come: clocks are set, and sleep."""

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("gateway.keys")


class KeyringUnusable(Exception):
    """No stored key can sign. The text says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """A stored key, open."""

    key: SigningKey
    signs_from: float
    verifies_until: float | None


Timed = TypeVar("Timed", StoredSigningKey, _Kept)


class Keyring:
    """The signing keys, replaced whole when they or the times change. Made by `await Keyring.open(...)`."""

    active: SigningKey
    """The key that signs."""
    verifying: Mapping[str, EllipticCurvePublicKey]
    """Public keys by `kid`, the active one's too. Another object after every change, so that whoever keeps
    something derived from the keys notices."""

    def __init__(self, store: SigningKeyStore, sealer: Sealer, clock: Clock) -> None:
        self._store = store
        self._sealer = sealer
        self._now = clock.now
        self._kept: Sequence[_Kept] = ()
        self._stale = asyncio.Event()
        self.revoked: set[str] = set()
        """Keys that were revoked since this process began: what they signed has ended, and not only
        expired."""
        self._in_use: tuple[str, ...] = ()
        self._jwks = b""
        self._callbacks: list[Callable[[], None]] = []

    def __repr__(self) -> str:
        return f"Keyring(active={self.active.kid}, verifying={sorted(self.verifying)})"

    @classmethod
    async def open(cls, store: SigningKeyStore, sealer: Sealer, clock: Clock, events: Events) -> "Keyring":
        """Return the keys in the store, after making the first one when there is none; that is recorded as
        `signing_key.rotated`.

        Raise `StoreUnavailable`; `SealBroken` when the master secret is not the one they were sealed with;
        `KeyringUnusable` when none of them may sign.
        """
        keyring = cls(store, sealer, clock)
        stored = await store.all()
        if not stored:
            now = clock.now()
            first = SigningKey.generate(created_at=now)
            event = Event(
                kind=EventKind.SIGNING_KEY_ROTATED,
                actor=None,
                attributes={"key": first.kid, "signs_from": timestamp(now)},
            )
            # When another process was quicker, its key is what the second look finds.
            await store.add_first(
                first.to_stored(sealer, signs_from=now), before_commit=lambda: events.event(event)
            )
            stored = await store.all()
        await keyring._receive(stored)
        return keyring

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Have a function called after every change of the keys. It must be quick and must not raise."""
        self._callbacks.append(callback)

    async def reload(self) -> None:
        """Take the keys as they are stored now. Raise as `open` does; then the present ones stay."""
        await self._receive(await self._store.all())

    def notice(self, change: Change) -> None:
        """Note that the stored keys changed: what to subscribe with to the change feed.

        A key that was revoked is the subject, and verifies nothing from this moment on, whatever becomes of
        the reload.
        """
        if change.subject:
            self.revoked.add(change.subject)
            self._kept = [kept for kept in self._kept if kept.key.kid != change.subject]
            self._turn()
        self._stale.set()

    async def follow(self, *, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Reload after every noticed change and change over when a key's time has come, for ever. While a
        reload fails, the present keys stay in use and it is tried again every second.
        """
        while True:
            self._turn()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._until_next()):
                    await self._stale.wait()
            if not self._stale.is_set():
                continue
            self._stale.clear()
            try:
                await self.reload()
            except (StoreUnavailable, SealBroken, KeyringUnusable) as fault:
                _log.error("signing_keys.not_reloaded", detail=str(fault))
                self._stale.set()
                await pause(RETRY_SECONDS)

    def jwks(self) -> bytes:
        """Return the public keys as a JSON Web Key Set (RFC 7517 section 5), the active one first.

        Raise `StoreUnavailable` when there is none: the only one was revoked, and the one in its place is
        still to be read. Whoever was given an empty set would keep it for minutes.
        """
        if not self._in_use:
            raise StoreUnavailable("the key in place of the one that was revoked is not known yet")
        return self._jwks

    async def _receive(self, stored: Sequence[StoredSigningKey]) -> None:
        await self._sealer.ready_for(*(row.sealed_private for row in stored))
        self._take(stored)

    def _take(self, stored: Sequence[StoredSigningKey]) -> None:
        # What was read may be older than what was heard.
        living = [row for row in stored if row.kid not in self.revoked]
        rows = _in_time(living, self._now())
        if not rows:
            raise KeyringUnusable("there is no signing key; run `gateway signing-keys rotate --now`")
        signs = _signs(rows, self._now())
        kept: list[_Kept] = []
        for row in rows:
            try:
                key = SigningKey.from_stored(row, self._sealer)
            except SealBroken as fault:
                if row is signs:
                    raise
                # A damaged key that does not sign costs the tokens that it signed, not the gateway's life.
                _log.error("signing_keys.left_out", detail=str(fault))
            else:
                kept.append(_Kept(key=key, signs_from=row.signs_from, verifies_until=row.verifies_until))
        self._kept = kept
        self._turn()

    def _turn(self) -> None:
        """Have the keys in use be those whose time it is."""
        now = self._now()
        good = _in_time(self._kept, now)
        if good:
            active = _signs(good, now).key
            keys = [active, *(each.key for each in good if each.key is not active)]
        else:
            # The only one was revoked, and the one in its place is still to be read. Nothing that is signed
            # meanwhile is good.
            keys = []
        in_use = tuple(key.kid for key in keys)
        if in_use == self._in_use:
            return
        if keys:
            self.active = keys[0]
        self.verifying = MappingProxyType({key.kid: key.public for key in keys})
        self._jwks = orjson.dumps({"keys": [key.jwk() for key in keys]})
        self._in_use = in_use
        for callback in self._callbacks:
            callback()

    def _until_next(self) -> float:
        """Return the seconds until it is worth to look at the clock again."""
        now = self._now()
        moments = [moment for each in self._kept for moment in (each.signs_from, each.verifies_until)]
        ahead = [moment - now for moment in moments if moment is not None and moment > now]
        return min([LOOK_SECONDS, *ahead])


def _in_time(keys: Sequence[Timed], now: float) -> list[Timed]:
    """Return those that are published, and that verify what they signed."""
    return [key for key in keys if key.verifies_until is None or now < key.verifies_until]


def _signs(newest_first: Sequence[Timed], now: float) -> Timed:
    """Return the one that signs. Where the clock is behind that of whoever made the only one, that one."""
    return next((key for key in newest_first if key.signs_from <= now), newest_first[-1])
