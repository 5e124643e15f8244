"""Sealing anew everything that is sealed in a database."""

import asyncio
from typing import Any

import pytest
from databases import opened
from sqlalchemy import Table, insert, select, update

from gateway.crypto import MasterSecret, Roots, SealBroken, Sealer
from gateway.stores.sql import Database, SqlSealedValues
from gateway.stores.sql import sealed_values as module
from gateway.stores.sql.audit_tables import audit_subjects
from gateway.stores.sql.sealed_values import SEALED
from gateway.stores.sql.tables import (
    crypto_key_versions,
    crypto_keys,
    factors,
    mails,
    sessions,
    signing_keys,
    users,
)

PEOPLE = 7


class Newer:
    """A sealer before and after a change of the master secret."""

    def __init__(self) -> None:
        roots = Roots.of(MasterSecret(b"the first root of these tests, in full"))
        self.before = Sealer(Roots(roots.generations))
        roots.learn(roots.with_next())
        roots.turn()
        self.after = Sealer(roots)

    def renew(self, sealed: bytes, context: str) -> bytes | None:
        return self.after.renewed(sealed, context=context)


@pytest.fixture
def newer() -> Newer:
    return Newer()


@pytest.fixture
async def full(database: Database, newer: Newer, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A database with some of everything, and little that is looked at together."""
    monkeypatch.setattr(module, "_AT_ONCE", 3)
    seal = newer.before.seal
    people = [f"usr_{number}" for number in range(PEOPLE)]
    times = {"created_at": 1.0}
    rows: dict[Table, list[dict[str, Any]]] = {
        users: [{"id": one, "username": one, "username_key": one, "epoch": 0, **times} for one in people],
        signing_keys: [
            {
                "kid": kid,
                "public_pem": b"",
                "sealed_private": seal(b"pem", context=f"signing-key:{kid}"),
                **times,
            }
            for kid in ("one", "two")
        ],
        crypto_keys: [{"name": name, "min_decryption_version": 1, **times} for name in ("cards", "reports")],
        crypto_key_versions: [
            {
                "key_name": name,
                "version": version,
                "sealed": seal(b"key", context=f"crypto-key:{name}:{version}"),
                **times,
            }
            for name in ("cards", "reports")
            for version in range(1, 12)
        ],
        factors: [
            {"user_id": one, "sealed": seal(one.encode(), context=f"totp:{one}"), "last_step": 0, **times}
            for one in people
        ],
        sessions: [
            {
                "id": f"ses_{one}",
                "user_id": one,
                "key": seal(one.encode(), context=f"session:ses_{one}"),
                "counter": 0,
                "rotated_at": 1.0,
                "confirmed": False,
                "last_used_at": 1.0,
                "expires_at": 9.0,
                **times,
            }
            for one in people
        ],
        mails: [
            {"id": one, "sealed": seal(b"mail", context=f"mail:{one}"), "due_at": 1.0, "attempts": 0, **times}
            for one in people
        ],
        audit_subjects: [
            *({"subject": one, "sealed_key": seal(b"key", context=f"audit-subject:{one}")} for one in people),
            {"subject": "usr_erased", "sealed_key": None},
        ],
    }
    async with database.write() as connection:
        for table, values in rows.items():
            await connection.execute(insert(table), values)
    return database


async def generations(database: Database) -> set[int]:
    found: set[int] = set()
    async with database.read() as connection:
        for sealed in SEALED:
            values = await connection.scalars(select(sealed.column).where(sealed.column.is_not(None)))
            found |= {value[0] for value in values}
    return found


WHOLE = 2 + 22 + 4 * PEOPLE


async def test_everything_is_sealed_anew_and_opens_as_before(full: Database, newer: Newer) -> None:
    values = SqlSealedValues(full)
    seen: list[int] = []
    done = await values.renew(newer.renew, seen=seen.append)
    assert (done.values, done.renewed, done.damaged) == (WHOLE, WHOLE, ())
    assert sum(seen) == WHOLE
    assert await values.count() == WHOLE + 1
    assert await generations(full) == {2}
    async with full.read() as connection:
        for row in await connection.execute(select(sessions)):
            assert newer.after.open(row.key, context=f"session:{row.id}") == row.user_id.encode()
        for version in await connection.execute(select(crypto_key_versions)):
            context = f"crypto-key:{version.key_name}:{version.version}"
            assert newer.after.open(version.sealed, context=context) == b"key"
        erased = audit_subjects.c.subject == "usr_erased"
        assert await connection.scalar(select(audit_subjects.c.sealed_key).where(erased)) is None
    again = await values.renew(newer.renew)
    assert (again.values, again.renewed) == (WHOLE, 0)


async def test_what_nothing_opens_is_told_and_stays(full: Database, newer: Newer) -> None:
    async with full.write() as connection:
        await connection.execute(
            update(factors).where(factors.c.user_id == "usr_3").values(sealed=b"\x01" + bytes(60))
        )
    done = await SqlSealedValues(full).renew(newer.renew)
    assert (done.renewed, done.damaged) == (WHOLE - 1, ("totp:usr_3",))
    async with full.read() as connection:
        kept = await connection.scalar(select(factors.c.sealed).where(factors.c.user_id == "usr_3"))
    assert kept == b"\x01" + bytes(60)


async def test_what_was_changed_meanwhile_is_not_written_over(full: Database, newer: Newer) -> None:
    fresh = newer.after.seal(b"another", context="mail:usr_2")

    async def change() -> None:
        async with full.write() as connection:
            await connection.execute(update(mails).where(mails.c.id == "usr_2").values(sealed=fresh))

    changed: list[asyncio.Task[None]] = []

    class Slow(SqlSealedValues):
        """Lets somebody else in between reading and writing."""

        async def _store(self, sealed: module.SealedColumn, rows: object) -> None:
            if sealed.table is mails and not changed:
                changed.append(asyncio.create_task(change()))
                await changed[0]
            await super()._store(sealed, rows)  # type: ignore[arg-type] # passed on as it came

    await Slow(full).renew(newer.renew)
    async with full.read() as connection:
        kept = await connection.scalar(select(mails.c.sealed).where(mails.c.id == "usr_2"))
    assert kept == fresh
    assert await generations(full) == {2}


async def test_what_somebody_holds_is_passed_over_and_found_again(
    url: str, full: Database, newer: Newer
) -> None:
    values = SqlSealedValues(full)
    if not url.startswith("postgresql"):
        # Of all write transactions of SQLite, one runs at a time.
        assert (await values.renew(newer.renew)).renewed == WHOLE
        return
    async with opened(url) as other, other.write() as connection:
        await connection.execute(update(sessions).where(sessions.c.id == "ses_usr_1").values(counter=5))
        async with asyncio.timeout(3):
            await values.renew(newer.renew)
        assert await generations(full) == {1, 2}
    assert (await values.renew(newer.renew)).renewed == 1
    assert await generations(full) == {2}


async def test_a_value_of_another_row_opens_nowhere(full: Database, newer: Newer) -> None:
    async with full.write() as connection:
        stolen = select(sessions.c.key).where(sessions.c.id == "ses_usr_1").scalar_subquery()
        await connection.execute(update(sessions).where(sessions.c.id == "ses_usr_2").values(key=stolen))
    done = await SqlSealedValues(full).renew(newer.renew)
    assert done.damaged == ("session:ses_usr_2",)


async def test_a_sealer_that_raises_is_no_end(full: Database) -> None:
    def broken(sealed: bytes, context: str) -> bytes | None:
        raise SealBroken(context)

    done = await SqlSealedValues(full).renew(broken)
    assert len(done.damaged) == WHOLE
