"""What operators do with OAuth clients."""

from hashlib import sha256

import pytest
from unit.accounts.house import House

from gateway.accounts import AccountRefusal
from gateway.model import EventKind, Reason, timestamp
from gateway.operations import (
    IssuedClient,
    create_client,
    list_clients,
    operator_at_the_command_line,
    revoke_client,
    rotate_client,
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
