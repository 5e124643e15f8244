"""Registration: who may, what is answered, and what the mails say."""

import asyncio
from dataclasses import replace
from statistics import median
from time import perf_counter

import pytest
from unit.accounts.house import RULES
from unit.accounts.post import CONFIRMED, Post, token_in

from gateway.accounts import DONE, Account, AccountRefusal, VerifyBody, issue_invite
from gateway.accounts.origin import Origin
from gateway.model import EventKind, Reason
from gateway.ports import AuditUnavailable


async def invited(
    post: Post,
    *,
    email: str | None = None,
    roles: frozenset[str] = frozenset({"support"}),
    life: float = 60.0,
) -> str:
    issued = issue_invite(roles=roles, email=email, created_by="uid:0", now=post.clock.now(), life=life)
    await post.invites.add(issued.invite)
    return issued.code


def refused(answer: object, reason: Reason) -> AccountRefusal:
    assert isinstance(answer, AccountRefusal)
    assert answer.reason is reason
    return answer


def fields(answer: object) -> list[str]:
    return [error["field"] for error in refused(answer, Reason.INVALID_REQUEST).errors]


async def test_an_account_is_made_at_once_where_addresses_are_not_confirmed(post: Post) -> None:
    made = await post.register(rules=RULES)
    assert made == Account.of(await post.user())
    assert await post.delivered() == []


async def test_a_taken_name_is_a_conflict_where_addresses_are_not_confirmed(post: Post) -> None:
    await post.register(rules=RULES)
    refused(await post.register("ADA", "other@example.com", rules=RULES), Reason.CONFLICT)


async def test_nobody_registers_where_registration_is_closed(post: Post) -> None:
    code = await invited(post)
    refused(await post.register(rules=replace(RULES, registration="closed"), invite=code), Reason.DENIED)
    assert await post.users.list() == []


async def test_an_address_is_confirmed_by_the_link_in_a_mail(post: Post) -> None:
    assert await post.register() == DONE
    assert (await post.user()).verified_at is None
    (mail,) = await post.delivered()
    assert mail.to == "ada@example.com"
    assert "Ada" in mail.text
    assert await post.confirming.verify(VerifyBody(token=token_in(mail)), origin=Origin()) == DONE
    assert (await post.user()).verified_at == post.clock.time
    assert post.events.kinds == [EventKind.REGISTERED, EventKind.EMAIL_VERIFIED]


@pytest.mark.parametrize(
    ("username", "email"),
    [("Ada", "ADA@example.com"), ("other", "ada@example.com"), ("ADA", "new@example.com")],
)
async def test_whether_a_name_is_taken_is_told_to_the_address_alone(
    post: Post, username: str, email: str
) -> None:
    assert await post.register() == DONE
    assert await post.register(username, email) == DONE
    assert [event.reason for event in post.events.kept] == [Reason.OK, Reason.CONFLICT]
    assert len(await post.users.list()) == 1


async def test_who_has_an_account_is_reminded_of_it(post: Post) -> None:
    await post.register()
    await post.confirming.verify(VerifyBody(token=await post.token()), origin=Origin())
    await post.register("ada2")
    (mail,) = await post.delivered()
    assert "You already have an account" in mail.subject
    assert "#token=" not in mail.text


async def test_who_is_asked_for_an_account_that_waits_takes_it_over_with_a_password_of_their_own(
    post: Post,
) -> None:
    await post.register("squatter", "ada@example.com", password="known to a stranger")
    await post.delivered()
    await post.register("ada", "ada@example.com")
    (mail,) = await post.delivered()
    assert "/password/reset#token=" in mail.text
    assert "squatter" in mail.text


async def test_who_wants_a_taken_name_is_told_to_choose_another(post: Post) -> None:
    await post.register()
    await post.delivered()
    await post.register("ADA", "new@example.com")
    (mail,) = await post.delivered()
    assert mail.to == "new@example.com"
    assert "Choose another user name" in mail.subject


async def test_mistakes_are_told_at_once_whoever_has_the_name(post: Post) -> None:
    await post.register()
    for username, email in [("Ada", "ada@example.com"), ("new", "new@example.com")]:
        refusal = refused(await post.register(username, email, password="short"), Reason.INVALID_REQUEST)
        assert [error["field"] for error in refusal.errors] == ["password"]


