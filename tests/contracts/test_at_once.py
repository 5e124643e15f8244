"""What many do at once to one database, each with connections of its own, is done as if one came after the other."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import cycle, islice
from typing import Any
from uuid import uuid4

import pytest
from databases import execute, opened
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection
from support.shipped import NAMES_KEY, SEALER, body, run_of

from gateway.model import Term
from gateway.ports import (
    ApiKey,
    AuditQuery,
    ChangeKind,
    KeySecret,
    Run,
    Session,
    SinkAstray,
    StoredRoots,
    StoredSigningKey,
    StoreUnavailable,
    Taken,
    User,
)
from gateway.stores.sql import (
    Database,
    SqlApiKeyStore,
    SqlAuditSink,
    SqlAuditTrail,
    SqlChangeFeed,
    SqlRootKeyStore,
    SqlSessionStore,
    SqlSigningKeyStore,
    SqlUserStore,
    audit_sink,
)
from gateway.stores.sql.audit_tables import audit_chunks
from gateway.stores.sql.changes import announce

TASKS = 20
ADA = User(
    id="usr_1",
    username="Ada",
    email="ada@example.com",
    password_hash=None,
    roles=frozenset({"customer"}),
    epoch=0,
    created_at=0.0,
    verified_at=None,
)
SESSION = Session(
    id="ses_1",
    user_id="usr_1",
    key=b"key",
    counter=0,
    rotated_at=1000.0,
    confirmed=False,
    created_at=1000.0,
    last_used_at=1000.0,
    expires_at=9000.0,
)


@pytest.fixture
async def two(url: str) -> AsyncIterator[Sequence[Database]]:
    """Lend one database as two processes have it."""
    async with opened(url) as one, opened(url) as other:
        yield one, other


Act = Callable[[Database, int], Awaitable[object]]


async def _at_once(two: Sequence[Database], *acts: Act) -> list[object]:
    """Run each act many times, by turns in each of the processes; return what the calls returned or raised."""
    calls = [
        act(database, number) for act in acts for number, database in enumerate(islice(cycle(two), TASKS))
    ]
    return list(await asyncio.gather(*calls, return_exceptions=True))


async def test_one_of_many_accounts_of_a_name_is_made(two: Sequence[Database]) -> None:
    made = await _at_once(
        two, lambda database, number: SqlUserStore(database).add(replace(ADA, id=f"usr_{number}"))
    )
    assert made.count(None) == 1
    assert all(result is None or isinstance(result, Taken) for result in made)
    assert len(await SqlUserStore(two[0]).list()) == 1


async def test_accounts_that_share_a_name_with_one_and_an_address_with_another_do_not_block_each_other(
    two: Sequence[Database],
) -> None:
    names = "ab", "bc", "ca"
    made = await _at_once(
        two,
        lambda database, number: SqlUserStore(database).add(
            replace(
                ADA, id=f"usr_{number}", username=names[number % 3][0], email=names[number % 3][1] + "@x.org"
            )
        ),
    )
    assert made.count(None) == 3
    assert all(result is None or isinstance(result, Taken) for result in made)


async def test_one_of_many_keys_of_a_name_is_made_and_ends_once(two: Sequence[Database]) -> None:
    await SqlUserStore(two[0]).add(ADA)
    key = ApiKey(
        id="key",
        name="nightly",
        owner_id=ADA.id,
        owner_name=ADA.username,
        owner_roles=ADA.roles,
        owner_active=True,
        secrets=(KeySecret(hash=b"hash"),),
        scopes=None,
        created_at=1000.0,
        expires_at=None,
        revoked_at=None,
    )
    made = await _at_once(
        two, lambda database, number: SqlApiKeyStore(database).add(replace(key, id=f"key_{number}"))
    )
    assert made.count(None) == 1
    assert all(result is None or isinstance(result, Taken) for result in made)
    (kept,) = await SqlApiKeyStore(two[0]).list()
    ended = await _at_once(two, lambda database, _: SqlApiKeyStore(database).revoke(kept.id, at=1100.0))
    assert sorted(map(str, ended)) == ["False"] * (TASKS - 1) + ["True"]
    assert len(await SqlChangeFeed(two[1]).since(0)) == 1


async def test_one_of_many_first_signing_keys_is_stored(two: Sequence[Database]) -> None:
    key = StoredSigningKey(
        kid="kid", public_pem=b"p", sealed_private=b"s", created_at=1000.0, signs_from=1000.0
    )
    added = await _at_once(
        two,
        lambda database, number: SqlSigningKeyStore(database).add_first(replace(key, kid=f"kid-{number}")),
    )
    assert sorted(map(str, added)) == ["False"] * (TASKS - 1) + ["True"]
    assert len(await SqlSigningKeyStore(two[0]).all()) == 1


async def test_one_of_many_first_roots_counts(two: Sequence[Database]) -> None:
    roots = StoredRoots(check_value=b"", sealed=b"sealed", created_at=1000.0)
    added = await _at_once(
        two,
        lambda database, number: SqlRootKeyStore(database).add_first(
            replace(roots, check_value=bytes([number])), check_value_before=None
        ),
    )
    assert sorted(map(str, added)) == ["False"] * (TASKS - 1) + ["True"]
    assert len(await SqlRootKeyStore(two[1]).all()) == 1


async def test_one_of_many_advances_a_session_and_one_ends_it(two: Sequence[Database]) -> None:
    await SqlUserStore(two[0]).add(ADA)
    await SqlSessionStore(two[0]).add(SESSION, user=ADA)
    first = await _at_once(
        two, lambda database, _: SqlSessionStore(database).advance("ses_1", seen=0, at=1100.0)
    )
    assert sorted(map(str, first)) == ["False"] * (TASKS - 1) + ["True"]
    ended = await _at_once(two, lambda database, _: SqlSessionStore(database).revoke("ses_1", at=1200.0))
    assert sorted(map(str, ended)) == ["False"] * (TASKS - 1) + ["True"]
    assert len(await SqlChangeFeed(two[1]).since(0)) == 1


async def test_whatever_happens_to_the_sessions_of_a_user_nobody_waits_for_ever(
    two: Sequence[Database],
) -> None:
    await SqlUserStore(two[0]).add(ADA)
    for number in range(TASKS):
        await SqlSessionStore(two[0]).add(replace(SESSION, id=f"old_{number}", expires_at=1500.0), user=ADA)
        await SqlSessionStore(two[0]).add(replace(SESSION, id=f"ses_{number}"), user=ADA)
    results = await _at_once(
        two,
        lambda database, number: SqlSessionStore(database).add(
            replace(SESSION, id=f"new_{number}", created_at=2000.0), user=ADA
        ),
        lambda database, number: SqlSessionStore(database).revoke(f"ses_{TASKS - 1 - number}", at=2000.0),
        lambda database, _: SqlSessionStore(database).revoke_all("usr_1", at=2001.0),
        lambda database, number: SqlSessionStore(database).touch(f"old_{number}", at=2002.0),
    )
    assert [result for result in results if isinstance(result, BaseException)] == []
    user = await SqlUserStore(two[1]).find("usr_1")
    assert user is not None
    assert user.epoch == TASKS
    changes = await SqlChangeFeed(two[1]).since(0)
    ended = [change.subject for change in changes if change.kind is ChangeKind.SESSION_REVOKED]
    assert len(ended) == len(set(ended))
    assert {f"ses_{number}" for number in range(TASKS)} <= set(ended)
    epochs = [change.epoch for change in changes if change.kind is ChangeKind.USER_CHANGED]
    assert sorted(epochs) == list(range(1, TASKS + 1))


async def test_a_change_waits_for_the_one_that_has_the_number_before(two: Sequence[Database]) -> None:
    announced, commit = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        async with two[0].write() as connection:
            await announce(connection, ChangeKind.SESSION_REVOKED, "ses_1", at=1000.0)
            announced.set()
            await commit.wait()

    async def second() -> None:
        async with two[1].write() as connection:
            await announce(connection, ChangeKind.SESSION_REVOKED, "ses_2", at=1000.0)

    feed = SqlChangeFeed(two[1])
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(first())
        await announced.wait()
        later = tasks.create_task(second())
        assert (await asyncio.wait({later}, timeout=0.3))[0] == set()
        assert await feed.since(0) == []
        commit.set()
    assert [change.subject for change in await feed.since(0)] == ["ses_1", "ses_2"]


async def test_whoever_follows_the_feed_misses_nothing(two: Sequence[Database]) -> None:
    async def work(database: Database, number: int) -> None:
        for step in range(5):
            async with database.write() as connection:
                await announce(connection, ChangeKind.SESSION_REVOKED, f"ses_{number}_{step}", at=1000.0)
                if step == 3:
                    # A number that was given and is never seen.
                    await connection.rollback()

    async def follow(database: Database) -> list[str]:
        seen: list[str] = []
        seq = 0
        while len(seen) < 4 * TASKS:
            for change in await SqlChangeFeed(database).since(seq):
                assert change.seq > seq
                seen.append(change.subject)
                seq = change.seq
        return seen

    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        followers = [tasks.create_task(follow(database)) for database in two]
        assert await _at_once(two, work) == [None] * TASKS
    expected = {f"ses_{number}_{step}" for number in range(TASKS) for step in (0, 1, 2, 4)}
    assert [set(follower.result()) for follower in followers] == [expected] * 2
    assert followers[0].result() == followers[1].result()


def _run(writer: str, first: int, last: int) -> Run:
    actor = {"id": "cli_1", "kind": "client", "name": "ada"}
    whole = run_of([body(seq, actor=actor) for seq in range(1, last + 1)], writer=writer)
    return whole.part(first - 1, last)


async def _seqs(database: Database) -> list[int]:
    found = await SqlAuditTrail(database, SEALER, NAMES_KEY).find(
        AuditQuery(terms=(Term(field="actor", values=("ada",)),), limit=100_000)
    )
    async with database.read() as connection:
        chunk = audit_chunks.c
        count = select(func.sum(chunk.last_key - chunk.key + 1)).where(chunk.records != b"")
        held = await connection.scalar(count)
    assert (held or 0) == len(found)
    return sorted(record.seq for record in found)


async def test_many_who_ship_what_nobody_has_seen_yet_ship_each_record_once(two: Sequence[Database]) -> None:
    writers = [str(uuid4()) for _ in range(4)]
    results = await _at_once(
        two,
        lambda database, number: SqlAuditSink(database, SEALER, NAMES_KEY).ship(
            _run(writers[number % 4], 1, 50 + number)
        ),
    )
    assert results == [None] * TASKS
    assert len(await _seqs(two[0])) == sum(await _cursors(two[0], writers))
    assert await _cursors(two[1], writers) == [66, 67, 68, 69]


async def _cursors(database: Database, writers: Sequence[str]) -> list[int]:
    return [await SqlAuditSink(database, SEALER, NAMES_KEY).cursor(writer) for writer in writers]


async def test_shipping_and_skipping_at_once_leave_no_cursor_behind(two: Sequence[Database]) -> None:
    writer = str(uuid4())
    results = await _at_once(
        two,
        lambda database, number: SqlAuditSink(database, SEALER, NAMES_KEY).skip(
            _run(writer, number + 1, number + 1)
        ),
        lambda database, number: SqlAuditSink(database, SEALER, NAMES_KEY).ship(
            _run(writer, number + 1, number + 1)
        ),
    )
    # Who comes with a number behind the cursor is told that nothing of it was stored.
    assert all(result is None or isinstance(result, SinkAstray) for result in results)
    assert await SqlAuditSink(two[0], SEALER, NAMES_KEY).cursor(writer) == TASKS
    seqs = await _seqs(two[0])
    assert len(seqs) == len(set(seqs))


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_a_connection_that_is_cut_before_the_commit_stores_nothing(
    url: str, two: Sequence[Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    move = audit_sink._move

    async def move_and_cut(connection: AsyncConnection, *more: Any) -> None:
        await move(connection, *more)
        pid = await connection.scalar(text("SELECT pg_backend_pid()"))
        await execute(url, f"SELECT pg_terminate_backend({pid})")

    writer, sink = str(uuid4()), SqlAuditSink(two[0], SEALER, NAMES_KEY)
    await sink.ship(_run(writer, 1, 5))
    monkeypatch.setattr(audit_sink, "_move", move_and_cut)
    with pytest.raises(StoreUnavailable):
        await sink.ship(_run(writer, 6, 12))
    monkeypatch.undo()
    assert await sink.cursor(writer) == 5
    assert await _seqs(two[1]) == [1, 2, 3, 4, 5]
    await sink.ship(_run(writer, 6, 12))
    assert await _seqs(two[1]) == list(range(1, 13))


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_two_shippers_whose_connections_are_cut_all_the_time_ship_each_record_once(
    url: str, two: Sequence[Database]
) -> None:
    writer, last = str(uuid4()), 500

    async def ship(database: Database, size: int) -> None:
        sink, acked = SqlAuditSink(database, SEALER, NAMES_KEY), 0
        while acked < last:
            try:
                acked = await sink.cursor(writer)
                await sink.ship(_run(writer, acked + 1, min(acked + size, last + 1)))
            except StoreUnavailable:
                await asyncio.sleep(0)

    async def cut() -> None:
        while True:
            await execute(
                url,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            await asyncio.sleep(0.05)

    cutting = asyncio.ensure_future(cut())
    async with asyncio.timeout(30):
        await asyncio.gather(ship(two[0], 37), ship(two[1], 23))
    cutting.cancel()
    await asyncio.gather(cutting, return_exceptions=True)
    assert await _seqs(two[0]) == list(range(1, last + 2))
