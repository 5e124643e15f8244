"""What every queue of mails does."""

import asyncio
from dataclasses import replace

import pytest

from gateway.ports import QueuedMail, StoreUnavailable
from gateway.stores.sql import Database, SqlMailQueue

MAIL = QueuedMail(id="mail_1", sealed=b"\x00sealed\xff", created_at=1000.0, attempts=0)


@pytest.fixture
async def queue(database: Database) -> SqlMailQueue:
    await database.migrate()
    return SqlMailQueue(database)


async def claimed(queue: SqlMailQueue, now: float, *, limit: int = 10) -> list[str]:
    return [mail.id for mail in await queue.claim(now=now, until=now + 60.0, limit=limit)]


async def test_a_mail_comes_back_as_it_was_kept_and_counts_as_tried(queue: SqlMailQueue) -> None:
    await queue.add(MAIL)
    assert await queue.claim(now=1000.0, until=1060.0, limit=10) == [replace(MAIL, attempts=1)]


async def test_what_is_claimed_is_nobody_elses_until_the_claim_ends(queue: SqlMailQueue) -> None:
    await queue.add(MAIL)
    assert await claimed(queue, 1000.0) == ["mail_1"]
    assert await claimed(queue, 1059.0) == []
    assert [mail.attempts for mail in await queue.claim(now=1060.0, until=1120.0, limit=10)] == [2]


async def test_the_oldest_come_first_and_no_more_than_asked_for(queue: SqlMailQueue) -> None:
    for number in (3, 1, 2):
        await queue.add(replace(MAIL, id=f"mail_{number}", created_at=1000.0 + number))
    assert await claimed(queue, 1002.0, limit=5) == ["mail_1", "mail_2"]
    assert await claimed(queue, 1010.0, limit=1) == ["mail_3"]


async def test_a_mail_that_was_sent_is_forgotten(queue: SqlMailQueue) -> None:
    await queue.add(MAIL)
    await claimed(queue, 1000.0)
    await queue.sent("mail_1")
    assert await claimed(queue, 9999.0) == []


async def test_all_that_wait_are_shown_the_claimed_ones_too(queue: SqlMailQueue) -> None:
    assert await queue.waiting() == []
    for number in (2, 1):
        await queue.add(replace(MAIL, id=f"mail_{number}", created_at=1000.0 + number))
    await claimed(queue, 1001.0, limit=1)
    first = replace(MAIL, id="mail_1", created_at=1001.0, attempts=1)
    assert await queue.waiting() == [first, replace(MAIL, id="mail_2", created_at=1002.0)]


async def test_a_mail_that_is_given_back_is_due_when_it_says(queue: SqlMailQueue) -> None:
    await queue.add(MAIL)
    await claimed(queue, 1000.0)
    await queue.later("mail_1", at=1005.0)
    assert await claimed(queue, 1004.0) == []
    assert await claimed(queue, 1005.0) == ["mail_1"]


async def test_of_those_who_claim_at_once_each_mail_has_one(queue: SqlMailQueue) -> None:
    for number in range(12):
        await queue.add(replace(MAIL, id=f"mail_{number:02}"))
    got = await asyncio.gather(*(claimed(queue, 1000.0, limit=3) for _ in range(8)))
    ids = [id_ for each in got for id_ in each]
    assert len(ids) == len(set(ids))
    while more := await claimed(queue, 1000.0):
        ids += more
    assert sorted(ids) == [f"mail_{number:02}" for number in range(12)]


async def test_an_id_is_never_given_twice(queue: SqlMailQueue) -> None:
    await queue.add(MAIL)
    with pytest.raises(StoreUnavailable):
        await queue.add(MAIL)
