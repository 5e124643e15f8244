"""What operators do with invitations."""

import pytest
from unit.accounts.post import Post

from gateway.accounts import AccountRefusal, IssuedInvite
from gateway.accounts.invites import usable_invite
from gateway.model import EventKind, Reason
from gateway.operations import create_invite, list_invites, operator_at_the_command_line, revoke_invite
from gateway.operations.invites import MAX_LIFE
from gateway.ports import AuditUnavailable

OPERATOR = operator_at_the_command_line()


async def create(
    post: Post, *, email: str | None = None, life: float = 60.0
) -> IssuedInvite | AccountRefusal:
    return await create_invite(
        post.invites,
        post.events,
        post.clock,
        roles=frozenset({"support"}),
        email=email,
        life=life,
        operator=OPERATOR,
    )


async def made(post: Post) -> IssuedInvite:
    issued = await create(post)
    assert isinstance(issued, IssuedInvite)
    return issued


async def revoke(post: Post, id_: str) -> AccountRefusal | None:
    return await revoke_invite(post.invites, post.events, post.clock, id=id_, operator=OPERATOR)


async def test_an_invitation_is_kept_recorded_and_listed_without_its_code(post: Post) -> None:
    issued = await create(post, email="ada@example.com")
    assert isinstance(issued, IssuedInvite)
    assert await list_invites(post.invites) == [issued.invite]
    assert issued.invite.created_by == OPERATOR.id
    (event,) = post.events.kept
    assert (event.kind, event.actor) == (EventKind.INVITE_CREATED, OPERATOR)
    assert event.attributes == {
        "invite": issued.invite.id,
        "roles": ["support"],
        "for_one_address": True,
        "seconds": 60,
    }
    assert "ada@" not in repr(event)
    assert issued.code not in repr(event)


@pytest.mark.parametrize(
    ("email", "life", "field"),
    [(None, 0.0, "expires"), (None, MAX_LIFE + 1.0, "expires"), ("nowhere", 60.0, "email")],
)
async def test_what_is_wrong_is_refused(post: Post, email: str | None, life: float, field: str) -> None:
    refused = await create(post, email=email, life=life)
    assert isinstance(refused, AccountRefusal)
    assert [error["field"] for error in refused.errors] == [field]
    assert post.events.kept == []


async def test_an_invitation_is_revoked_once(post: Post) -> None:
    issued = await made(post)
    assert await revoke(post, issued.invite.id) is None
    assert await usable_invite(post.invites, issued.code, post.clock) is None
    assert post.events.kinds == [EventKind.INVITE_CREATED, EventKind.INVITE_REVOKED]
    again, unknown = await revoke(post, issued.invite.id), await revoke(post, "inv_0")
    assert again is not None
    assert unknown is not None
    assert (again.reason, unknown.reason) == (Reason.CONFLICT, Reason.NOT_FOUND)


async def test_without_a_record_none_is_made_and_what_is_revoked_is_gone(post: Post) -> None:
    issued = await made(post)
    post.events.away = True
    with pytest.raises(AuditUnavailable):
        await create(post)
    assert len(await list_invites(post.invites)) == 1
    with pytest.raises(AuditUnavailable):
        await revoke(post, issued.invite.id)
    assert await usable_invite(post.invites, issued.code, post.clock) is None
