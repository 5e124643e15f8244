"""What operators do with the keys that sign tokens, and what the gateway does when nobody does it.

A rotation is recorded inside the transaction that stores the key: no record, no key. A revocation comes
before its record, because what somebody may have stolen must not live on while the audit trail is away.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import structlog

from gateway.accounts import LONGEST_ACCESS_LIFE, AccountRefusal
from gateway.crypto import Sealer, SigningKey
from gateway.model import Event, EventKind, Principal, Reason, timestamp
from gateway.ports import Clock, Events, SigningKeyStore, StoredSigningKey, StoreUnavailable

PUBLISHED_BEFORE: Final = 15 * 60.0
"""Seconds for which a key is published before it signs: those who verify keep the published set for ten
minutes at most, by what the common libraries do."""
KEPT_AFTER: Final = LONGEST_ACCESS_LIFE + PUBLISHED_BEFORE
"""Seconds for which a key verifies after the next one has begun to sign. What goes beyond the life of tokens
is for clocks that differ."""
LONGEST_USE: Final = 90 * 86400.0
"""Seconds for which a key signs; then the gateway replaces it by itself."""
_LOOK_SECONDS: Final = 3600.0
_APART: Final = 0.001
"""Seconds between two keys, whose order is that in which they were made, whatever the clocks say."""

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("gateway.keys")


class KeyState(StrEnum):
    """Where a key is in its life."""

    NEXT = "next"
    """Published, and does not sign yet."""
    ACTIVE = "active"
    RETIRED = "retired"
    """Published, and verifies what it signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedSigningKey:
    """A signing key as operators see it. Times are seconds since the epoch."""

    kid: str
    state: KeyState
    created_at: float
    signs_from: float
    verifies_until: float | None
    """None: as long as it signs, and then for as long as tokens live."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedSigningKey:
    """A key that is gone, and the one that was made in its place, if one was needed."""

    kid: str
    successor: str | None


async def list_signing_keys(keys: SigningKeyStore, clock: Clock) -> Sequence[ListedSigningKey]:
    """Return the keys that are published, the newest first. Raise `StoreUnavailable`."""
    now = clock.now()
    return _listed(await keys.all(), now)


async def rotate_signing_key(
    keys: SigningKeyStore,
    sealer: Sealer,
    events: Events,
    clock: Clock,
    *,
    at_once: bool,
    operator: Principal | None,
) -> ListedSigningKey | AccountRefusal:
    """Make the next key, which signs when it has been published for a quarter of an hour, or `at_once`: then
    some who verify refuse its tokens until they look for the published set again. The keys before it verify
    for as long as what they signed can live.

    Recorded as `signing_key.rotated`; `operator` None: by the gateway itself. Raise `StoreUnavailable`; then
    there is no new key.
    """
    now = clock.now()
    stored = await keys.all()
    if any(key.signs_from > now for key in _published(stored, now)) and not at_once:
        return AccountRefusal(
            reason=Reason.CONFLICT,
            detail="The next key is published already, and signs within minutes; "
            "`gateway signing-keys list` shows it. With --now, a new one signs at once.",
        )
    # Nothing is published yet in an empty database, and nobody has to be given time.
    signs_from = now if at_once or not stored else now + PUBLISHED_BEFORE
    key = _new_key(sealer, stored, now=now, signs_from=signs_from)
    event = _rotated(key, operator)

    async def record() -> None:
        await events.event(event)

    is_stored = await (
        keys.rotate(key, after=stored[0].kid, old_until=signs_from + KEPT_AFTER, before_commit=record)
        if stored
        else keys.add_first(key, before_commit=record)
    )
    if not is_stored:
        return AccountRefusal(
            reason=Reason.CONFLICT, detail="Another key was made at the same moment; nothing was done."
        )
    return next(listed for listed in _listed([key], now))


async def revoke_signing_key(
    keys: SigningKeyStore,
    sealer: Sealer,
    events: Events,
    clock: Clock,
    *,
    kid: str,
    operator: Principal,
) -> RevokedSigningKey | AccountRefusal:
    """Remove a key: it is published no more, and every token that it signed is dead in every process within a
    second. In place of the one that signs, or was to sign next, there is a new one.

    Recorded as `signing_key.revoked`, and the new one as `signing_key.rotated`. Raise `StoreUnavailable`;
    `AuditUnavailable` when the key is gone but that could not be recorded.
    """
    now = clock.now()
    stored = await keys.all()
    published = _listed(stored, now)
    state = next((key.state for key in published if key.kid == kid), None)
    successor: StoredSigningKey | None = None
    if state is KeyState.ACTIVE:
        successor = _new_key(sealer, stored, now=now, signs_from=now)
    elif state is KeyState.NEXT:
        successor = _new_key(sealer, stored, now=now, signs_from=now + PUBLISHED_BEFORE)
    old_until = (now if successor is None else successor.signs_from) + KEPT_AFTER
    if not await keys.revoke(kid, successor=successor, old_until=old_until, at=now):
        return AccountRefusal(
            reason=Reason.NOT_FOUND,
            detail=f"There is no signing key {kid!r}; `gateway signing-keys list` shows them.",
        )
    made = {} if successor is None else {"successor": successor.kid}
    await events.event(
        Event(kind=EventKind.SIGNING_KEY_REVOKED, actor=operator, attributes={"key": kid, **made})
    )
    if successor is not None:
        await events.event(_rotated(successor, operator))
    return RevokedSigningKey(kid=kid, successor=None if successor is None else successor.kid)


async def rotate_when_due(keys: SigningKeyStore, sealer: Sealer, events: Events, clock: Clock) -> bool:
    """Make the next key when the newest has signed for 90 days; say whether one was made. Of processes that
    do it at once, one does. Raise `StoreUnavailable`."""
    stored = await keys.all()
    if stored and clock.now() < stored[0].signs_from + LONGEST_USE:
        return False
    made = await rotate_signing_key(keys, sealer, events, clock, at_once=False, operator=None)
    return isinstance(made, ListedSigningKey)


async def keep_signing_keys_young(
    keys: SigningKeyStore,
    sealer: Sealer,
    events: Events,
    clock: Clock,
    *,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Rotate when it is due, looked at every hour, for ever. What fails is tried again in an hour."""
    while True:
        try:
            if await rotate_when_due(keys, sealer, events, clock):
                _log.info("signing_keys.rotated", detail="the newest key had signed for 90 days")
        except StoreUnavailable as fault:
            _log.error("signing_keys.not_rotated", detail=str(fault))
        await pause(_LOOK_SECONDS)


