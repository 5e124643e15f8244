"""What operators do with OAuth clients."""

import json
from hashlib import sha256

import pytest
from unit.accounts.house import House

from gateway.accounts import AccountRefusal
from gateway.crypto import read_recipient
from gateway.model import EventKind, Reason, timestamp
from gateway.operations import (
    IssuedClient,
    create_client,
    key_thumbprint,
    list_clients,
    operator_at_the_command_line,
    revoke_client,
    rotate_client,
    set_client_key,
)
from gateway.ports import AuditUnavailable, OAuthClient
from gateway.stores.sql import SqlClientStore

OPERATOR = operator_at_the_command_line()


@pytest.fixture
def clients(house: House) -> SqlClientStore:
    return SqlClientStore(house.database)


async def create(
    house: House, clients: SqlClientStore, name: str = "billing"
) -> IssuedClient | AccountRefusal:
    return await create_client(
        clients, house.events, house.clock, name=name, roles=frozenset({"customer"}), operator=OPERATOR
    )


async def rotate(
    house: House, clients: SqlClientStore, id_: str, overlap: float = 60.0
) -> IssuedClient | AccountRefusal:
    return await rotate_client(
        clients, house.events, house.clock, name=id_, overlap=overlap, operator=OPERATOR
    )


async def revoke(house: House, clients: SqlClientStore, id_: str) -> OAuthClient | AccountRefusal:
    return await revoke_client(clients, house.events, house.clock, name=id_, operator=OPERATOR)


async def test_a_secret_is_shown_once_and_only_its_hash_is_kept(
    house: House, clients: SqlClientStore
) -> None:
    made = await create(house, clients)
    assert isinstance(made, IssuedClient)
    assert made.secret not in repr(made)
    stored = await clients.find(made.client.id)
    assert stored == made.client
    assert stored.id.startswith("cli_")
    assert [each.hash for each in stored.secrets] == [sha256(made.secret.encode()).digest()]
    (event,) = house.events.kept
    assert (event.kind, event.actor) == (EventKind.CLIENT_CREATED, OPERATOR)
    assert event.attributes == {"client": stored.id, "name": "billing", "roles": ["customer"]}
    assert made.secret not in repr(event)


@pytest.mark.parametrize("name", ["", " ", " x", "x" * 65, "a\nb", "\u202e"])
async def test_a_name_that_cannot_be_shown_is_refused(
    house: House, clients: SqlClientStore, name: str
) -> None:
    refused = await create(house, clients, name)
    assert isinstance(refused, AccountRefusal)
    assert refused.errors[0]["field"] == "name"
    assert house.events.kept == []


async def test_a_second_client_of_one_name_is_a_conflict(house: House, clients: SqlClientStore) -> None:
    await create(house, clients)
    refused = await create(house, clients, "BILLING")
    assert isinstance(refused, AccountRefusal)
    assert refused.reason is Reason.CONFLICT
    assert len(house.events.kept) == len(await list_clients(clients)) == 1


async def test_without_a_record_there_is_no_client_and_no_other_secret(
    house: House, clients: SqlClientStore
) -> None:
    made = await create(house, clients)
    assert isinstance(made, IssuedClient)
    house.events.away = True
    with pytest.raises(AuditUnavailable):
        await create(house, clients, "other")
    with pytest.raises(AuditUnavailable):
        await rotate(house, clients, made.client.id)
    assert await list_clients(clients) == [made.client]


async def test_a_rotation_gives_another_secret_and_says_until_when_the_old_one_is_good(
    house: House, clients: SqlClientStore
) -> None:
    made = await create(house, clients)
    assert isinstance(made, IssuedClient)
    rotated = await rotate(house, clients, made.client.id)
    assert isinstance(rotated, IssuedClient)
    assert rotated.secret != made.secret
    ends = [each.expires_at for each in rotated.client.secrets]
    assert ends == [None, house.clock.time + 60]
    event = house.events.kept[-1]
    assert event.kind is EventKind.CLIENT_ROTATED
    assert event.attributes == {"client": made.client.id, "old_until": timestamp(house.clock.time + 60)}


@pytest.mark.parametrize("overlap", [-1.0, 1e12, float("nan"), float("inf")])
async def test_an_overlap_that_is_none_is_refused(
    house: House, clients: SqlClientStore, overlap: float
) -> None:
    refused = await rotate(house, clients, "cli_1", overlap)
    assert isinstance(refused, AccountRefusal)
    assert refused.errors[0]["field"] == "overlap"


async def test_a_revoked_client_has_ended_once_and_for_all(house: House, clients: SqlClientStore) -> None:
    made = await create(house, clients)
    assert isinstance(made, IssuedClient)
    assert await revoke(house, clients, made.client.id) == made.client
    event = house.events.kept[-1]
    assert event.kind is EventKind.CLIENT_REVOKED
    assert event.attributes == {"client": made.client.id, "name": "billing"}
    for again in (await revoke(house, clients, made.client.id), await rotate(house, clients, made.client.id)):
        assert isinstance(again, AccountRefusal)
        assert again.reason is Reason.CONFLICT


