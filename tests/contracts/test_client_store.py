"""What every store of OAuth clients does."""

from dataclasses import replace

import pytest

from gateway.ports import (
    AuditUnavailable,
    Change,
    ChangeKind,
    ClientSecret,
    ClientStore,
    OAuthClient,
    Session,
    StoreUnavailable,
    Taken,
    User,
)
from gateway.stores.sql import Database, SqlChangeFeed, SqlClientStore, SqlSessionStore, SqlUserStore

OLD, NEW, NEWEST = b"\x00" * 31 + b"\xff", b"\x01" * 32, b"\x02" * 32
CLIENT = OAuthClient(
    id="cli_1",
    name="Billing",
    roles=frozenset({"customer", "support"}),
    secrets=(ClientSecret(hash=OLD),),
    epoch=0,
    created_at=1000.0,
)
USER = User(
    id="usr_1",
    username="Ada",
    email=None,
    password_hash=None,
    roles=frozenset(),
    epoch=0,
    created_at=0.0,
    verified_at=None,
)
SESSION = Session(
    id="ses_1",
    user_id="usr_1",
    key=b"key",
    counter=0,
    rotated_at=1000.0,
    confirmed=False,
    created_at=1000.0,
    last_used_at=1000.0,
    expires_at=9000.0,
    client_id="cli_1",
)


@pytest.fixture
def clients(database: Database) -> ClientStore:
    return SqlClientStore(database)


async def away() -> None:
    raise AuditUnavailable("the audit trail cannot record")


async def changes(database: Database) -> list[tuple[ChangeKind, str, int]]:
    def told(change: Change) -> tuple[ChangeKind, str, int]:
        return change.kind, change.subject, change.epoch

    return [told(change) for change in await SqlChangeFeed(database).since(0)]


async def test_a_client_comes_back_as_it_was(clients: ClientStore) -> None:
    await clients.add(CLIENT)
    assert await clients.find("cli_1") == CLIENT
    assert await clients.find("cli_2") is None


async def test_a_client_may_have_no_role(clients: ClientStore) -> None:
    await clients.add(replace(CLIENT, roles=frozenset()))
    found = await clients.find("cli_1")
    assert found is not None
    assert found.roles == frozenset()


@pytest.mark.parametrize("name", ["Billing", "billing", "\uff22\uff29\uff2c\uff2c\uff29\uff2e\uff27"])
async def test_a_name_is_given_once_in_whatever_spelling(clients: ClientStore, name: str) -> None:
    await clients.add(CLIENT)
    with pytest.raises(Taken) as taken:
        await clients.add(replace(CLIENT, id="cli_2", name=name, secrets=(ClientSecret(hash=NEW),)))
    assert taken.value.field == "name"


async def test_an_id_is_never_given_twice(clients: ClientStore) -> None:
    await clients.add(CLIENT)
    with pytest.raises(StoreUnavailable):
        await clients.add(replace(CLIENT, name="other"))


async def test_without_a_record_there_is_no_client(clients: ClientStore) -> None:
    with pytest.raises(AuditUnavailable):
        await clients.add(CLIENT, before_commit=away)
    assert await clients.list() == []


async def test_clients_are_listed_newest_first(clients: ClientStore) -> None:
    newer = replace(
        CLIENT, id="cli_2", name="newer", created_at=1500.0, secrets=(ClientSecret(hash=NEW, expires_at=9.5),)
    )
    await clients.add(CLIENT)
    await clients.add(newer)
    assert await clients.list() == [newer, CLIENT]


async def test_a_rotation_overlaps_and_ends_what_is_older_still(clients: ClientStore) -> None:
    await clients.add(CLIENT)
    first = await clients.rotate("cli_1", NEW, at=1100.0, old_until=1200.0)
    assert first == replace(
        CLIENT, secrets=(ClientSecret(hash=NEW), ClientSecret(hash=OLD, expires_at=1200.0))
    )
    second = await clients.rotate("cli_1", NEWEST, at=1150.0, old_until=1300.0)
    assert second == replace(
        CLIENT, secrets=(ClientSecret(hash=NEWEST), ClientSecret(hash=NEW, expires_at=1300.0))
    )
    assert await clients.find("cli_1") == second


