"""Confirming an address, and having the mail for it sent again."""

import pytest
from unit.accounts.house import RULES
from unit.accounts.post import ORIGIN, Post

from gateway.accounts import DONE, AccountRefusal, Done, EmailBody, VerifyBody
from gateway.model import EventKind
from gateway.ports import AuditUnavailable, ChangeKind


async def verify(post: Post, token: str) -> Done | AccountRefusal:
    return await post.confirming.verify(VerifyBody(token=token), origin=ORIGIN)


async def resend(post: Post, email: str = "ada@example.com") -> None:
    assert await post.confirming.resend(EmailBody(email=email)) == DONE


def worthless(answer: object) -> bool:
    return isinstance(answer, AccountRefusal) and [each["field"] for each in answer.errors] == ["token"]


async def test_sessions_that_were_begun_before_the_confirmation_end_with_it(post: Post) -> None:
    await post.register(rules=RULES)
    await post.begin_session("ses_1", await post.user())
    await resend(post)
    assert await verify(post, await post.token()) == DONE
    assert not await post.is_alive("ses_1")
    assert [(change.kind, change.subject) for change in post.applied] == [
        (ChangeKind.SESSION_REVOKED, "ses_1")
    ]
    event = post.events.kept[-1]
    assert (event.kind, event.source_ip) == (EventKind.EMAIL_VERIFIED, "203.0.113.7")
    assert event.actor is not None
    assert event.actor.authn_kind == "mail_link"


async def test_a_link_works_once_and_for_a_day(post: Post) -> None:
    await post.register()
    token = await post.token()
    post.clock.time += 86399.0
    assert await verify(post, token) == DONE
    assert worthless(await verify(post, token))


async def test_a_link_that_is_too_old_is_worthless(post: Post) -> None:
    await post.register()
    token = await post.token()
    post.clock.time += 86400.0
    assert worthless(await verify(post, token))


async def test_a_mail_that_is_sent_again_makes_the_first_link_worthless(post: Post) -> None:
    await post.register()
    first = await post.token()
    await resend(post, "ADA@example.com")
    second = await post.token()
    assert worthless(await verify(post, first))
    assert await verify(post, second) == DONE


async def test_who_has_confirmed_or_has_no_account_gets_no_mail(post: Post) -> None:
    await post.register()
    await verify(post, await post.token())
    await resend(post)
    await resend(post, "nobody@example.com")
    assert await post.delivered() == []


async def test_a_link_for_a_password_confirms_nothing_by_itself(post: Post) -> None:
    await post.register(rules=RULES)
    await post.recovering.forgot(EmailBody(email="ada@example.com"))
    assert worthless(await verify(post, await post.token()))
    assert (await post.user()).verified_at is None


async def test_without_a_record_nothing_is_confirmed_and_the_link_still_works(post: Post) -> None:
    await post.register()
    token = await post.token()
    post.events.away = True
    with pytest.raises(AuditUnavailable):
        await verify(post, token)
    post.events.away = False
    assert await verify(post, token) == DONE


async def test_a_deleted_account_confirms_nothing(post: Post) -> None:
    await post.register()
    token = await post.token()
    await post.users.delete((await post.user()).id, at=1.0)
    assert worthless(await verify(post, token))