async def test_a_client_has_ended_even_when_that_cannot_be_recorded(
    house: House, clients: SqlClientStore
) -> None:
    made = await create(house, clients)
    assert isinstance(made, IssuedClient)
    house.events.away = True
    with pytest.raises(AuditUnavailable):
        await revoke(house, clients, made.client.id)
    stored = await clients.find(made.client.id)
    assert stored is not None
    assert stored.revoked_at == house.clock.time


async def test_a_client_is_found_by_its_name_as_well(house: House, clients: SqlClientStore) -> None:
    made = await create(house, clients)
    assert isinstance(made, IssuedClient)
    rotated = await rotate(house, clients, "Billing")
    assert isinstance(rotated, IssuedClient)
    assert rotated.client.id == made.client.id
    assert house.events.kept[-1].attributes["client"] == made.client.id
    revoked = await revoke(house, clients, "billing")
    assert isinstance(revoked, OAuthClient)
    assert revoked.id == made.client.id


async def test_an_id_is_no_name(house: House, clients: SqlClientStore) -> None:
    first = await create(house, clients)
    assert isinstance(first, IssuedClient)
    assert isinstance(await create(house, clients, first.client.id), IssuedClient)
    revoked = await revoke(house, clients, first.client.id)
    assert isinstance(revoked, OAuthClient)
    assert revoked.name == "billing"


async def test_what_is_not_there_is_not_found(house: House, clients: SqlClientStore) -> None:
    for answer in (await revoke(house, clients, "cli_9"), await rotate(house, clients, "cli_9")):
        assert isinstance(answer, AccountRefusal)
        assert answer.reason is Reason.NOT_FOUND


JWK = {"kty": "OKP", "crv": "X25519", "x": "3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08", "kid": "2026"}
KEY = read_recipient({**JWK, "use": "enc", "alg": "ECDH-ES", "note": "ours"})
"""The public key of RFC 8037, appendix A.6."""
THUMBPRINT = "giQqigT_IKcuzHl0FVJ3k5ts3_TWNAxvsC08UZsfcM8"


async def test_a_client_is_made_with_its_public_key_and_both_are_recorded(
    house: House, clients: SqlClientStore
) -> None:
    made = await create_client(
        clients,
        house.events,
        house.clock,
        name="billing",
        roles=frozenset(),
        key=KEY,
        operator=OPERATOR,
    )
    assert isinstance(made, IssuedClient)
    stored = await clients.find(made.client.id)
    assert stored is not None
    # Only what makes it that key, and its name.
    assert json.loads(stored.jwk or "") == JWK
    assert key_thumbprint(stored) == THUMBPRINT
    assert house.events.kinds == [EventKind.CLIENT_CREATED, EventKind.CLIENT_KEY_SET]
    assert house.events.kept[1].attributes == {"client": stored.id, "thumbprint": THUMBPRINT}


@pytest.mark.parametrize(
    "jwk", ["", "{", "[]", "5", "{}", '{"kty": "OKP", "crv": "X25519", "x": 5}', "\ud800"]
)
def test_a_public_key_that_is_damaged_is_said_to_be_unreadable(jwk: str) -> None:
    client = OAuthClient(
        id="cli_1", name="billing", roles=frozenset(), secrets=(), epoch=0, created_at=0.0, jwk=jwk
    )
    assert key_thumbprint(client) == "unreadable"


async def test_a_client_is_given_a_public_key_and_none(house: House, clients: SqlClientStore) -> None:
    made = await create(house, clients)
    assert isinstance(made, IssuedClient)
    for key, thumbprint in ((KEY, THUMBPRINT), (None, None)):
        client = await set_client_key(
            clients, house.events, house.clock, name="Billing", key=key, operator=OPERATOR
        )
        assert isinstance(client, OAuthClient)
        assert client == await clients.find(made.client.id)
        assert key_thumbprint(client) == thumbprint
        event = house.events.kept[-1]
        assert (event.kind, event.actor) == (EventKind.CLIENT_KEY_SET, OPERATOR)
        assert event.attributes == {"client": client.id, "thumbprint": thumbprint or "none"}


async def test_without_a_record_a_client_keeps_the_key_that_it_has(
    house: House, clients: SqlClientStore
) -> None:
    await create(house, clients)
    house.events.away = True
    with pytest.raises(AuditUnavailable):
        await set_client_key(clients, house.events, house.clock, name="billing", key=KEY, operator=OPERATOR)
    (client,) = await clients.list()
    assert client.jwk is None


async def test_whoever_is_not_there_or_has_ended_gets_no_key(house: House, clients: SqlClientStore) -> None:
    await create(house, clients)
    await revoke(house, clients, "billing")
    for name, reason in (("billing", Reason.CONFLICT), ("cli_9", Reason.NOT_FOUND)):
        refused = await set_client_key(
            clients, house.events, house.clock, name=name, key=KEY, operator=OPERATOR
        )
        assert isinstance(refused, AccountRefusal)
        assert refused.reason is reason
    assert EventKind.CLIENT_KEY_SET not in house.events.kinds