async def test_two_rotations_in_one_moment_leave_the_last_one_first(clients: ClientStore) -> None:
    await clients.add(CLIENT)
    await clients.rotate("cli_1", NEW, at=1000.0, old_until=1200.0)
    assert await clients.rotate("cli_1", NEWEST, at=1000.0, old_until=1200.0) == replace(
        CLIENT, secrets=(ClientSecret(hash=NEWEST), ClientSecret(hash=NEW, expires_at=1200.0))
    )


async def test_a_rotation_without_overlap_leaves_one_secret(clients: ClientStore) -> None:
    await clients.add(CLIENT)
    await clients.rotate("cli_1", NEW, at=1100.0, old_until=1200.0)
    assert await clients.rotate("cli_1", NEWEST, at=1150.0, old_until=1150.0) == replace(
        CLIENT, secrets=(ClientSecret(hash=NEWEST),)
    )


async def test_a_rotation_that_cannot_be_written_down_changes_nothing(clients: ClientStore) -> None:
    await clients.add(CLIENT)
    with pytest.raises(AuditUnavailable):
        await clients.rotate("cli_1", NEW, at=1100.0, old_until=1200.0, before_commit=away)
    assert await clients.find("cli_1") == CLIENT


async def test_whoever_is_not_there_or_has_ended_gets_no_secret(clients: ClientStore) -> None:
    await clients.add(CLIENT)
    await clients.revoke("cli_1", at=1100.0)
    assert await clients.rotate("cli_1", NEW, at=1200.0, old_until=1300.0) is None
    assert await clients.rotate("cli_9", NEW, at=1200.0, old_until=1300.0) is None
    found = await clients.find("cli_1")
    assert found is not None
    assert found.secrets == CLIENT.secrets


async def test_the_end_of_a_client_is_that_of_its_sessions_and_is_announced_once(
    database: Database, clients: ClientStore
) -> None:
    await clients.add(CLIENT)
    await SqlUserStore(database).add(USER)
    sessions = SqlSessionStore(database)
    assert await sessions.add(SESSION, user=USER)
    assert await sessions.add(replace(SESSION, id="ses_2", client_id=None), user=USER)
    assert await clients.revoke("cli_1", at=1100.0)
    assert not await clients.revoke("cli_1", at=1200.0)
    assert not await clients.revoke("cli_9", at=1200.0)
    assert await clients.find("cli_1") == replace(CLIENT, revoked_at=1100.0, epoch=1)
    ended, other = await sessions.find("ses_1"), await sessions.find("ses_2")
    assert ended is not None
    assert other is not None
    assert (ended.revoked_at, other.revoked_at) == (1100.0, None)
    assert await changes(database) == [
        (ChangeKind.SESSION_REVOKED, "ses_1", 0),
        (ChangeKind.CLIENT_CHANGED, "cli_1", 1),
    ]


JWK = '{"crv":"X25519","kty":"OKP","x":"hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo"}'


async def test_a_client_may_come_with_a_public_key(clients: ClientStore) -> None:
    await clients.add(replace(CLIENT, jwk=JWK))
    assert await clients.list() == [replace(CLIENT, jwk=JWK)]


async def test_a_client_is_given_a_key_and_none_and_each_is_announced(
    database: Database, clients: ClientStore
) -> None:
    await clients.add(CLIENT)
    assert await clients.set_jwk("cli_1", JWK, at=1100.0) == replace(CLIENT, jwk=JWK)
    assert await clients.find("cli_1") == replace(CLIENT, jwk=JWK)
    assert await clients.set_jwk("cli_1", None, at=1200.0) == CLIENT
    assert await clients.find("cli_1") == CLIENT
    assert await changes(database) == [(ChangeKind.CLIENT_KEY, "cli_1", 0)] * 2


async def test_a_key_that_cannot_be_written_down_is_not_given(
    database: Database, clients: ClientStore
) -> None:
    await clients.add(CLIENT)
    with pytest.raises(AuditUnavailable):
        await clients.set_jwk("cli_1", JWK, at=1100.0, before_commit=away)
    assert await clients.find("cli_1") == CLIENT
    assert await changes(database) == []


async def test_whoever_is_not_there_or_has_ended_gets_no_key(clients: ClientStore) -> None:
    await clients.add(CLIENT)
    await clients.revoke("cli_1", at=1100.0)
    assert await clients.set_jwk("cli_1", JWK, at=1200.0) is None
    assert await clients.set_jwk("cli_9", JWK, at=1200.0) is None
    assert await clients.list() == [replace(CLIENT, revoked_at=1100.0, epoch=1)]
