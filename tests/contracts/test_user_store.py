"""What every user store does."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from databases import DATABASES, open_database

from gateway.ports import (
    ApiKey,
    AuditUnavailable,
    ChangeKind,
    Invite,
    KeySecret,
    Session,
    StoreUnavailable,
    Taken,
    User,
    UserStore,
)
from gateway.stores.sql import (
    Database,
    SqlApiKeyStore,
    SqlChangeFeed,
    SqlInviteStore,
    SqlSessionStore,
    SqlUserStore,
)

ADA = User(
    id="usr_1",
    username="Ada",
    email="Ada@Example.com",
    password_hash="v1$hash",
    roles=frozenset({"customer", "support"}),
    epoch=0,
    created_at=1000.25,
    verified_at=1001.5,
)
BOB = replace(ADA, id="usr_2", username="bob", email=None, roles=frozenset(), verified_at=None)

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
)
KEY = ApiKey(
    id="key_1",
    name="nightly",
    owner_id="usr_1",
    owner_name="Ada",
    owner_roles=frozenset(),
    owner_active=True,
    secrets=(KeySecret(hash=b"hash"),),
    scopes=None,
    created_at=1000.0,
    expires_at=None,
    revoked_at=None,
)


@pytest.fixture(params=DATABASES)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(request.param, tmp_path) as opened:
        yield opened


@pytest.fixture
def users(database: Database) -> UserStore:
    return SqlUserStore(database)


async def test_an_account_comes_back_as_it_was_stored(users: UserStore) -> None:
    await users.add(ADA)
    await users.add(BOB)
    assert await users.find("usr_1") == ADA
    assert await users.find("usr_2") == BOB
    assert await users.find("usr_3") is None


@pytest.mark.parametrize("login", ["ada", "ada@example.com"])
async def test_an_account_is_found_by_canonical_name_or_address(users: UserStore, login: str) -> None:
    await users.add(ADA)
    assert await users.find_by_login(login) == ADA


@pytest.mark.parametrize("login", ["Ada", "nobody", "", "ada'--", "ada\x00", "%", "ad_"])
async def test_other_names_find_nothing(users: UserStore, login: str) -> None:
    await users.add(ADA)
    assert await users.find_by_login(login) is None


@pytest.mark.parametrize("username", ["Ada", "ADA", "ａｄａ"])
async def test_a_user_name_that_is_compared_as_equal_is_taken(users: UserStore, username: str) -> None:
    await users.add(ADA)
    with pytest.raises(Taken) as taken:
        await users.add(replace(BOB, username=username))
    assert taken.value.field == "username"
    assert await users.find("usr_2") is None


async def test_an_address_that_is_compared_as_equal_is_taken(users: UserStore) -> None:
    await users.add(ADA)
    with pytest.raises(Taken) as taken:
        await users.add(replace(BOB, email="ADA@example.COM"))
    assert taken.value.field == "email"


async def test_many_accounts_may_have_no_address(users: UserStore) -> None:
    await users.add(BOB)
    await users.add(replace(BOB, id="usr_3", username="carl"))
    assert [user.username for user in await users.list()] == ["bob", "carl"]


async def test_an_id_is_never_given_twice(users: UserStore) -> None:
    await users.add(ADA)
    with pytest.raises(StoreUnavailable):
        await users.add(replace(BOB, id=ADA.id))
    assert await users.find(ADA.id) == ADA


async def test_of_two_accounts_at_once_with_one_name_one_is_made(users: UserStore) -> None:
    results = await asyncio.gather(
        *(users.add(replace(ADA, id=f"usr_{number}")) for number in range(8)), return_exceptions=True
    )
    assert sum(result is None for result in results) == 1
    assert sum(isinstance(result, Taken) for result in results) == 7
    assert len(await users.list()) == 1


async def test_nothing_is_stored_when_it_cannot_be_written_down(users: UserStore) -> None:
    async def fail() -> None:
        raise AuditUnavailable("the audit trail cannot record")

    with pytest.raises(AuditUnavailable):
        await users.add(ADA, before_commit=fail)
    assert await users.list() == []
    await users.add(ADA)
    assert await users.find(ADA.id) == ADA


async def test_what_is_refused_is_not_written_down(users: UserStore) -> None:
    written = []

    async def write() -> None:
        written.append(1)

    await users.add(ADA, before_commit=write)
    with pytest.raises(Taken):
        await users.add(replace(ADA, id="usr_9"), before_commit=write)
    assert written == [1]


async def test_a_password_hash_is_replaced(users: UserStore) -> None:
    await users.add(ADA)
    await users.update_password_hash(ADA.id, "v1$other", instead_of="v1$hash")
    assert await users.find(ADA.id) == replace(ADA, password_hash="v1$other")


async def test_a_password_that_was_changed_meanwhile_stays_changed(users: UserStore) -> None:
    await users.add(ADA)
    await users.update_password_hash(ADA.id, "v1$other", instead_of="v1$older")
    assert await users.find(ADA.id) == ADA


async def test_accounts_are_listed_by_name(users: UserStore) -> None:
    await users.add(BOB)
    await users.add(ADA)
    assert await users.list() == [ADA, BOB]


async def test_a_deleted_account_is_gone_with_all_that_it_owned(database: Database, users: UserStore) -> None:
    sessions, keys = SqlSessionStore(database), SqlApiKeyStore(database)
    await users.add(ADA)
    await users.add(BOB)
    for number, owner in enumerate([ADA, ADA, BOB]):
        await sessions.add(replace(SESSION, id=f"ses_{number}", user_id=owner.id), user=owner)
        await keys.add(replace(KEY, id=f"key_{number}", name=f"key {number}", owner_id=owner.id))
    assert await users.delete(ADA.id, at=2000.0)
    assert await users.list() == [BOB]
    assert await users.find_by_login("ada@example.com") is None
    assert [await sessions.find(f"ses_{number}") is None for number in range(3)] == [True, True, False]
    assert [key.id for key in await keys.list()] == ["key_2"]
    await users.add(replace(ADA, id="usr_3"))


async def test_a_deletion_leaves_no_invitation_with_the_address(database: Database, users: UserStore) -> None:
    invites = SqlInviteStore(database)
    invite = Invite(
        id="inv_1",
        code_hash=b"1",
        roles=frozenset(),
        email="ada@EXAMPLE.com",
        created_by="uid:0",
        created_at=900.0,
        expires_at=5000.0,
    )
    others = [
        replace(invite, id="inv_2", code_hash=b"2"),
        replace(invite, id="inv_3", code_hash=b"3", revoked_at=950.0),
        replace(invite, id="inv_4", code_hash=b"4", email="bob@example.com"),
        replace(invite, id="inv_5", code_hash=b"5", email=None),
    ]
    for each in (invite, *others):
        await invites.add(each)
    await users.add(ADA, invite="inv_1")
    assert await users.delete(ADA.id, at=2000.0)
    found = {each.id: each for each in await invites.list()}
    assert [found[f"inv_{number}"].email for number in range(1, 6)] == [None] * 3 + ["bob@example.com", None]
    # One that was good for this address alone is not good for everybody now.
    assert [found[f"inv_{number}"].revoked_at for number in range(1, 6)] == [None, 2000.0, 950.0, None, None]
    assert found["inv_1"].used_by == ADA.id


async def test_a_deletion_is_announced_for_every_credential(database: Database, users: UserStore) -> None:
    ada = replace(ADA, epoch=4)
    await users.add(ada)
    await SqlSessionStore(database).add(replace(SESSION, user_id=ADA.id), user=ada)
    await SqlApiKeyStore(database).add(replace(KEY, owner_id=ADA.id))
    assert await users.delete(ADA.id, at=2000.0)
    changes = await SqlChangeFeed(database).since(0)
    assert [(change.kind, change.subject, change.epoch, change.at) for change in changes] == [
        (ChangeKind.SESSION_REVOKED, "ses_1", 0, 2000.0),
        (ChangeKind.KEY_REVOKED, "key_1", 0, 2000.0),
        (ChangeKind.USER_CHANGED, ADA.id, 5, 2000.0),
    ]


async def test_what_is_not_there_cannot_be_deleted(database: Database, users: UserStore) -> None:
    written = []

    async def write() -> None:
        written.append(1)

    await users.add(BOB)
    assert not await users.delete(ADA.id, at=2000.0, before_commit=write)
    assert written == []
    assert await SqlChangeFeed(database).since(0) == []


async def test_nothing_is_deleted_when_it_cannot_be_written_down(
    database: Database, users: UserStore
) -> None:
    async def fail() -> None:
        raise AuditUnavailable("the audit trail cannot record")

    await users.add(ADA)
    await SqlSessionStore(database).add(replace(SESSION, user_id=ADA.id), user=ADA)
    with pytest.raises(AuditUnavailable):
        await users.delete(ADA.id, at=2000.0, before_commit=fail)
    assert await users.find(ADA.id) == ADA
    assert await SqlSessionStore(database).find("ses_1") is not None
    assert await SqlChangeFeed(database).since(0) == []


async def test_of_two_that_delete_one_account_one_has_done_it(users: UserStore) -> None:
    await users.add(ADA)
    done = await asyncio.gather(*(users.delete(ADA.id, at=2000.0) for _ in range(4)))
    assert sorted(done) == [False, False, False, True]


async def test_logins_and_keys_that_come_with_a_deletion_do_not_outlive_it(
    database: Database, users: UserStore
) -> None:
    sessions, keys = SqlSessionStore(database), SqlApiKeyStore(database)
    await users.add(ADA)
    results = await asyncio.gather(
        *(
            sessions.add(replace(SESSION, id=f"ses_{number}", user_id=ADA.id), user=ADA)
            for number in range(5)
        ),
        users.delete(ADA.id, at=2000.0),
        *(
            keys.add(replace(KEY, id=f"key_{number}", name=f"{number}", owner_id=ADA.id))
            for number in range(5)
        ),
        return_exceptions=True,
    )
    assert all(result in {None, True, False} or isinstance(result, StoreUnavailable) for result in results)
    assert await keys.list() == []
    assert [await sessions.find(f"ses_{number}") for number in range(5)] == [None] * 5
