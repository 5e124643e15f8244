"""Invitations."""

from dataclasses import replace

import pytest
from unit.accounts.post import Post

from gateway.accounts import IssuedInvite, issue_invite
from gateway.accounts.invites import is_for, usable_invite
from gateway.ports import Invite


def issued(post: Post, email: str | None = None) -> IssuedInvite:
    return issue_invite(
        roles=frozenset({"support"}), email=email, created_by="uid:0", now=post.clock.now(), life=60.0
    )


def test_no_two_are_alike_and_the_code_is_kept_nowhere(post: Post) -> None:
    one, other = issued(post), issued(post)
    assert one.code != other.code
    assert one.code.startswith("gwi_")
    assert one.code not in repr(one)
    assert one.code.encode() not in one.invite.code_hash


@pytest.mark.parametrize(
    ("changed", "usable"),
    [({}, True), ({"used_at": 1.0}, False), ({"revoked_at": 1.0}, False), ({"expires_at": 0.0}, False)],
)
async def test_a_code_is_good_while_its_invitation_is(
    post: Post, changed: dict[str, float], usable: bool
) -> None:
    one = issued(post)
    invite = replace(one.invite, **changed)  # type: ignore[arg-type] # times, all of them
    await post.invites.add(invite)
    found = await usable_invite(post.invites, one.code, post.clock)
    assert found == (invite if usable else None)
    assert await usable_invite(post.invites, one.code.upper(), post.clock) is None


@pytest.mark.parametrize(
    ("invited", "email", "good"),
    [
        (None, "x@example.com", True),
        ("Ada@Example.com", "ada@example.COM", True),
        ("ada@example.com", "eve@example.com", False),
    ],
)
def test_an_invitation_is_for_whom_it_names(post: Post, invited: str | None, email: str, good: bool) -> None:
    invite: Invite = issued(post, invited).invite
    assert is_for(invite, email) is good
