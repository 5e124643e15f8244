"""What every session store does."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from databases import DATABASES, open_database
from sqlalchemy import func, insert, select, update

from gateway.ports import ChangeKind, ClientSecret, OAuthClient, Session, SessionStore, User
from gateway.stores.sql import Database, SqlChangeFeed, SqlClientStore, SqlSessionStore, SqlUserStore, tables

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


USER = User(
    id="usr_1",
    username="user1",
    email=None,
    password_hash=None,
    roles=frozenset(),
    epoch=3,
    created_at=0.0,
    verified_at=None,
)
OTHER = replace(USER, id="usr_2", username="user2")
CLIENT = OAuthClient(
    id="cli_1",
    name="portal",
    roles=frozenset(),
    secrets=(ClientSecret(hash=b"h" * 32),),
    epoch=0,
    created_at=0.0,
)


@pytest.fixture(params=DATABASES)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(request.param, tmp_path) as opened:
        for user in (USER, OTHER):
            await SqlUserStore(opened).add(user)
        yield opened


@pytest.fixture
def sessions(database: Database) -> SessionStore:
    return SqlSessionStore(database)


async def _add(sessions: SessionStore, session: Session, user: User = USER) -> None:
    assert await sessions.add(session, user=user)


async def _found(sessions: SessionStore, id_: str = "ses_1") -> Session:
    session = await sessions.find(id_)
    assert session is not None
    return session


async def test_a_session_comes_back_as_it_was_stored(sessions: SessionStore) -> None:
    await _add(sessions, SESSION)
    assert await sessions.find("ses_1") == SESSION
    assert await sessions.find("ses_2") is None


async def test_everything_about_a_session_comes_back(database: Database, sessions: SessionStore) -> None:
    await SqlClientStore(database).add(CLIENT)
    session = replace(
        SESSION, client_id="cli_1", amr=("otp", "pwd"), mfa_at=1000.25, jkt="A" * 43, scope="a:b c:d"
    )
    await _add(sessions, session)
    assert await sessions.find("ses_1") == session


@pytest.mark.parametrize(
    "proved",
    [
        replace(USER, epoch=2),
        replace(USER, epoch=4),
        replace(USER, password_version=1),
        replace(USER, id="usr_9"),
    ],
)
async def test_no_session_is_begun_for_an_account_that_is_another_by_now(
    sessions: SessionStore, proved: User
) -> None:
    assert not await sessions.add(replace(SESSION, user_id=proved.id), user=proved)
    assert await sessions.find("ses_1") is None


async def test_no_session_is_begun_for_an_account_that_is_disabled(
    database: Database, sessions: SessionStore
) -> None:
    async with database.write() as connection:
        await connection.execute(update(tables.users).values(disabled_at=1.0))
    assert not await sessions.add(SESSION, user=USER)


async def test_no_session_is_begun_for_a_client_that_was_revoked(
    database: Database, sessions: SessionStore
) -> None:
    clients = SqlClientStore(database)
    await clients.add(CLIENT)
    await _add(sessions, replace(SESSION, client_id="cli_1"))
    await clients.revoke("cli_1", at=1.0)
    assert not await sessions.add(replace(SESSION, id="ses_2", client_id="cli_1"), user=USER)
    assert not await sessions.add(replace(SESSION, id="ses_3", client_id="cli_9"), user=USER)


async def test_no_session_survives_the_end_of_all_that_comes_at_the_same_moment(
    sessions: SessionStore,
) -> None:
    for turn in range(10):
        user = replace(USER, epoch=3 + turn)
        begun = [f"ses_{turn}_{number}" for number in range(4)]
        *added, _ = await asyncio.gather(
            *(sessions.add(replace(SESSION, id=id_), user=user) for id_ in begun),
            sessions.revoke_all("usr_1", at=1100.0),
        )
        for id_, was_added in zip(begun, added, strict=True):
            found = await sessions.find(id_)
            assert (found is not None) is was_added
            assert found is None or found.revoked_at is not None


async def test_the_live_sessions_of_a_user_are_listed_the_newest_first(sessions: SessionStore) -> None:
    for number, created in ((1, 1000.0), (2, 3000.0), (3, 2000.0), (4, 2500.0)):
        await _add(sessions, replace(SESSION, id=f"ses_{number}", created_at=created))
    await _add(sessions, replace(SESSION, id="ses_5", expires_at=4000.0))
    await _add(sessions, replace(SESSION, id="ses_6", user_id="usr_2"), OTHER)
    await sessions.revoke("ses_4", at=3500.0)
    listed = await sessions.list_of("usr_1", now=4000.0)
    assert [session.id for session in listed] == ["ses_2", "ses_3", "ses_1"]
    assert listed[2] == replace(SESSION, created_at=1000.0)
    assert await sessions.list_of("usr_9", now=4000.0) == []


async def test_a_second_factor_is_noted_in_a_live_session(sessions: SessionStore) -> None:
    await _add(sessions, SESSION)
    assert await sessions.note_factor("ses_1", amr=("otp", "pwd"), mfa_at=1200.5)
    assert await sessions.find("ses_1") == replace(SESSION, amr=("otp", "pwd"), mfa_at=1200.5)
    await sessions.revoke("ses_1", at=1300.0)
    assert not await sessions.note_factor("ses_1", amr=("otp",), mfa_at=1400.0)
    assert not await sessions.note_factor("ses_9", amr=("otp",), mfa_at=1400.0)
    assert (await _found(sessions)).mfa_at == 1200.5


async def test_advancing_moves_the_counter_and_forgets_the_confirmation(sessions: SessionStore) -> None:
    await _add(sessions, replace(SESSION, confirmed=True))
    assert await sessions.advance("ses_1", seen=0, at=1100.0)
    assert await sessions.find("ses_1") == replace(
        SESSION, counter=1, rotated_at=1100.0, last_used_at=1100.0, confirmed=False
    )


async def test_advancing_may_bind_to_a_key_for_good(sessions: SessionStore) -> None:
    await _add(sessions, SESSION)
    assert await sessions.advance("ses_1", seen=0, at=1100.0, jkt="A" * 43)
    assert (await _found(sessions)).jkt == "A" * 43
    assert await sessions.advance("ses_1", seen=1, at=1200.0)
    assert (await _found(sessions)).jkt == "A" * 43


async def test_a_session_is_bound_once_and_only_while_it_is_as_it_was_seen(sessions: SessionStore) -> None:
    await _add(sessions, SESSION)
    assert not await sessions.bind("ses_1", seen=1, jkt="A" * 43, at=1100.0)
    assert not await sessions.bind("ses_9", seen=0, jkt="A" * 43, at=1100.0)
    assert await sessions.bind("ses_1", seen=0, jkt="A" * 43, at=1100.0)
    assert not await sessions.bind("ses_1", seen=0, jkt="B" * 43, at=1200.0)
    bound = replace(SESSION, jkt="A" * 43, rotated_at=1100.0, last_used_at=1100.0)
    assert await sessions.find("ses_1") == bound
    other = replace(SESSION, id="ses_2")
    await _add(sessions, other)
    await sessions.revoke("ses_2", at=1300.0)
    assert not await sessions.bind("ses_2", seen=0, jkt="A" * 43, at=1400.0)


async def test_advancing_from_another_counter_changes_nothing(sessions: SessionStore) -> None:
    await _add(sessions, SESSION)
    assert not await sessions.advance("ses_1", seen=1, at=1100.0)
    assert not await sessions.advance("ses_9", seen=0, at=1100.0)
    assert await sessions.find("ses_1") == SESSION


async def test_of_twenty_who_advance_at_once_one_is_first(sessions: SessionStore) -> None:
    await _add(sessions, SESSION)
    first = await asyncio.gather(*(sessions.advance("ses_1", seen=0, at=1100.0) for _ in range(20)))
    assert sorted(first) == [False] * 19 + [True]
    assert (await _found(sessions)).counter == 1


async def test_a_session_that_has_ended_does_not_advance(sessions: SessionStore) -> None:
    await _add(sessions, SESSION)
    await sessions.revoke("ses_1", at=1050.0)
    assert not await sessions.advance("ses_1", seen=0, at=1100.0)
    assert await sessions.find("ses_1") == replace(SESSION, revoked_at=1050.0)


async def test_touching_notes_the_use_and_never_goes_back(sessions: SessionStore) -> None:
    await _add(sessions, SESSION)
    await sessions.touch("ses_1", at=1200.0)
    await sessions.touch("ses_1", at=1100.0)
    assert await sessions.find("ses_1") == replace(SESSION, last_used_at=1200.0)


async def test_a_confirmation_counts_for_its_own_generation_alone(sessions: SessionStore) -> None:
    await _add(sessions, SESSION)
    await sessions.advance("ses_1", seen=0, at=1100.0)
    await sessions.confirm("ses_1", counter=0)
    assert not (await _found(sessions)).confirmed
    await sessions.confirm("ses_1", counter=1)
    assert (await _found(sessions)).confirmed


async def test_ending_a_session_is_announced_once(database: Database, sessions: SessionStore) -> None:
    await _add(sessions, SESSION)
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
    await _add(sessions, SESSION)
    await _add(sessions, replace(SESSION, id="ses_2"))
    await _add(sessions, replace(SESSION, id="ses_3"))
    await _add(sessions, replace(SESSION, id="ses_4", user_id="usr_2"), OTHER)
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
    await _add(sessions, SESSION)
    await _add(sessions, replace(SESSION, id="ses_2", created_at=9000.0, expires_at=20000.0))
    assert await sessions.find("ses_1") is not None
    await _add(sessions, replace(SESSION, id="ses_3", created_at=9001.0, expires_at=20000.0))
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
        await _add(sessions, replace(SESSION, id=f"ses_{number}"))
        counts.append(await left())
    assert counts == [150, 50, 0]
