"""What every session store does."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from databases import DATABASES, open_database
from sqlalchemy import func, insert, select

from gateway.ports import ChangeKind, Session, SessionStore, User
from gateway.stores.sql import Database, SqlChangeFeed, SqlSessionStore, SqlUserStore, tables

SESSION = Session(
    id="ses_1",
    user_id="usr_1",
    key=b"\x00sealed\xff",
    counter=0,
    rotated_at=1000.5,
    confirmed=False,
    created_at=1000.5,
    last_used_at=1000.5,
    expires_at=9000.0,
    source_ip="203.0.113.7",
    user_agent="agent",
)


@pytest.fixture(params=DATABASES)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(request.param, tmp_path) as opened:
        for number in (1, 2):
            await SqlUserStore(opened).add(
                User(
                    id=f"usr_{number}",
                    username=f"user{number}",
                    email=None,
                    password_hash=None,
                    roles=frozenset(),
                    epoch=3,
                    created_at=0.0,
                    verified_at=None,
                )
            )
        yield opened


@pytest.fixture
def sessions(database: Database) -> SessionStore:
    return SqlSessionStore(database)


async def _found(sessions: SessionStore, id_: str = "ses_1") -> Session:
    session = await sessions.find(id_)
    assert session is not None
    return session


async def test_a_session_comes_back_as_it_was_stored(sessions: SessionStore) -> None:
    await sessions.add(SESSION)
    assert await sessions.find("ses_1") == SESSION
    assert await sessions.find("ses_2") is None


async def test_advancing_moves_the_counter_and_forgets_the_confirmation(sessions: SessionStore) -> None:
    await sessions.add(replace(SESSION, confirmed=True))
    assert await sessions.advance("ses_1", seen=0, at=1100.0)
    assert await sessions.find("ses_1") == replace(
        SESSION, counter=1, rotated_at=1100.0, last_used_at=1100.0, confirmed=False
    )


async def test_advancing_from_another_counter_changes_nothing(sessions: SessionStore) -> None:
    await sessions.add(SESSION)
    assert not await sessions.advance("ses_1", seen=1, at=1100.0)
    assert not await sessions.advance("ses_9", seen=0, at=1100.0)
    assert await sessions.find("ses_1") == SESSION


async def test_of_twenty_who_advance_at_once_one_is_first(sessions: SessionStore) -> None:
    await sessions.add(SESSION)
    first = await asyncio.gather(*(sessions.advance("ses_1", seen=0, at=1100.0) for _ in range(20)))
    assert sorted(first) == [False] * 19 + [True]
    assert (await _found(sessions)).counter == 1


async def test_a_session_that_has_ended_does_not_advance(sessions: SessionStore) -> None:
    await sessions.add(SESSION)
    await sessions.revoke("ses_1", at=1050.0)
    assert not await sessions.advance("ses_1", seen=0, at=1100.0)
    assert await sessions.find("ses_1") == replace(SESSION, revoked_at=1050.0)


async def test_touching_notes_the_use_and_never_goes_back(sessions: SessionStore) -> None:
    await sessions.add(SESSION)
    await sessions.touch("ses_1", at=1200.0)
    await sessions.touch("ses_1", at=1100.0)
    assert await sessions.find("ses_1") == replace(SESSION, last_used_at=1200.0)


async def test_a_confirmation_counts_for_its_own_generation_alone(sessions: SessionStore) -> None:
    await sessions.add(SESSION)
    await sessions.advance("ses_1", seen=0, at=1100.0)
    await sessions.confirm("ses_1", counter=0)
    assert not (await _found(sessions)).confirmed
    await sessions.confirm("ses_1", counter=1)
    assert (await _found(sessions)).confirmed


async def test_ending_a_session_is_announced_once(database: Database, sessions: SessionStore) -> None:
    await sessions.add(SESSION)
    assert await sessions.revoke("ses_1", at=1100.0)
    assert not await sessions.revoke("ses_1", at=1200.0)
    assert not await sessions.revoke("ses_9", at=1200.0)
    assert (await _found(sessions)).revoked_at == 1100.0
    changes = await SqlChangeFeed(database).since(0)
    assert [(change.kind, change.subject, change.at) for change in changes] == [
        (ChangeKind.SESSION_REVOKED, "ses_1", 1100.0)
    ]


async def test_ending_all_ends_those_of_one_user_and_raises_the_epoch(
    database: Database, sessions: SessionStore
) -> None:
    await sessions.add(SESSION)
    await sessions.add(replace(SESSION, id="ses_2"))
    await sessions.add(replace(SESSION, id="ses_3"))
    await sessions.add(replace(SESSION, id="ses_4", user_id="usr_2"))
    await sessions.revoke("ses_3", at=1050.0)
    assert await sessions.revoke_all("usr_1", at=1100.0) == ["ses_1", "ses_2"]
    assert (await _found(sessions, "ses_3")).revoked_at == 1050.0
    assert (await _found(sessions, "ses_4")).revoked_at is None
    user = await SqlUserStore(database).find("usr_1")
    other = await SqlUserStore(database).find("usr_2")
    assert user is not None
    assert user.epoch == 4
    assert other is not None
    assert other.epoch == 3
    changes = await SqlChangeFeed(database).since(1)
    assert [(change.kind, change.subject, change.epoch) for change in changes] == [
        (ChangeKind.SESSION_REVOKED, "ses_1", 0),
        (ChangeKind.SESSION_REVOKED, "ses_2", 0),
        (ChangeKind.USER_CHANGED, "usr_1", 4),
    ]


async def test_ending_all_kills_older_access_tokens_even_without_a_session(
    database: Database, sessions: SessionStore
) -> None:
    assert await sessions.revoke_all("usr_1", at=1100.0) == []
    assert [change.kind for change in await SqlChangeFeed(database).since(0)] == [ChangeKind.USER_CHANGED]


async def test_ending_all_of_nobody_announces_nothing(database: Database, sessions: SessionStore) -> None:
    assert await sessions.revoke_all("usr_9", at=1100.0) == []
    assert await SqlChangeFeed(database).since(0) == []


async def test_sessions_past_their_absolute_end_are_dropped(sessions: SessionStore) -> None:
    await sessions.add(SESSION)
    await sessions.add(replace(SESSION, id="ses_2", created_at=9000.0, expires_at=20000.0))
    assert await sessions.find("ses_1") is not None
    await sessions.add(replace(SESSION, id="ses_3", created_at=9001.0, expires_at=20000.0))
    assert await sessions.find("ses_1") is None
    assert await sessions.find("ses_2") is not None


async def test_a_new_session_waits_for_few_of_many_that_are_over(
    database: Database, sessions: SessionStore
) -> None:
    over = [
        {"id": f"old_{number}", "user_id": "usr_1", "key": b"", "counter": 0, "rotated_at": 0.0}
        | {"confirmed": False, "created_at": 0.0, "last_used_at": 0.0, "expires_at": float(number)}
        for number in range(250)
    ]
    async with database.write() as connection:
        await connection.execute(insert(tables.sessions), over)

    async def left() -> int:
        async with database.read() as connection:
            count = await connection.scalar(select(func.count()).where(tables.sessions.c.expires_at < 250.0))
        return count or 0

    counts = []
    for number in range(3):
        await sessions.add(replace(SESSION, id=f"ses_{number}"))
        counts.append(await left())
    assert counts == [150, 50, 0]
