"""What every store of links does."""

import asyncio
from dataclasses import replace

import pytest

from gateway.ports import Link, LinkPurpose, User
from gateway.stores.sql import Database, SqlLinkStore, SqlUserStore

RESET, VERIFY = LinkPurpose.RESET_PASSWORD, LinkPurpose.VERIFY_EMAIL
LINK = Link(
    token_hash=b"\x00hash",
    purpose=RESET,
    user_id="usr_1",
    email="Ada@Example.com",
    password_version=2,
    created_at=1000.0,
    expires_at=1900.0,
)


@pytest.fixture
async def links(database: Database) -> SqlLinkStore:
    await database.migrate()
    ada = User(
        id="usr_1",
        username="Ada",
        email="Ada@Example.com",
        password_hash=None,
        roles=frozenset(),
        epoch=0,
        created_at=1.0,
        verified_at=None,
    )
    await SqlUserStore(database).add(ada)
    return SqlLinkStore(database)


async def test_a_link_comes_back_as_it_was_stored(links: SqlLinkStore) -> None:
    assert await links.add(LINK)
    assert await links.find(b"\x00hash", RESET, now=1000.0) == LINK
    assert await links.find(b"\x00hash", RESET, now=1001.0) == LINK


async def test_a_link_is_found_by_its_whole_token_and_purpose_until_it_expires(links: SqlLinkStore) -> None:
    await links.add(LINK)
    assert await links.find(b"\x00hash", VERIFY, now=1000.0) is None
    assert await links.find(b"\x00has", RESET, now=1000.0) is None
    assert await links.find(b"\x00hash", RESET, now=1900.0) is None
    assert await links.use(b"\x00hash", RESET, now=1900.0) is None
    assert await links.use(b"\x00hash", VERIFY, now=1000.0) is None


async def test_a_newer_link_takes_the_place_of_the_last_of_its_kind(links: SqlLinkStore) -> None:
    await links.add(LINK)
    await links.add(replace(LINK, token_hash=b"verify", purpose=VERIFY))
    await links.add(replace(LINK, token_hash=b"newer"))
    assert await links.find(b"\x00hash", RESET, now=1000.0) is None
    assert await links.find(b"newer", RESET, now=1000.0) is not None
    assert await links.find(b"verify", VERIFY, now=1000.0) is not None


async def test_of_those_who_use_a_link_at_once_one_gets_it(links: SqlLinkStore) -> None:
    await links.add(LINK)
    got = await asyncio.gather(*(links.use(b"\x00hash", RESET, now=1000.0) for _ in range(5)))
    assert [link for link in got if link is not None] == [LINK]
    assert await links.find(b"\x00hash", RESET, now=1000.0) is None


async def test_of_links_that_are_made_at_once_one_is_left(links: SqlLinkStore) -> None:
    made = [replace(LINK, token_hash=f"{number}".encode()) for number in range(6)]
    assert all(await asyncio.gather(*(links.add(link) for link in made)))
    found = [await links.find(link.token_hash, RESET, now=1000.0) for link in made]
    assert sum(link is not None for link in found) == 1


async def test_nobody_gets_a_link_for_an_account_that_is_gone(
    database: Database, links: SqlLinkStore
) -> None:
    await links.add(LINK)
    await SqlUserStore(database).delete("usr_1", at=1.0)
    assert await links.find(b"\x00hash", RESET, now=1000.0) is None
    assert not await links.add(LINK)