async def test_common_passwords_are_refused_where_the_rules_say_so(post: Post) -> None:
    rules = replace(RULES, rejects_common=True)
    for password in ("Password1234", "ada@example.com"):
        refusal = refused(await post.register(rules=rules, password=password), Reason.INVALID_REQUEST)
        assert [error["field"] for error in refusal.errors] == ["password"]
    assert isinstance(await post.register(rules=rules), Account)


async def test_an_invitation_gives_its_roles_once(post: Post) -> None:
    rules = replace(RULES, registration="invite")
    code = await invited(post)
    made = await post.register(rules=rules, invite=code)
    assert isinstance(made, Account)
    assert made.roles == ("support",)
    assert fields(await post.register("bob", "bob@example.com", rules=rules, invite=code)) == ["invite"]
    (invite,) = await post.invites.list()
    assert (invite.used_by, invite.used_at) == (made.id, post.clock.time)


async def test_an_invitation_without_roles_gives_those_of_everybody(post: Post) -> None:
    made = await post.register(rules=RULES, invite=await invited(post, roles=frozenset()))
    assert isinstance(made, Account)
    assert made.roles == ("customer",)


async def test_without_a_good_invitation_there_is_no_account(post: Post) -> None:
    rules = replace(RULES, registration="invite")
    late = await invited(post, life=10.0)
    post.clock.time += 10.0
    for code in (None, "gwi_nonsense", "", late):
        assert fields(await post.register(rules=rules, invite=code)) == ["invite"]
    assert fields(await post.register(rules=RULES, invite="gwi_nonsense")) == ["invite"]
    assert await post.users.list() == []


async def test_an_invitation_is_good_for_the_invited_address_alone(post: Post) -> None:
    code = await invited(post, email="Ada@Example.com")
    refusal = refused(
        await post.register("eve", "eve@example.com", rules=RULES, invite=code), Reason.INVALID_REQUEST
    )
    assert [error["field"] for error in refusal.errors] == ["email"]
    assert isinstance(await post.register(rules=RULES, invite=code), Account)


@pytest.mark.parametrize("rules", [RULES, CONFIRMED])
async def test_of_many_at_once_with_one_invitation_one_gets_an_account(post: Post, rules: object) -> None:
    code = await invited(post)
    chosen = RULES if rules is RULES else CONFIRMED
    await asyncio.gather(
        *(
            post.register(f"n{number}", f"n{number}@example.com", rules=chosen, invite=code)
            for number in range(4)
        )
    )
    assert len(await post.users.list()) == 1


async def test_a_taken_name_does_not_cost_the_invitation(post: Post) -> None:
    await post.register(rules=RULES)
    code = await invited(post)
    assert await post.register("ADA", "new@example.com", invite=code) == DONE
    assert isinstance(await post.register("bob", "bob@example.com", rules=RULES, invite=code), Account)


async def test_without_a_record_nothing_happens(post: Post) -> None:
    post.events.away = True
    with pytest.raises(AuditUnavailable):
        await post.register()
    post.events.away = False
    assert await post.users.list() == []
    assert await post.delivered() == []


async def test_no_record_has_a_password_an_address_or_a_token(post: Post) -> None:
    await post.register()
    await post.confirming.verify(VerifyBody(token=await post.token()), origin=Origin())
    told = repr([(event.attributes, event.personal) for event in post.events.kept])
    assert "correct horse" not in told
    assert "example.com" not in told


@pytest.mark.slow
async def test_free_and_taken_names_take_the_same_time(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the cost of production: a quarter of a second for each, of which at most 5 % differ."""
    monkeypatch.setattr(post.passwords, "_cost", 10)
    await post.register()
    times: dict[bool, list[float]] = {True: [], False: []}
    for number in range(100):
        taken = number % 2 == 0
        name = "ada" if taken else f"n{number}"
        begun = perf_counter()
        await post.register(name, f"{name}@example.com")
        times[taken].append(perf_counter() - begun)
    assert median(times[True]) == pytest.approx(median(times[False]), rel=0.05)
