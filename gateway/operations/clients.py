"""What operators do with OAuth clients.

Making one and giving it another secret, or a public key, are recorded inside the transaction that stores
it: no record, no secret and no key. Revoking comes before its record, because a client whose secret has
leaked must not live on while the audit trail is away.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson

from gateway.accounts import AccountRefusal, issue_client_secret, new_id
from gateway.crypto import (
    JwkRefused,
    JwsMalformed,
    RecipientKey,
    jwk_thumbprint,
    read_json_object,
    read_recipient,
)
from gateway.model import Event, EventKind, Principal, Reason, canonical_name, timestamp
from gateway.operations.issued import refuse_name, refuse_overlap
from gateway.ports import ClientSecret, ClientStore, Clock, Events, OAuthClient, Taken

_UNREADABLE: Final = "unreadable"
_NO_KEY: Final = "none"
"""What the audit trail calls it when a client has no public key any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedClient:
    """A client with a new secret, which is shown once and kept nowhere."""

    client: OAuthClient
    secret: str = field(repr=False)


async def create_client(
    clients: ClientStore,
    events: Events,
    clock: Clock,
    *,
    name: str,
    roles: frozenset[str],
    key: RecipientKey | None = None,
    operator: Principal,
) -> IssuedClient | AccountRefusal:
    """Make a client that may do what its roles give, and has this public key for what is encrypted for it.
    Recorded as `client.created`, and as `client.key_set` when it has one.

    Raise `StoreUnavailable`; then there is none.
    """
    if (refusal := refuse_name(name)) is not None:
        return refusal
    issued = issue_client_secret()
    client = OAuthClient(
        id=new_id("cli_"),
        name=name,
        roles=roles,
        secrets=(ClientSecret(hash=issued.hash),),
        epoch=0,
        created_at=clock.now(),
        jwk=_written(key),
    )
    created = Event(
        kind=EventKind.CLIENT_CREATED,
        actor=operator,
        attributes={"client": client.id, "name": name, "roles": sorted(roles)},
    )

    async def record() -> None:
        await events.event(created)
        if client.jwk is not None:
            await events.event(_key_set(client.id, client.jwk, operator))

    try:
        await clients.add(client, before_commit=record)
    except Taken:
        return AccountRefusal(
            reason=Reason.CONFLICT,
            detail=f"There is a client named {name!r} already.",
            errors=({"field": "name", "message": "is taken"},),
        )
    return IssuedClient(client=client, secret=issued.text)


async def list_clients(clients: ClientStore) -> Sequence[OAuthClient]:
    """Return every client, newest first, revoked ones too. Raise `StoreUnavailable`."""
    return await clients.list()


async def rotate_client(
    clients: ClientStore,
    events: Events,
    clock: Clock,
    *,
    name: str,
    overlap: float,
    operator: Principal,
) -> IssuedClient | AccountRefusal:
    """Give a client, named or given by id, a new secret; the one before it stays good for `overlap` seconds,
    any older one ends.

    Recorded as `client.rotated`. Raise `StoreUnavailable`; then nothing has changed.
    """
    if (refusal := refuse_overlap(overlap)) is not None:
        return refusal
    found = await _find(clients, name)
    if isinstance(found, AccountRefusal):
        return found
    issued = issue_client_secret()
    now = clock.now()
    event = Event(
        kind=EventKind.CLIENT_ROTATED,
        actor=operator,
        attributes={"client": found.id, "old_until": timestamp(now + overlap)},
    )
    client = await clients.rotate(
        found.id, issued.hash, at=now, old_until=now + overlap, before_commit=lambda: events.event(event)
    )
    if client is None:
        return _revoked_already(name)
    return IssuedClient(client=client, secret=issued.text)


async def set_client_key(
    clients: ClientStore,
    events: Events,
    clock: Clock,
    *,
    name: str,
    key: RecipientKey | None,
    operator: Principal,
) -> OAuthClient | AccountRefusal:
    """Have what is encrypted for a client, named or given by id, be encrypted with this public key, or with
    none: then it is refused. In every process within a second. Return the client as it is then.

    Recorded as `client.key_set`. Raise `StoreUnavailable`; then nothing has changed.
    """
    found = await _find(clients, name)
    if isinstance(found, AccountRefusal):
        return found
    jwk = _written(key)
    event = _key_set(found.id, jwk, operator)
    client = await clients.set_jwk(found.id, jwk, at=clock.now(), before_commit=lambda: events.event(event))
    return _revoked_already(name) if client is None else client


def key_thumbprint(client: OAuthClient) -> str | None:
    """Return the thumbprint (RFC 7638) of a client's public key, None when it has none, `unreadable` when
    what is stored is no key."""
    if client.jwk is None:
        return None
    try:
        read_recipient(read_json_object(client.jwk.encode()))
    except (JwkRefused, JwsMalformed, UnicodeEncodeError):
        return _UNREADABLE
    return _thumbprint(client.jwk)


async def revoke_client(
    clients: ClientStore, events: Events, clock: Clock, *, name: str, operator: Principal
) -> OAuthClient | AccountRefusal:
    """End a client, named or given by id, with its sessions and tokens, in every process within a second,
    recorded as `client.revoked`. Return the client as it was.

    Raise `StoreUnavailable`; `AuditUnavailable` when the client was ended but that could not be recorded.
    """
    client = await _find(clients, name)
    if isinstance(client, AccountRefusal):
        return client
    if not await clients.revoke(client.id, at=clock.now()):
        return _revoked_already(name)
    await events.event(
        Event(
            kind=EventKind.CLIENT_REVOKED,
            actor=operator,
            attributes={"client": client.id, "name": client.name},
        )
    )
    return client


async def _find(clients: ClientStore, name: str) -> OAuthClient | AccountRefusal:
    """Return the client with this id, or with this name, of which there is one."""
    client = await clients.find(name)
    if client is None:
        wanted = canonical_name(name)
        named = (each for each in await clients.list() if canonical_name(each.name) == wanted)
        client = next(named, None)
    if client is not None:
        return client
    return AccountRefusal(
        reason=Reason.NOT_FOUND, detail=f"There is no client {name!r}; `gateway clients list` shows them."
    )


def _revoked_already(name: str) -> AccountRefusal:
    return AccountRefusal(reason=Reason.CONFLICT, detail=f"The client {name!r} was revoked already.")


def _written(key: RecipientKey | None) -> str | None:
    """Return a public key as it is stored: of what a document said, only what makes it that key, and its
    name."""
    return None if key is None else orjson.dumps(key.members, option=orjson.OPT_SORT_KEYS).decode()


def _thumbprint(jwk: str) -> str:
    members: dict[str, str] = orjson.loads(jwk)
    return jwk_thumbprint({name: value for name, value in members.items() if name != "kid"})


def _key_set(client_id: str, jwk: str | None, operator: Principal) -> Event:
    return Event(
        kind=EventKind.CLIENT_KEY_SET,
        actor=operator,
        attributes={"client": client_id, "thumbprint": _NO_KEY if jwk is None else _thumbprint(jwk)},
    )
