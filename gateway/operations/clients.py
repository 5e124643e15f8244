"""What operators do with OAuth clients.

Making one and giving it another secret are recorded inside the transaction that stores it: no record, no
secret. Revoking comes before its record, because a client whose secret has leaked must not live on while the
audit trail is away.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.accounts import AccountRefusal, issue_client_secret, new_id
from gateway.model import Event, EventKind, Principal, Reason, canonical_name, timestamp
from gateway.operations.issued import refuse_name, refuse_overlap
from gateway.ports import ClientSecret, ClientStore, Clock, Events, OAuthClient, Taken


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
    operator: Principal,
) -> IssuedClient | AccountRefusal:
    """Make a client that may do what its roles give. Recorded as `client.created`.

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
    )
    event = Event(
        kind=EventKind.CLIENT_CREATED,
        actor=operator,
        attributes={"client": client.id, "name": name, "roles": sorted(roles)},
    )
    try:
        await clients.add(client, before_commit=lambda: events.event(event))
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
