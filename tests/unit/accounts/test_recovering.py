"""Changing a password, and getting another one when it is forgotten."""

import asyncio
from dataclasses import replace
from statistics import median
from time import perf_counter

import pytest
from unit.accounts.house import RULES
from unit.accounts.post import ORIGIN, PASSWORD, Post, token_in

from gateway.accounts import (
    DONE,
    AccountRefusal,
    Done,
    EmailBody,
    PasswordBody,
    ResetBody,
    principal_of,
)
from gateway.model import ANONYMOUS, Event, EventKind, Principal, Reason
from gateway.ports import AuditUnavailable, ChangeKind, User

NEW = "another good passphrase"


@pytest.fixture
async def ada(post: Post) -> User:
    """An account with two sessions."""
    await post.register(rules=RULES)
    user = await post.user()
    for session in ("ses_1", "ses_2"):
        await post.begin_session(session, user)
    post.events.kept.clear()
    return user


async def change(
    post: Post, principal: Principal, *, current: str = PASSWORD, new: str = NEW
) -> Done | AccountRefusal:
    body = PasswordBody(current_password=current, new_password=new)
    return await post.recovering.change(principal, body, rules=RULES, origin=ORIGIN)


async def forgot(post: Post, email: str = "ada@example.com") -> None:
    assert await post.recovering.forgot(EmailBody(email=email)) == DONE


async def reset(post: Post, token: str, new: str = NEW) -> Done | AccountRefusal:
    return await post.recovering.reset(ResetBody(token=token, new_password=new), rules=RULES, origin=ORIGIN)


async def has_password(post: Post, password: str) -> bool:
    return await post.passwords.verify(password, (await post.user()).password_hash)


def worthless(answer: object) -> bool:
    return isinstance(answer, AccountRefusal) and [each["field"] for each in answer.errors] == ["token"]


async def test_a_changed_password_leaves_the_callers_own_session_alone(post: Post, ada: User) -> None:
    assert await change(post, principal_of(ada, session="ses_1")) == DONE
    assert await has_password(post, NEW)
    assert (await post.is_alive("ses_1"), await post.is_alive("ses_2")) == (True, False)
    assert [(change.kind, change.subject) for change in post.applied] == [
        (ChangeKind.SESSION_REVOKED, "ses_2")
    ]
    (event,) = post.events.kept
    assert (event.kind, event.actor) == (EventKind.PASSWORD_CHANGED, principal_of(ada, session="ses_1"))
    (mail,) = await post.delivered()
    assert (mail.to, "Your password was changed" in mail.subject) == ("ada@example.com", True)


@pytest.mark.parametrize(
    "new",
    [PASSWORD, "short"],
)
async def test_a_bad_new_password_is_refused(post: Post, ada: User, new: str) -> None:
    refused = await change(post, principal_of(ada, session="ses_1"), new=new)
    assert isinstance(refused, AccountRefusal)
    assert refused.reason is Reason.INVALID_REQUEST
    assert [error["field"] for error in refused.errors] == ["new_password"]
    assert await has_password(post, PASSWORD)
    assert post.events.kept == []


async def test_a_stolen_token_guesses_no_password(post: Post, ada: User) -> None:
    reasons = []
    for number in range(7):
        refused = await change(post, principal_of(ada, session="ses_1"), current=f"guess {number}")
        assert isinstance(refused, AccountRefusal)
        reasons.append(refused.reason)
    assert reasons == [Reason.CREDENTIALS_INVALID] * 5 + [Reason.RATE_EXCEEDED] * 2
    refused = await change(post, principal_of(ada, session="ses_1"))
    assert isinstance(refused, AccountRefusal)
    assert refused.reason is Reason.RATE_EXCEEDED
    assert await change(post, principal_of(ada, session="ses_2")) == DONE


async def test_who_has_not_logged_in_changes_no_password(post: Post, ada: User) -> None:
    refused = await change(post, replace(ANONYMOUS, id=ada.id))
    assert isinstance(refused, AccountRefusal)
    assert refused.reason is Reason.DENIED


async def test_a_disabled_or_deleted_account_changes_no_password(post: Post, ada: User) -> None:
    await post.users.set_disabled(ada.id, disabled=True, at=1.0)
    assert isinstance(await change(post, principal_of(ada, session="ses_1")), AccountRefusal)
    await post.users.delete(ada.id, at=1.0)
    assert isinstance(await change(post, principal_of(ada, session="ses_1")), AccountRefusal)


async def test_without_a_record_a_password_stays(post: Post, ada: User) -> None:
    await forgot(post)
    token = await post.token()
    post.events.away = True
    with pytest.raises(AuditUnavailable):
        await change(post, principal_of(ada, session="ses_1"))
    with pytest.raises(AuditUnavailable):
        await reset(post, token)
    assert await has_password(post, PASSWORD)
    assert await post.is_alive("ses_2")
    # Nor does it cost the link.
    post.events.away = False
    assert await reset(post, token) == DONE


