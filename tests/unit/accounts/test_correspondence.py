"""Who gets which letter, and how many."""

import pytest
from unit.accounts.house import RULES
from unit.accounts.post import Post

from gateway.accounts import EmailBody, Errand, ErrandKind
from gateway.accounts.correspondence import PER_ADDRESS


async def forgot(post: Post, email: str = "ada@example.com") -> None:
    await post.recovering.forgot(EmailBody(email=email))


async def test_nobodys_mailbox_is_filled(post: Post) -> None:
    await post.register(rules=RULES)
    for email in ["ada@example.com", "ADA@example.com"] * PER_ADDRESS.quota:
        await forgot(post, email)
    assert len(await post.delivered()) == PER_ADDRESS.quota
    post.clock.time += PER_ADDRESS.window_us / 1e6
    await forgot(post)
    assert len(await post.delivered()) == 1


async def test_what_is_tried_again_counts_once(post: Post) -> None:
    await post.register(rules=RULES)
    errand = Errand(kind=ErrandKind.RESET, email="ada@example.com")
    assert await post.correspondence.write(errand, first=True) is not None
    for _ in range(3 * PER_ADDRESS.quota):
        assert await post.correspondence.write(errand, first=False) is not None
    for _ in range(PER_ADDRESS.quota - 1):
        assert await post.correspondence.write(errand, first=True) is not None
    assert await post.correspondence.write(errand, first=True) is None


async def test_an_account_that_is_gone_when_its_mail_is_written_gets_none(post: Post) -> None:
    await post.register()
    await post.users.delete((await post.user()).id, at=1.0)
    assert await post.delivered() == []


@pytest.mark.parametrize("kind", [ErrandKind.CONFIRM, ErrandKind.RESEND, ErrandKind.RESET, ErrandKind.TAKEN])
async def test_a_disabled_account_that_was_never_confirmed_gets_none(post: Post, kind: ErrandKind) -> None:
    await post.register(rules=RULES)
    await post.users.set_disabled((await post.user()).id, disabled=True, at=1.0)
    errand = Errand(kind=kind, email="ada@example.com", username="ada")
    assert await post.correspondence.write(errand, first=True) is None


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (ErrandKind.PASSWORD_CHANGED, "password was changed"),
        (ErrandKind.FACTOR_BEGUN, "asks for a second factor"),
        (ErrandKind.FACTOR_REMOVED, "second factor was removed"),
    ],
)
async def test_what_was_done_to_an_account_is_told_to_the_address_that_it_had(
    post: Post, kind: ErrandKind, words: str
) -> None:
    errand = Errand(kind=kind, email="ada@example.com", username="ada")
    for _ in range(2 * PER_ADDRESS.quota):
        mail = await post.correspondence.write(errand, first=True)
        assert mail is not None
        assert mail.to == "ada@example.com"
        assert words in mail.subject
