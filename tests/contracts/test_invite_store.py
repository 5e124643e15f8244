"""What every store of invitations does. How they are used up is a matter of the store of accounts."""

import asyncio
from dataclasses import replace

import pytest

from gateway.ports import AuditUnavailable, Invite, StoreUnavailable
from gateway.stores.sql import Database, SqlInviteStore

INVITE = Invite(
    id="inv_1",
    code_hash=b"\x00code",
    roles=frozenset({"support", "customer"}),
    email="Ada@Example.com",
    created_by="uid:0",
    created_at=1000.0,
    expires_at=5000.0,
)


@pytest.fixture
async def invites(database: Database) -> SqlInviteStore:
    await database.migrate()
    return SqlInviteStore(database)


async def fail() -> None:
    raise AuditUnavailable("the audit trail cannot record")


@pytest.mark.parametrize("invite", [INVITE, replace(INVITE, roles=frozenset(), email=None)])
async def test_an_invitation_comes_back_as_it_was_stored(invites: SqlInviteStore, invite: Invite) -> None:
    await invites.add(invite)
    assert await invites.find(b"\x00code") == invite
    assert await invites.find(b"\x00cod") is None


async def test_invitations_are_listed_newest_first(invites: SqlInviteStore) -> None:
    newer = replace(INVITE, id="inv_0", code_hash=b"newer", created_at=2000.0)
    await invites.add(INVITE)
    await invites.add(newer)
    assert await invites.list() == [newer, INVITE]


async def test_a_code_is_never_given_twice(invites: SqlInviteStore) -> None:
    await invites.add(INVITE)
    with pytest.raises(StoreUnavailable):
        await invites.add(replace(INVITE, id="inv_2"))


async def test_an_invitation_ends_once(invites: SqlInviteStore) -> None:
    await invites.add(INVITE)
    ended = await asyncio.gather(*(invites.revoke("inv_1", at=2000.0) for _ in range(4)))
    assert sorted(ended) == [False, False, False, True]
    assert await invites.find(b"\x00code") == replace(INVITE, revoked_at=2000.0)


@pytest.mark.parametrize(
    "invite", [replace(INVITE, used_at=1.0, used_by="usr_1"), replace(INVITE, expires_at=2000.0)]
)
async def test_what_is_over_does_not_end(invites: SqlInviteStore, invite: Invite) -> None:
    await invites.add(invite)
    assert not await invites.revoke("inv_1", at=2000.0)
    assert not await invites.revoke("inv_9", at=2000.0)
    assert await invites.find(b"\x00code") == invite


async def test_what_cannot_be_written_down_does_not_happen(invites: SqlInviteStore) -> None:
    with pytest.raises(AuditUnavailable):
        await invites.add(INVITE, before_commit=fail)
    assert await invites.list() == []
