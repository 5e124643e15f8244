"""Whatever text a client sends or makes up, a store keeps it, looks for it, and does not fail."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from databases import DATABASES, open_database
from support.shipped import NAMES_KEY, SEALER, of_person, run_of

from gateway.model import Term
from gateway.ports import ApiKey, AuditQuery, KeySecret, Session, Taken, User
from gateway.stores.sql import (
    Database,
    SqlApiKeyStore,
    SqlAuditSink,
    SqlAuditTrail,
    SqlChangeFeed,
    SqlSessionStore,
    SqlUserStore,
)

TEXTS = [
    pytest.param(text, id=name)
    for name, text in {
        "nul": "a\0b",
        "surrogate": "\ud800",
        "octet": "caf\udce9",
        "escape": "\ufdd00000",
        "quotes": "'\"\\;--",
        "pattern": "%_$1:name?",
        "beyond": "\U0010ffff\uffff\u202e",
        "long": "ü" * 100_000,
        "long and odd": "\0\ufdd0" * 3000,
        "empty": "",
    }.items()
]
hostile = pytest.mark.parametrize("text", TEXTS)

ADA = User(
    id="usr_1",
    username="ada",
    email=None,
    password_hash=None,
    roles=frozenset(),
    epoch=0,
    created_at=0.0,
    verified_at=None,
)


@pytest.fixture(params=DATABASES)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(request.param, tmp_path) as opened:
        await SqlUserStore(opened).add(ADA)
        yield opened


@hostile
async def test_nobody_has_a_name_or_an_id_like_this(database: Database, text: str) -> None:
    users, keys, sessions = SqlUserStore(database), SqlApiKeyStore(database), SqlSessionStore(database)
    assert await users.find(text) is None
    assert await users.find_by_login(text) is None
    assert await users.find_by_login(f"{text}@example.com") is None
    await users.update_password_hash(text, text, instead_of=text)
    assert await keys.find(text) is None
    assert not await keys.revoke(text, at=1.0)
    assert await sessions.find(text) is None
    assert not await sessions.advance(text, seen=0, at=1.0)
    assert not await sessions.revoke(text, at=1.0)
    assert await sessions.revoke_all(text, at=1.0) == []
    assert await SqlChangeFeed(database).since(0) == []


@hostile
async def test_a_session_keeps_what_its_client_calls_itself(database: Database, text: str) -> None:
    session = Session(
        id="ses_1",
        user_id="usr_1",
        key=b"key",
        counter=0,
        rotated_at=1.0,
        confirmed=False,
        created_at=1.0,
        last_used_at=1.0,
        expires_at=2.0,
        source_ip=text,
        user_agent=text,
    )
    sessions = SqlSessionStore(database)
    assert await sessions.add(session, user=ADA)
    assert await sessions.find("ses_1") == session


@hostile
async def test_names_are_kept_as_they_are_and_compared_exactly(database: Database, text: str) -> None:
    text = text[:64]
    users, keys = SqlUserStore(database), SqlApiKeyStore(database)
    odd = replace(ADA, id="usr_2", username=text, roles=frozenset({text}), password_hash=text)
    await users.add(odd)
    assert await users.find("usr_2") == odd
    with pytest.raises(Taken):
        await users.add(replace(odd, id="usr_3"))
    key = ApiKey(
        id="key_1",
        name=text,
        owner_id="usr_2",
        owner_name=text,
        owner_roles=odd.roles,
        owner_active=True,
        secrets=(KeySecret(hash=b"hash"),),
        scopes=None,
        created_at=1.0,
        expires_at=None,
        revoked_at=None,
    )
    await keys.add(key)
    assert await keys.find("key_1") == key
    with pytest.raises(Taken):
        await keys.add(replace(key, id="key_2"))


def _record(**fields: object) -> bytes:
    return orjson.dumps({"time": "2026-01-01T00:00:00.000000Z", "kind": "event", **fields})


def _query(**asked: str) -> AuditQuery:
    return AuditQuery(terms=tuple(Term(field=field, values=(value,)) for field, value in asked.items()))


@hostile
async def test_a_record_is_shipped_and_found_whoever_it_is_about(database: Database, text: str) -> None:
    # JSON holds no half of a surrogate pair; a record that says otherwise is refused.
    text = text.encode("utf-8", "replace").decode()
    ada = {"id": "usr_1", "name": "ada"}
    told, said = of_person(7, text, name=f"person {text}", user_agent=text)
    bodies = (
        _record(actor=ada),
        _record(actor={"id": text, "name": "by id"}),
        _record(actor={"id": "usr_2", "name": text}),
        _record(actor=ada, request_id=text),
        _record(actor=ada, route=text),
        _record(actor=ada),
        told,
    )
    whole = run_of(bodies, personal=[b"" for _ in bodies[1:]] + [said])
    sink, trail = SqlAuditSink(database, SEALER, NAMES_KEY), SqlAuditTrail(database, SEALER, NAMES_KEY)
    for first, last in ((0, 3), (3, 5), (5, 6), (6, 7)):
        await sink.ship(whole.part(first, last))
    assert await sink.cursor(whole.writer) == len(bodies)

    async def seqs(**asked: str) -> list[int]:
        return sorted(record.seq for record in await trail.find(_query(**asked)))

    assert await seqs() == [1, 2, 3, 4, 5, 6, 7]
    # Whoever has a name now, or has had it.
    assert await seqs(actor=text) == [2, 3, 7]
    assert await seqs(actor="by id") == [2, 7]
    assert await seqs(actor=f"person {text}") == [2, 7]
    assert await seqs(request_id=text) == [4]
    assert await seqs(route=text) == [5]
    assert await seqs(user_agent=text) == [7]
    assert await seqs(actor="ada") == [1, 4, 5, 6]


@hostile
async def test_nothing_is_found_by_what_no_record_says(database: Database, text: str) -> None:
    sink, trail = SqlAuditSink(database, SEALER, NAMES_KEY), SqlAuditTrail(database, SEALER, NAMES_KEY)
    await sink.ship(run_of([_record(actor={"id": "usr_1", "name": "ada"})]))
    for field in ("actor", "route", "request_id", "decision", "kind"):
        assert await trail.find(_query(**{field: text})) == []
    await trail.find(AuditQuery(since=text, until=text))
    assert await trail.after({text: 1}, limit=1) != []
    assert await sink.cursor(text) == 0


async def test_two_long_ids_that_begin_alike_are_told_apart(database: Database) -> None:
    sink, trail = SqlAuditSink(database, SEALER, NAMES_KEY), SqlAuditTrail(database, SEALER, NAMES_KEY)
    ids = ["https://login.example.com|" + "x" * 500 + end for end in "ab"]
    await sink.ship(run_of([_record(actor={"id": id_, "name": f"name {id_}"}) for id_ in ids]))
    for number, id_ in enumerate(ids):
        for actor in (id_, f"name {id_}"):
            found = await trail.find(_query(actor=actor))
            assert [record.seq for record in found] == [number + 1]
