"""Links in mails."""

from unit.accounts.house import RULES
from unit.accounts.post import BASE, Post

from gateway.ports import LinkPurpose


async def test_a_link_begins_with_the_public_url_and_its_token_stays_in_the_browser(post: Post) -> None:
    await post.register(rules=RULES)
    user = await post.user()
    made = [
        await post.links.make(user, "ada@example.com", purpose)
        for purpose in (LinkPurpose.VERIFY_EMAIL, LinkPurpose.RESET_PASSWORD)
    ]
    places = [link.partition("#token=")[0] for link in made if link is not None]
    assert places == [f"{BASE}/gateway/v1/auth/email/verify", f"{BASE}/gateway/v1/auth/password/reset"]
    assert len({link and link[-43:] for link in made}) == 2


async def test_the_token_itself_is_kept_nowhere(post: Post) -> None:
    await post.register(rules=RULES)
    link = await post.links.make(await post.user(), "ada@example.com", LinkPurpose.RESET_PASSWORD)
    assert link is not None
    token = link[-43:]
    async with post.database.read() as connection:
        rows = (await connection.exec_driver_sql("SELECT * FROM links")).all()
    assert token not in repr(rows)
    found = await post.links.find(token, LinkPurpose.RESET_PASSWORD)
    assert found is not None
    assert token not in repr(found)


async def test_an_account_that_is_gone_gets_no_link(post: Post) -> None:
    await post.register(rules=RULES)
    user = await post.user()
    await post.users.delete(user.id, at=1.0)
    assert await post.links.make(user, "ada@example.com", LinkPurpose.RESET_PASSWORD) is None
