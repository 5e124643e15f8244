"""What every change feed does."""

import pytest
from databases import opened
from sqlalchemy import delete, insert

from gateway.ports import Change, ChangeFeed, ChangeKind, PlaceUnknown
from gateway.stores.sql import Database, SqlChangeFeed
from gateway.stores.sql.changes import RETENTION, announce
from gateway.stores.sql.tables import changes


@pytest.fixture
def feed(database: Database) -> ChangeFeed:
    return SqlChangeFeed(database)


async def _announce(database: Database, subject: str, at: float, epoch: int = 0) -> None:
    kind = ChangeKind.USER_CHANGED if epoch else ChangeKind.SESSION_REVOKED
    async with database.write() as connection:
        await announce(connection, kind, subject, at=at, epoch=epoch)


async def test_an_empty_feed_begins_at_zero(feed: ChangeFeed) -> None:
    assert await feed.since(0) == []
    assert await feed.recent(0.0) == (0, [])


async def test_changes_come_in_order_and_once(database: Database, feed: ChangeFeed) -> None:
    await _announce(database, "ses_1", 1000.0)
    await _announce(database, "usr_1", 999.0, epoch=7)
    first, second = await feed.since(0)
    assert first == Change(1, ChangeKind.SESSION_REVOKED, "ses_1", 0, 1000.0)
    assert second == Change(2, ChangeKind.USER_CHANGED, "usr_1", 7, 999.0)
    assert await feed.since(1) == [second]
    assert await feed.since(2) == []


async def test_the_recent_ones_and_where_to_go_on(database: Database, feed: ChangeFeed) -> None:
    await _announce(database, "ses_1", 1000.0)
    await _announce(database, "ses_2", 2000.0)
    newest, changes = await feed.recent(1500.0)
    assert newest == 2
    assert [change.subject for change in changes] == ["ses_2"]


async def test_a_change_whose_transaction_fails_was_never_there(database: Database, feed: ChangeFeed) -> None:
    async def fail() -> None:
        async with database.write() as connection:
            await announce(connection, ChangeKind.SESSION_REVOKED, "ses_1", at=1.0)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await feed.since(0) == []


async def test_old_changes_are_dropped_and_numbers_go_on(database: Database, feed: ChangeFeed) -> None:
    await _announce(database, "ses_1", 1000.0)
    await _announce(database, "ses_2", 1000.0 + RETENTION)
    assert [change.subject for change in await feed.since(0)] == ["ses_1", "ses_2"]
    await _announce(database, "ses_3", 1000.0 + 2 * RETENTION + 1)
    assert [(change.seq, change.subject) for change in await feed.since(0)] == [(3, "ses_3")]


async def test_an_announcement_waits_for_few_of_many_that_are_old(
    database: Database, feed: ChangeFeed
) -> None:
    old = [{"kind": "session.revoked", "subject": f"old_{n}", "epoch": 0, "at": 0.0} for n in range(250)]
    async with database.write() as connection:
        await connection.execute(insert(changes), old)
    counts = []
    for number in range(3):
        await _announce(database, f"ses_{number}", RETENTION + 1)
        counts.append(len(await feed.since(0)))
    assert counts == [151, 52, 3]


async def test_who_goes_on_after_a_change_that_is_not_there_is_told(
    database: Database, feed: ChangeFeed
) -> None:
    for number in (1, 2, 3):
        await _announce(database, f"ses_{number}", 1000.0)
    # The database is set back, and goes on from there.
    async with database.write() as connection:
        await connection.execute(delete(changes).where(changes.c.seq >= 2))
    with pytest.raises(PlaceUnknown):
        await feed.since(3)
    await _announce(database, "ses_4", 1000.0)
    with pytest.raises(PlaceUnknown):
        await feed.since(2)
    assert [change.subject for change in await feed.since(1)] == ["ses_4"]


async def test_what_one_process_announces_another_sees(database: Database, url: str) -> None:
    async with opened(url) as other:
        await _announce(database, "ses_1", 1000.0)
        assert [change.subject for change in await SqlChangeFeed(other).since(0)] == ["ses_1"]
        await _announce(other, "ses_2", 1001.0)
        assert [change.subject for change in await SqlChangeFeed(database).since(1)] == ["ses_2"]
