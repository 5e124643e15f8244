"""What operators change about accounts."""

import pytest
from unit.accounts.post import PASSWORD as FORMER
from unit.accounts.post import Post

from gateway.accounts import AccountRefusal, HashingBusy
from gateway.model import EventKind, Reason
from gateway.operations import (
    create_user,
    disable_user,
    enable_user,
    operator_at_the_command_line,
    set_password,
    set_roles,
    show_user,
)
from gateway.ports import AuditUnavailable, User
from gateway.stores.sql import SqlApiKeyStore, SqlFactorStore

OPERATOR = operator_at_the_command_line()
NEW = "another good passphrase"


@pytest.fixture
async def ada(post: Post) -> User:
    """An account with a session."""
    made = await create_user(
        post.registrar,
        username="Ada",
        email="ada@example.com",
        password=FORMER,
        roles=frozenset({"customer"}),
        min_length=12,
        operator=OPERATOR,
    )
    assert isinstance(made, User)
    await post.begin_session("ses_1", made)
    post.events.kept.clear()
    return made


async def roles(post: Post, name: str, *given: str) -> User | AccountRefusal:
    return await set_roles(
        post.users, post.events, post.clock, name=name, roles=frozenset(given), operator=OPERATOR
    )


async def password(
    post: Post, name: str, new: str = NEW, *, rejects_common: bool = False
) -> User | AccountRefusal:
    return await set_password(
        post.users,
        post.passwords,
        post.mailing,
        post.events,
        post.clock,
        name=name,
        password=new,
        min_length=12,
        rejects_common=rejects_common,
        operator=OPERATOR,
    )


async def disable(post: Post, name: str) -> User | AccountRefusal:
    return await disable_user(post.users, post.events, post.clock, name=name, operator=OPERATOR)


async def enable(post: Post, name: str) -> User | AccountRefusal:
    return await enable_user(post.users, post.events, post.clock, name=name, operator=OPERATOR)


def refused(answer: User | AccountRefusal, reason: Reason) -> None:
    assert isinstance(answer, AccountRefusal)
    assert answer.reason is reason


@pytest.mark.parametrize("name", ["Ada", "ADA", "ada@EXAMPLE.com", "id"])
async def test_roles_are_replaced_and_the_record_has_both(post: Post, ada: User, name: str) -> None:
    changed = await roles(post, ada.id if name == "id" else name, "support", "finance")
    assert isinstance(changed, User)
    assert (changed.roles, changed.epoch) == (frozenset({"support", "finance"}), ada.epoch + 1)
    (event,) = post.events.kept
    assert (event.kind, event.actor, event.subject) == (EventKind.ROLE_CHANGED, OPERATOR, ada.id)
    assert event.attributes == {
        "user": ada.id,
        "roles": ["finance", "support"],
        "roles_before": ["customer"],
    }
    assert event.personal == {"username": "Ada"}


async def test_a_password_is_replaced_and_its_owner_is_told(post: Post, ada: User) -> None:
    changed = await password(post, "ada")
    assert isinstance(changed, User)
    assert await post.passwords.verify(NEW, changed.password_hash)
    assert not await post.is_alive("ses_1")
    (event,) = post.events.kept
    assert (event.kind, event.actor, event.subject) == (EventKind.PASSWORD_CHANGED, OPERATOR, ada.id)
    (mail,) = await post.delivered()
    assert mail.to == "ada@example.com"


async def test_a_machine_that_is_too_busy_for_a_password_says_so(
    post: Post, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wait_too_long(_: str) -> str:
        raise HashingBusy

    monkeypatch.setattr(post.passwords, "hash", wait_too_long)
    refused(await password(post, "ada"), Reason.OVERLOADED)
    assert post.events.kept == []


async def test_an_operator_keeps_to_the_rules_too(post: Post, ada: User) -> None:
    refused(await password(post, "ada", "short"), Reason.INVALID_REQUEST)
    refused(await password(post, "ada", "Password1234", rejects_common=True), Reason.INVALID_REQUEST)
    assert post.events.kept == []


async def test_an_account_is_shut_out_and_let_in_again(post: Post, ada: User) -> None:
    disabled = await disable(post, "ada")
    assert isinstance(disabled, User)
    assert disabled.disabled_at == post.clock.time
    assert not await post.is_alive("ses_1")
    refused(await disable(post, "ada"), Reason.CONFLICT)
    enabled = await enable(post, "ada")
    assert isinstance(enabled, User)
    assert enabled.disabled_at is None
    refused(await enable(post, "ada"), Reason.CONFLICT)
    assert post.events.kinds == [EventKind.USER_DISABLED, EventKind.USER_ENABLED]
    assert [event.subject for event in post.events.kept] == [ada.id] * 2


async def test_nobody_is_not_changed(post: Post, ada: User) -> None:
    refused(await roles(post, "bob", "support"), Reason.NOT_FOUND)
    refused(await password(post, "bob"), Reason.NOT_FOUND)
    refused(await disable(post, "bob"), Reason.NOT_FOUND)
    refused(await enable(post, "usr_0"), Reason.NOT_FOUND)
    assert post.events.kept == []


async def test_without_a_record_nothing_is_given_and_what_is_taken_away_is_gone(
    post: Post, ada: User
) -> None:
    post.events.away = True
    with pytest.raises(AuditUnavailable):
        await roles(post, "ada", "admin")
    with pytest.raises(AuditUnavailable):
        await password(post, "ada")
    assert await post.users.find(ada.id) == ada
    with pytest.raises(AuditUnavailable):
        await disable(post, "ada")
    assert (await post.user()).disabled_at is not None
    with pytest.raises(AuditUnavailable):
        await enable(post, "ada")
    assert (await post.user()).disabled_at is not None


async def test_an_account_is_shown_with_what_belongs_to_it(post: Post, ada: User) -> None:
    keys, factors = SqlApiKeyStore(post.database), SqlFactorStore(post.database)
    shown = await show_user(post.users, post.sessions, keys, factors, post.clock, name="ADA")
    assert not isinstance(shown, AccountRefusal)
    assert (shown.user, shown.keys, shown.has_second_factor) == (ada, [], False)
    assert [session.id for session in shown.sessions] == ["ses_1"]
    nobody = await show_user(post.users, post.sessions, keys, factors, post.clock, name="bob")
    assert isinstance(nobody, AccountRefusal)
