"""What operators do with API keys."""

from hashlib import sha256
from ipaddress import ip_network

import pytest
from sqlalchemy import text
from unit.accounts.house import House

from gateway.accounts import AccountRefusal
from gateway.model import EventKind, Reason, timestamp
from gateway.operations import (
    CreatedKey,
    create_key,
    create_user,
    list_keys,
    operator_at_the_command_line,
    revoke_key,
    rotate_key,
)
from gateway.ports import ApiKey, AuditUnavailable, ChangeKind, User
from gateway.stores.sql import SqlApiKeyStore, SqlChangeFeed

OPERATOR = operator_at_the_command_line()


@pytest.fixture
def keys(house: House) -> SqlApiKeyStore:
    return SqlApiKeyStore(house.database)


@pytest.fixture
async def owner(house: House) -> User:
    made = await create_user(
        house.registrar,
        username="Ada",
        email="ada@example.com",
        password="correct horse battery",
        roles=frozenset({"customer"}),
        min_length=12,
        operator=OPERATOR,
    )
    assert isinstance(made, User)
    house.events.kept.clear()
    return made


async def create(
    house: House,
    keys: SqlApiKeyStore,
    *,
    name: str = "nightly",
    owner: str = "ada",
    scopes: frozenset[str] | None = None,
    lifetime: float | None = None,
) -> CreatedKey | AccountRefusal:
    return await create_key(
        house.users,
        keys,
        house.events,
        house.clock,
        name=name,
        owner=owner,
        scopes=scopes,
        lifetime=lifetime,
        operator=OPERATOR,
    )


async def revoke(house: House, keys: SqlApiKeyStore, id_: str) -> ApiKey | AccountRefusal:
    return await revoke_key(keys, house.events, house.clock, id=id_, operator=OPERATOR)


async def test_a_key_is_shown_once_and_only_its_hash_is_kept(
    house: House, keys: SqlApiKeyStore, owner: User
) -> None:
    made = await create(house, keys, scopes=frozenset({"orders:read"}), lifetime=3600.0)
    assert isinstance(made, CreatedKey)
    assert made.text not in repr(made)
    stored = await keys.find(made.key.id)
    assert stored == made.key
    assert [secret.hash for secret in stored.secrets] == [sha256(made.text.encode()).digest()]
    assert stored.expires_at == house.clock.time + 3600
    (event,) = house.events.kept
    assert (event.kind, event.actor) == (EventKind.KEY_CREATED, OPERATOR)
    assert event.attributes == {
        "key": made.key.id,
        "owner": owner.id,
        "scopes": ["orders:read"],
        "expires_at": timestamp(house.clock.time + 3600),
    }
    assert (event.subject, event.personal) == (owner.id, {"name": "nightly"})
    assert made.text not in repr(house.events.kept)


@pytest.mark.usefixtures("owner")
@pytest.mark.parametrize("named", ["Ada", "ADA@example.com"])
async def test_the_owner_is_given_by_name_or_address(house: House, keys: SqlApiKeyStore, named: str) -> None:
    assert isinstance(await create(house, keys, owner=named), CreatedKey)


async def test_the_owner_is_given_by_id(house: House, keys: SqlApiKeyStore, owner: User) -> None:
    assert isinstance(await create(house, keys, owner=owner.id), CreatedKey)


@pytest.mark.usefixtures("owner")
async def test_a_key_for_nobody_is_refused(house: House, keys: SqlApiKeyStore) -> None:
    refused = await create(house, keys, owner="bob")
    assert isinstance(refused, AccountRefusal)
    assert refused.reason is Reason.NOT_FOUND
    assert "bob" in (refused.detail or "")
    assert house.events.kept == []


async def test_a_key_for_a_disabled_user_is_refused(house: House, keys: SqlApiKeyStore, owner: User) -> None:
    async with house.database.write() as connection:
        await connection.execute(text("UPDATE users SET disabled_at = 1 WHERE id = :id"), {"id": owner.id})
    refused = await create(house, keys)
    assert isinstance(refused, AccountRefusal)
    assert refused.reason is Reason.CONFLICT


@pytest.mark.usefixtures("owner")
@pytest.mark.parametrize("name", ["", " ", " x", "x" * 65, "a\nb", "a\x1b[31m", "\u202e"])
async def test_a_name_that_cannot_be_shown_is_refused(house: House, keys: SqlApiKeyStore, name: str) -> None:
    refused = await create(house, keys, name=name)
    assert isinstance(refused, AccountRefusal)
    assert refused.errors[0]["field"] == "name"


@pytest.mark.usefixtures("owner")
@pytest.mark.parametrize("lifetime", [0.0, -1.0, 1e12, float("nan"), float("inf")])
async def test_a_lifetime_that_is_none_is_refused(
    house: House, keys: SqlApiKeyStore, lifetime: float
) -> None:
    refused = await create(house, keys, lifetime=lifetime)
    assert isinstance(refused, AccountRefusal)
    assert refused.errors[0]["field"] == "expires"


@pytest.mark.usefixtures("owner")
async def test_a_second_key_of_one_name_is_a_conflict(house: House, keys: SqlApiKeyStore) -> None:
    await create(house, keys)
    refused = await create(house, keys)
    assert isinstance(refused, AccountRefusal)
    assert refused.reason is Reason.CONFLICT
    assert len(house.events.kept) == len(await list_keys(keys)) == 1


@pytest.mark.usefixtures("owner")
async def test_without_a_record_there_is_no_key(house: House, keys: SqlApiKeyStore) -> None:
    house.events.away = True
    with pytest.raises(AuditUnavailable):
        await create(house, keys)
    assert await list_keys(keys) == []