def _new_key(
    sealer: Sealer, stored: Sequence[StoredSigningKey], *, now: float, signs_from: float
) -> StoredSigningKey:
    created_at = max(now, stored[0].created_at + _APART) if stored else now
    return SigningKey.generate(created_at=created_at).to_stored(sealer, signs_from=signs_from)


def _published(stored: Sequence[StoredSigningKey], now: float) -> list[StoredSigningKey]:
    return [key for key in stored if key.verifies_until is None or now < key.verifies_until]


def _listed(stored: Sequence[StoredSigningKey], now: float) -> list[ListedSigningKey]:
    listed: list[ListedSigningKey] = []
    state = KeyState.NEXT
    for key in _published(stored, now):
        if state is KeyState.ACTIVE:
            state = KeyState.RETIRED
        elif state is KeyState.NEXT and key.signs_from <= now:
            state = KeyState.ACTIVE
        listed.append(
            ListedSigningKey(
                kid=key.kid,
                state=state,
                created_at=key.created_at,
                signs_from=key.signs_from,
                verifies_until=key.verifies_until,
            )
        )
    return listed


def _rotated(key: StoredSigningKey, operator: Principal | None) -> Event:
    return Event(
        kind=EventKind.SIGNING_KEY_ROTATED,
        actor=operator,
        attributes={"key": key.kid, "signs_from": timestamp(key.signs_from)},
    )
