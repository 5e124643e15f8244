"""How every user store changes an account, and what ends with the change."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import select

from gateway.ports import (
    AuditUnavailable,
    ChangeKind,
    Invite,
    Link,
    LinkPurpose,
    Session,
    Taken,
    User,
)
from gateway.stores.sql import (
    Database,
    SqlChangeFeed,
    SqlInviteStore,
    SqlLinkStore,
    SqlSessionStore,
    SqlUserStore,
    tables,
)

ADA = User(
    id="usr_1",
    username="Ada",
    email="Ada@Example.com",
    password_hash="v1$hash",
    roles=frozenset({"customer"}),
    epoch=3,
    created_at=1000.0,
    verified_at=None,
)
BOB = replace(ADA, id="usr_2", username="bob", email="bob@example.com")
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
LINK = Link(
    token_hash=b"\x00hash",
    purpose=LinkPurpose.RESET_PASSWORD,
    user_id="usr_1",
    email="Ada@Example.com",
    password_version=0,
    created_at=1000.0,
    expires_at=1900.0,
)
INVITE = Invite(
    id="inv_1",
    code_hash=b"\x00code",
    roles=frozenset({"support"}),
    email=None,
    created_by="uid:0",
    created_at=900.0,
    expires_at=5000.0,
)


@pytest.fixture
async def users(database: Database) -> SqlUserStore:
    """A store with Ada, her two sessions and a link; and Bob, with a session."""
    await database.migrate()
    users, sessions = SqlUserStore(database), SqlSessionStore(database)
    await users.add(ADA)
    await users.add(BOB)
    for number, owner in enumerate([ADA, ADA, BOB], start=1):
        assert await sessions.add(replace(SESSION, id=f"ses_{number}", user_id=owner.id), user=owner)
    assert await SqlLinkStore(database).add(LINK)
    return users


async def announced(database: Database) -> list[tuple[ChangeKind, str, int]]:
    return [(change.kind, change.subject, change.epoch) for change in await SqlChangeFeed(database).since(0)]


async def alive(database: Database) -> list[str]:
    sessions = SqlSessionStore(database)
    found = [await sessions.find(f"ses_{number}") for number in (1, 2, 3)]
    return [session.id for session in found if session is not None and session.revoked_at is None]


async def works(database: Database) -> bool:
    found = await SqlLinkStore(database).find(LINK.token_hash, LINK.purpose, now=1001.0)
    return found is not None


async def fail() -> None:
    raise AuditUnavailable("the audit trail cannot record")


async def test_other_roles_raise_the_epoch_and_leave_the_sessions(
    database: Database, users: SqlUserStore
) -> None:
    changed = await users.set_roles(ADA.id, frozenset({"support", "finance"}), at=2000.0)
    assert changed == replace(ADA, roles=frozenset({"support", "finance"}), epoch=4)
    assert await users.find(ADA.id) == changed
    assert await users.find(BOB.id) == BOB
    assert await announced(database) == [(ChangeKind.USER_CHANGED, ADA.id, 4)]
    assert await alive(database) == ["ses_1", "ses_2", "ses_3"]


async def test_all_roles_can_be_taken_away(users: SqlUserStore) -> None:
    changed = await users.set_roles(ADA.id, frozenset(), at=2000.0)
    assert changed is not None
    assert changed.roles == frozenset()


async def test_another_password_ends_every_session_and_every_link(
    database: Database, users: SqlUserStore
) -> None:
    changed = await users.set_password(ADA.id, "v1$other", at=2000.0)
    assert changed == replace(ADA, password_hash="v1$other", password_version=1, epoch=4)
    assert await users.find(ADA.id) == changed
    assert await alive(database) == ["ses_3"]
    assert await announced(database) == [
        (ChangeKind.SESSION_REVOKED, "ses_1", 0),
        (ChangeKind.SESSION_REVOKED, "ses_2", 0),
        (ChangeKind.USER_CHANGED, ADA.id, 4),
    ]
    assert not await works(database)


async def test_the_session_that_is_kept_goes_on_with_its_tokens(
    database: Database, users: SqlUserStore
) -> None:
    changed = await users.set_password(ADA.id, "v1$other", at=2000.0, keep_session="ses_2")
    assert changed is not None
    assert (changed.epoch, changed.password_version) == (3, 1)
    assert await alive(database) == ["ses_2", "ses_3"]
    assert await announced(database) == [(ChangeKind.SESSION_REVOKED, "ses_1", 0)]


async def test_a_password_is_not_replaced_in_an_account_that_has_changed_meanwhile(
    users: SqlUserStore, database: Database
) -> None:
    first = await users.set_password(ADA.id, "v1$first", at=2000.0, keep_session="ses_1", as_found=ADA)
    assert first is not None
    assert await users.set_password(ADA.id, "v1$late", at=2000.0, as_found=ADA, before_commit=fail) is None
    await users.set_disabled(ADA.id, disabled=True, at=2000.0)
    assert await users.set_password(ADA.id, "v1$late", at=2000.0, as_found=first) is None
    found = await users.find(ADA.id)
    assert found is not None
    assert found.password_hash == "v1$first"


async def test_a_login_with_the_former_password_begins_no_session(
    database: Database, users: SqlUserStore
) -> None:
    await users.set_password(ADA.id, "v1$other", at=2000.0, keep_session="ses_2")
    late = replace(SESSION, id="ses_9")
    assert not await SqlSessionStore(database).add(late, user=ADA)


async def test_a_disabled_account_has_no_sessions_and_no_links(
    database: Database, users: SqlUserStore
) -> None:
    changed = await users.set_disabled(ADA.id, disabled=True, at=2000.0)
    assert changed == replace(ADA, disabled_at=2000.0, epoch=4)
    assert await alive(database) == ["ses_3"]
    assert not await works(database)
    assert (await announced(database))[-1] == (ChangeKind.USER_CHANGED, ADA.id, 4)
    enabled = await users.set_disabled(ADA.id, disabled=False, at=3000.0)
    assert enabled == replace(ADA, epoch=5)
    assert await alive(database) == ["ses_3"]


@pytest.mark.parametrize("email", ["Ada@Example.com", "ada@example.COM"])
async def test_a_confirmed_address_ends_what_was_begun_before(
    database: Database, users: SqlUserStore, email: str
) -> None:
    changed = await users.verify_email(ADA.id, email=email, at=2000.0)
    assert changed == replace(ADA, verified_at=2000.0)
    assert await alive(database) == ["ses_3"]
    assert await users.verify_email(ADA.id, email=email, at=3000.0) is None
    assert await users.find(ADA.id) == changed


async def test_an_address_that_the_account_does_not_have_confirms_nothing(
    database: Database, users: SqlUserStore
) -> None:
    assert await users.verify_email(ADA.id, email="bob@example.com", at=2000.0) is None
    assert await users.find(ADA.id) == ADA
    assert await announced(database) == []


async def test_who_does_not_exist_is_not_changed_and_nothing_is_written_down(
    database: Database, users: SqlUserStore
) -> None:
    assert await users.set_roles("usr_9", frozenset({"x"}), at=1.0, before_commit=fail) is None
    assert await users.set_password("usr_9", "v1$other", at=1.0, before_commit=fail) is None
    assert await users.set_disabled("usr_9", disabled=True, at=1.0, before_commit=fail) is None
    assert await users.verify_email("usr_9", email="x@example.com", at=1.0, before_commit=fail) is None
    assert await announced(database) == []


async def test_what_cannot_be_written_down_does_not_happen(database: Database, users: SqlUserStore) -> None:
    with pytest.raises(AuditUnavailable):
        await users.set_roles(ADA.id, frozenset(), at=1.0, before_commit=fail)
    with pytest.raises(AuditUnavailable):
        await users.set_password(ADA.id, "v1$other", at=1.0, before_commit=fail)
    with pytest.raises(AuditUnavailable):
        await users.set_disabled(ADA.id, disabled=True, at=1.0, before_commit=fail)
    with pytest.raises(AuditUnavailable):
        await users.verify_email(ADA.id, email="ada@example.com", at=1.0, before_commit=fail)
    assert await users.find(ADA.id) == ADA
    assert await alive(database) == ["ses_1", "ses_2", "ses_3"]
    assert await works(database)
    assert await announced(database) == []


async def test_changes_at_once_come_one_after_the_other(database: Database, users: SqlUserStore) -> None:
    await asyncio.gather(
        *(users.set_roles(ADA.id, frozenset({f"role{number}"}), at=2000.0) for number in range(4)),
        *(users.set_password(ADA.id, f"v1${number}", at=2000.0) for number in range(4)),
    )
    user = await users.find(ADA.id)
    assert user is not None
    assert (user.epoch, user.password_version, len(user.roles)) == (11, 4, 1)
    numbers = [epoch for kind, _, epoch in await announced(database) if kind is ChangeKind.USER_CHANGED]
    assert numbers == sorted(numbers)


async def test_an_invitation_is_used_up_with_the_account(database: Database, users: SqlUserStore) -> None:
    invites = SqlInviteStore(database)
    await invites.add(INVITE)
    await users.add(replace(ADA, id="usr_3", username="cyd", email=None), invite=INVITE.id)
    assert await invites.find(INVITE.code_hash) == replace(INVITE, used_at=1000.0, used_by="usr_3")
    with pytest.raises(Taken) as taken:
        await users.add(replace(ADA, id="usr_4", username="dan", email=None), invite=INVITE.id)
    assert taken.value.field == "invite"
    assert await users.find("usr_4") is None


@pytest.mark.parametrize(
    "invite", [replace(INVITE, expires_at=1000.0), replace(INVITE, revoked_at=950.0), None]
)
async def test_an_invitation_that_has_ended_makes_no_account(
    database: Database, users: SqlUserStore, invite: Invite | None
) -> None:
    if invite is not None:
        await SqlInviteStore(database).add(invite)
    with pytest.raises(Taken):
        await users.add(replace(ADA, id="usr_3", username="cyd", email=None), invite=INVITE.id)
    assert await users.find("usr_3") is None


async def test_a_name_that_is_taken_leaves_the_invitation(database: Database, users: SqlUserStore) -> None:
    invites = SqlInviteStore(database)
    await invites.add(INVITE)
    with pytest.raises(Taken) as taken:
        await users.add(replace(ADA, id="usr_3", email=None), invite=INVITE.id)
    assert taken.value.field == "username"
    assert await invites.find(INVITE.code_hash) == INVITE


async def test_of_two_accounts_at_once_with_one_invitation_one_is_made(
    database: Database, users: SqlUserStore
) -> None:
    await SqlInviteStore(database).add(INVITE)
    results = await asyncio.gather(
        *(
            users.add(replace(ADA, id=f"usr_n{number}", username=f"n{number}", email=None), invite=INVITE.id)
            for number in range(5)
        ),
        return_exceptions=True,
    )
    assert sum(result is None for result in results) == 1
    assert sum(isinstance(result, Taken) and result.field == "invite" for result in results) == 4
    async with database.read() as connection:
        made = (await connection.scalars(select(tables.users.c.id))).all()
    assert len(made) == 3