async def test_a_revoked_key_is_announced_and_recorded(
    house: House, keys: SqlApiKeyStore, owner: User
) -> None:
    made = await create(house, keys)
    assert isinstance(made, CreatedKey)
    assert await revoke(house, keys, made.key.id) == made.key
    (change,) = await SqlChangeFeed(house.database).since(0)
    assert (change.kind, change.subject) == (ChangeKind.KEY_REVOKED, made.key.id)
    event = house.events.kept[-1]
    assert event.kind is EventKind.KEY_REVOKED
    assert event.attributes == {"key": made.key.id, "owner": owner.id}
    assert (event.subject, event.personal) == (owner.id, {"name": "nightly"})
    again = await revoke(house, keys, made.key.id)
    assert isinstance(again, AccountRefusal)
    assert again.reason is Reason.CONFLICT


@pytest.mark.usefixtures("owner")
async def test_a_key_has_ended_even_when_that_cannot_be_recorded(house: House, keys: SqlApiKeyStore) -> None:
    made = await create(house, keys)
    assert isinstance(made, CreatedKey)
    house.events.away = True
    with pytest.raises(AuditUnavailable):
        await revoke(house, keys, made.key.id)
    stored = await keys.find(made.key.id)
    assert stored is not None
    assert stored.revoked_at == house.clock.time


async def test_a_key_that_does_not_exist_cannot_be_revoked(house: House, keys: SqlApiKeyStore) -> None:
    refused = await revoke(house, keys, "key_nothing")
    assert isinstance(refused, AccountRefusal)
    assert refused.reason is Reason.NOT_FOUND


async def rotate(
    house: House, keys: SqlApiKeyStore, id_: str, *, overlap: float = 3600.0
) -> CreatedKey | AccountRefusal:
    return await rotate_key(keys, house.events, house.clock, id=id_, overlap=overlap, operator=OPERATOR)


async def test_a_key_has_the_networks_that_it_was_given(
    house: House, keys: SqlApiKeyStore, owner: User
) -> None:
    made = await create_key(
        house.users,
        keys,
        house.events,
        house.clock,
        name="nightly",
        owner=owner.id,
        scopes=None,
        lifetime=None,
        networks=(ip_network("203.0.113.0/24"), ip_network("2001:db8::1")),
        operator=OPERATOR,
    )
    assert isinstance(made, CreatedKey)
    assert made.key.networks == ("203.0.113.0/24", "2001:db8::1/128")
    assert await keys.find(made.key.id) == made.key
    assert house.events.kept[-1].attributes["networks"] == ["203.0.113.0/24", "2001:db8::1/128"]


async def test_a_rotated_key_keeps_its_id_and_the_old_secret_for_a_while(
    house: House, keys: SqlApiKeyStore, owner: User
) -> None:
    made = await create(house, keys, lifetime=86400.0)
    assert isinstance(made, CreatedKey)
    rotated = await rotate(house, keys, made.key.id)
    assert isinstance(rotated, CreatedKey)
    assert rotated.text != made.text
    assert rotated.text[:21] == made.text[:21]
    assert (rotated.key.id, rotated.key.expires_at) == (made.key.id, made.key.expires_at)
    until = house.clock.time + 3600
    assert [(secret.hash, secret.expires_at) for secret in rotated.key.secrets] == [
        (sha256(rotated.text.encode()).digest(), None),
        (sha256(made.text.encode()).digest(), until),
    ]
    event = house.events.kept[-1]
    assert (event.kind, event.actor) == (EventKind.KEY_ROTATED, OPERATOR)
    assert event.attributes == {"key": made.key.id, "owner": owner.id, "old_until": timestamp(until)}
    assert (event.subject, event.personal) == (owner.id, {"name": "nightly"})
    assert rotated.text not in repr(house.events.kept) + repr(rotated)


@pytest.mark.usefixtures("owner")
async def test_only_a_living_key_is_rotated(house: House, keys: SqlApiKeyStore) -> None:
    made = await create(house, keys)
    assert isinstance(made, CreatedKey)
    await revoke(house, keys, made.key.id)
    kept = len(house.events.kept)
    for id_, reason in ((made.key.id, Reason.CONFLICT), ("key_nothing", Reason.NOT_FOUND)):
        refused = await rotate(house, keys, id_)
        assert isinstance(refused, AccountRefusal)
        assert refused.reason is reason
    assert len(house.events.kept) == kept


@pytest.mark.usefixtures("owner")
async def test_a_key_that_is_named_is_asked_for_by_its_id(house: House, keys: SqlApiKeyStore) -> None:
    made = await create(house, keys)
    assert isinstance(made, CreatedKey)
    for refused in (await rotate(house, keys, "nightly"), await revoke(house, keys, "nightly")):
        assert isinstance(refused, AccountRefusal)
        assert refused.reason is Reason.NOT_FOUND
        assert refused.detail == f"'nightly' is the name of {made.key.id}: use its id."


@pytest.mark.usefixtures("owner")
@pytest.mark.parametrize("overlap", [-1.0, 1e12, float("nan")])
async def test_an_overlap_that_is_none_is_refused(house: House, keys: SqlApiKeyStore, overlap: float) -> None:
    made = await create(house, keys)
    assert isinstance(made, CreatedKey)
    refused = await rotate(house, keys, made.key.id, overlap=overlap)
    assert isinstance(refused, AccountRefusal)
    assert refused.errors[0]["field"] == "overlap"


@pytest.mark.usefixtures("owner")
async def test_without_a_record_there_is_no_new_secret(house: House, keys: SqlApiKeyStore) -> None:
    made = await create(house, keys)
    assert isinstance(made, CreatedKey)
    house.events.away = True
    with pytest.raises(AuditUnavailable):
        await rotate(house, keys, made.key.id)
    assert await keys.find(made.key.id) == made.key