async def test_a_change_that_was_on_its_way_does_not_undo_a_reset(
    post: Post, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has stolen session and password is not faster than the owner who gets both back."""
    await forgot(post)
    token, hashed = await post.token(), post.passwords.hash

    async def be_overtaken(password: str) -> str:
        with monkeypatch.context() as patch:
            patch.setattr(post.passwords, "hash", hashed)
            assert await reset(post, token) == DONE
            return await hashed(password)

    monkeypatch.setattr(post.passwords, "hash", be_overtaken)
    refused = await change(post, principal_of(ada, session="ses_1"), new="the choice of a thief")
    assert isinstance(refused, AccountRefusal)
    assert refused.reason is Reason.CREDENTIALS_INVALID
    assert await has_password(post, NEW)
    assert EventKind.PASSWORD_CHANGED not in post.events.kinds


async def test_of_changes_at_once_one_happens(post: Post, ada: User) -> None:
    answers = await asyncio.gather(
        *(change(post, principal_of(ada, session="ses_1"), new=f"{NEW} {number}") for number in range(3))
    )
    assert sum(answer == DONE for answer in answers) == 1
    assert post.events.kinds == [EventKind.PASSWORD_CHANGED]


async def test_a_new_password_holds_though_the_address_cannot_be_confirmed(
    post: Post, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    await forgot(post)
    token, record = await post.token(), post.events.event

    async def refuse_one(event: Event) -> None:
        if event.kind is EventKind.EMAIL_VERIFIED:
            raise AuditUnavailable("the audit trail cannot record")
        await record(event)

    monkeypatch.setattr(post.events, "event", refuse_one)
    assert await reset(post, token) == DONE
    assert await has_password(post, NEW)
    assert (await post.user()).verified_at is None
    (notice,) = await post.delivered()
    assert "Your password was changed" in notice.subject


async def test_a_forgotten_password_is_replaced_by_the_link_in_a_mail(post: Post, ada: User) -> None:
    await forgot(post, "ADA@example.com")
    (mail,) = await post.delivered()
    assert mail.to == "ada@example.com"
    assert await reset(post, token_in(mail)) == DONE
    assert await has_password(post, NEW)
    assert not await post.is_alive("ses_1")
    assert not await post.is_alive("ses_2")
    assert {(change.kind, change.subject) for change in post.applied} == {
        (ChangeKind.SESSION_REVOKED, "ses_1"),
        (ChangeKind.SESSION_REVOKED, "ses_2"),
        (ChangeKind.USER_CHANGED, ada.id),
    }
    # Whoever reads the mails of the address has it.
    assert (await post.user()).verified_at == post.clock.time
    assert post.events.kinds == [EventKind.PASSWORD_RESET, EventKind.EMAIL_VERIFIED]
    assert [event.subject or (event.actor and event.actor.subject) for event in post.events.kept] == [
        ada.id
    ] * 2
    (notice,) = await post.delivered()
    assert "Your password was changed" in notice.subject


async def test_a_link_works_once(post: Post, ada: User) -> None:
    await forgot(post)
    token = await post.token()
    answers = await asyncio.gather(*(reset(post, token, f"{NEW} {number}") for number in range(4)))
    assert sum(answer == DONE for answer in answers) == 1
    assert worthless(await reset(post, token))


async def test_a_newer_link_makes_the_older_worthless(post: Post, ada: User) -> None:
    await forgot(post)
    older = await post.token()
    await forgot(post)
    newer = await post.token()
    assert worthless(await reset(post, older))
    assert await reset(post, newer) == DONE


@pytest.mark.parametrize("seconds", [15 * 60.0, 86400.0])
async def test_a_link_works_for_a_quarter_of_an_hour(post: Post, ada: User, seconds: float) -> None:
    await forgot(post)
    token = await post.token()
    post.clock.time += seconds
    assert worthless(await reset(post, token))


async def test_a_password_that_was_changed_meanwhile_makes_a_link_worthless(post: Post, ada: User) -> None:
    await forgot(post)
    token = await post.token()
    await change(post, principal_of(ada, session="ses_1"))
    assert worthless(await reset(post, token, "a third passphrase"))


@pytest.mark.parametrize("token", ["", "x", "x" * 43, "ü" * 40])
async def test_what_is_no_token_is_worthless(post: Post, ada: User, token: str) -> None:
    assert worthless(await reset(post, token))


async def test_a_refused_password_does_not_cost_the_link(post: Post, ada: User) -> None:
    await forgot(post)
    token = await post.token()
    refused = await reset(post, token, "short")
    assert isinstance(refused, AccountRefusal)
    assert [error["field"] for error in refused.errors] == ["new_password"]
    assert await reset(post, token) == DONE


async def test_a_disabled_account_gets_no_link(post: Post, ada: User) -> None:
    await forgot(post)
    token = await post.token()
    await post.users.set_disabled(ada.id, disabled=True, at=1.0)
    assert worthless(await reset(post, token))
    await forgot(post)
    assert await post.delivered() == []


async def test_nobody_is_written_to_about_an_address_without_an_account(post: Post, ada: User) -> None:
    await forgot(post, "nobody@example.com")
    assert await post.delivered() == []
    assert post.events.kept == []


async def test_known_and_unknown_addresses_take_the_same_time(post: Post, ada: User) -> None:
    """Of 50 tries each; the work is the same in both cases, to the statement."""
    times: dict[bool, list[float]] = {True: [], False: []}
    for number in range(100):
        known = number % 2 == 0
        begun = perf_counter()
        await forgot(post, "ada@example.com" if known else "ida@example.com")
        times[known].append(perf_counter() - begun)
    assert median(times[True]) == pytest.approx(median(times[False]), rel=0.25, abs=0.003)
