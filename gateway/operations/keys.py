"""What operators do with API keys.

Issuing and rotating are recorded inside the transaction that stores the secret: no record, no secret.
Revoking comes before its record, because a key that has leaked must not live on while the audit trail is
away.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from gateway.accounts import AccountRefusal, invalid
from gateway.identity import issue_api_key
from gateway.model import Event, EventKind, Principal, Reason, timestamp
from gateway.operations.finding import find_user
from gateway.operations.issued import refuse_name, refuse_overlap
from gateway.ports import ApiKey, ApiKeyStore, Clock, Events, KeySecret, Taken, UserStore

MAX_LIFETIME = 100 * 365 * 86400.0
"""Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedKey:
    """A key with a new secret. `text` is what its holder sends, which is shown once and kept nowhere."""

    key: ApiKey
    text: str = field(repr=False)


async def create_key(
    users: UserStore,
    keys: ApiKeyStore,
    events: Events,
    clock: Clock,
    *,
    name: str,
    owner: str,
    scopes: frozenset[str] | None,
    lifetime: float | None,
    networks: Sequence[IPv4Network | IPv6Network] = (),
    operator: Principal,
) -> CreatedKey | AccountRefusal:
    """Issue a key to a user, given by name, e-mail or id; `lifetime` in seconds, None: without end.

    `scopes` confine the key within what its owner may do at the time of use; None: to all of that. It may be
    used from `networks`; none of them: from anywhere.
    Recorded as `key.created`. Raise `StoreUnavailable`; then there is no key.
    """
    if (refusal := refuse_name(name)) is not None:
        return refusal
    if lifetime is not None and not 0 < lifetime <= MAX_LIFETIME:
        return invalid("expires", "must be between a moment and a hundred years")
    user = await find_user(users, owner)
    if isinstance(user, AccountRefusal):
        return user
    if user.disabled_at is not None:
        return AccountRefusal(reason=Reason.CONFLICT, detail=f"The user {user.username!r} is disabled.")
    issued = issue_api_key()
    now = clock.now()
    key = ApiKey(
        id=issued.id,
        name=name,
        owner_id=user.id,
        owner_name=user.username,
        owner_roles=user.roles,
        owner_active=True,
        secrets=(KeySecret(hash=issued.secret_hash),),
        scopes=scopes,
        created_at=now,
        expires_at=None if lifetime is None else now + lifetime,
        revoked_at=None,
        networks=tuple(map(str, networks)),
    )
    event = Event(
        kind=EventKind.KEY_CREATED,
        actor=operator,
        attributes={"key": key.id, "owner": user.id, **_confinement(key)},
        subject=user.id,
        personal={"name": name},
    )
    try:
        await keys.add(key, before_commit=lambda: events.event(event))
    except Taken:
        return AccountRefusal(
            reason=Reason.CONFLICT,
            detail=f"The user {user.username!r} has a key named {name!r} already.",
            errors=({"field": "name", "message": "is taken"},),
        )
    return CreatedKey(key=key, text=issued.text)


async def list_keys(keys: ApiKeyStore) -> Sequence[ApiKey]:
    """Return every key, newest first, revoked and expired ones too. Raise `StoreUnavailable`."""
    return await keys.list()


async def rotate_key(
    keys: ApiKeyStore,
    events: Events,
    clock: Clock,
    *,
    id: str,
    overlap: float,
    operator: Principal,
) -> CreatedKey | AccountRefusal:
    """Give a key a new secret. The one before it stays good for `overlap` seconds, any older one ends.

    Recorded as `key.rotated`. Raise `StoreUnavailable`; then nothing has changed.
    """
    if (refusal := refuse_overlap(overlap)) is not None:
        return refusal
    before = await keys.find(id)
    if before is None:
        return await _unknown(keys, id)
    issued = issue_api_key(instead_of=id)
    now = clock.now()
    event = Event(
        kind=EventKind.KEY_ROTATED,
        actor=operator,
        attributes={"key": id, "owner": before.owner_id, "old_until": timestamp(now + overlap)},
        subject=before.owner_id,
        personal={"name": before.name},
    )
    key = await keys.rotate(
        id, issued.secret_hash, at=now, old_until=now + overlap, before_commit=lambda: events.event(event)
    )
    if key is None:
        return AccountRefusal(
            reason=Reason.CONFLICT, detail=f"The key {id!r} has ended; create another one in its place."
        )
    return CreatedKey(key=key, text=issued.text)


async def revoke_key(
    keys: ApiKeyStore,
    events: Events,
    clock: Clock,
    *,
    id: str,
    operator: Principal,
) -> ApiKey | AccountRefusal:
    """End a key in every process within a second, recorded as `key.revoked`. Return the key as it was.

    Raise `StoreUnavailable`; `AuditUnavailable` when the key was ended but that could not be recorded.
    """
    key = await keys.find(id)
    if key is None:
        return await _unknown(keys, id)
    if not await keys.revoke(id, at=clock.now()):
        return AccountRefusal(reason=Reason.CONFLICT, detail=f"The key {id!r} was revoked already.")
    await events.event(
        Event(
            kind=EventKind.KEY_REVOKED,
            actor=operator,
            attributes={"key": key.id, "owner": key.owner_id},
            subject=key.owner_id,
            personal={"name": key.name},
        )
    )
    return key


async def _unknown(keys: ApiKeyStore, id_: str) -> AccountRefusal:
    # Keys of several users may have one name.
    named = [key.id for key in await keys.list() if key.name == id_]
    detail = (
        f"{id_!r} is the name of {', '.join(named)}: use its id."
        if named
        else f"There is no key {id_!r}; `gateway keys list` shows them."
    )
    return AccountRefusal(reason=Reason.NOT_FOUND, detail=detail)


def _confinement(key: ApiKey) -> dict[str, str | int | bool | list[str]]:
    """Return what confines a key, as far as anything does."""
    confined: dict[str, str | int | bool | list[str]] = {}
    if key.scopes is not None:
        confined["scopes"] = sorted(key.scopes)
    if key.expires_at is not None:
        confined["expires_at"] = timestamp(key.expires_at)
    if key.networks:
        confined["networks"] = list(key.networks)
    return confined
