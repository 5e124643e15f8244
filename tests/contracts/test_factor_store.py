"""What every store of second factors does."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from databases import DATABASES, open_database
from sqlalchemy import insert, update

from gateway.ports import AuditUnavailable, FactorStore, Totp, User
from gateway.stores.sql import Database, SqlFactorStore, SqlUserStore, tables

KEY = Totp(user_id="usr_1", sealed=b"\x00sealed\xff", created_at=1000.5, confirmed_at=None, last_step=0)
CODES = [b"a" * 32, b"b" * 32]


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
                    epoch=0,
                    created_at=0.0,
                    verified_at=None,
                )
            )
        yield opened


@pytest.fixture
def factors(database: Database) -> FactorStore:
    return SqlFactorStore(database)


async def _enrolled(factors: FactorStore, *, user_id: str = "usr_1", step: int = 10) -> None:
    totp = replace(KEY, user_id=user_id)
    assert await factors.begin(totp)
    assert await factors.confirm(totp, step=step, code_hashes=CODES, at=1001.0)


async def _fail() -> None:
    raise AuditUnavailable("away")


async def test_a_key_comes_back_as_it_was_stored(factors: FactorStore) -> None:
    assert await factors.find("usr_1") is None
    assert await factors.begin(KEY)
    assert await factors.find("usr_1") == KEY
    assert await factors.find("usr_2") is None


async def test_a_key_that_waits_is_replaced_and_one_that_counts_is_not(factors: FactorStore) -> None:
    other = replace(KEY, sealed=b"other", created_at=1002.0)
    assert await factors.begin(KEY)
    assert await factors.begin(other)
    assert await factors.find("usr_1") == other
    assert await factors.confirm(other, step=10, code_hashes=CODES, at=1003.0)
    assert not await factors.begin(KEY)
    assert await factors.find("usr_1") == replace(other, confirmed_at=1003.0, last_step=10)


async def test_of_keys_that_begin_together_one_is_stored(factors: FactorStore) -> None:
    keys = [replace(KEY, sealed=bytes([number])) for number in range(6)]
    assert all(await asyncio.gather(*(factors.begin(key) for key in keys)))
    assert await factors.find("usr_1") in keys


async def test_only_the_key_whose_code_was_shown_counts(factors: FactorStore) -> None:
    assert await factors.begin(KEY)
    assert await factors.begin(replace(KEY, sealed=b"other", created_at=1000.6))
    assert not await factors.confirm(KEY, step=10, code_hashes=CODES, at=1001.0)
    assert await factors.codes_left("usr_1") == 0


async def test_a_key_is_confirmed_once(factors: FactorStore) -> None:
    assert not await factors.confirm(KEY, step=10, code_hashes=CODES, at=1001.0)
    assert await factors.begin(KEY)
    done = await asyncio.gather(
        *(factors.confirm(KEY, step=10, code_hashes=CODES, at=1001.0) for _ in range(4))
    )
    assert sorted(done) == [False, False, False, True]
    assert await factors.codes_left("usr_1") == 2


async def test_what_cannot_be_recorded_is_not_stored(factors: FactorStore) -> None:
    assert await factors.begin(KEY)
    with pytest.raises(AuditUnavailable):
        await factors.confirm(KEY, step=10, code_hashes=CODES, at=1001.0, before_commit=_fail)
    assert await factors.find("usr_1") == KEY
    assert await factors.codes_left("usr_1") == 0
    assert await factors.confirm(KEY, step=10, code_hashes=CODES, at=1001.0)
    with pytest.raises(AuditUnavailable):
        await factors.replace_codes("usr_1", [b"c" * 32], before_commit=_fail)
    assert await factors.codes_left("usr_1") == 2
    with pytest.raises(AuditUnavailable):
        await factors.remove("usr_1", before_commit=_fail)
    assert await factors.find("usr_1") is not None


async def test_the_code_of_an_interval_is_taken_once_and_none_before_it(factors: FactorStore) -> None:
    assert await factors.begin(KEY)
    assert not await factors.use_step("usr_1", 11), "a key that is not confirmed opens nothing"
    assert await factors.confirm(KEY, step=10, code_hashes=CODES, at=1001.0)
    assert not await factors.use_step("usr_1", 10)
    taken = await asyncio.gather(*(factors.use_step("usr_1", 12) for _ in range(5)))
    assert sorted(taken) == [False] * 4 + [True]
    assert not await factors.use_step("usr_1", 11)
    assert not await factors.use_step("usr_2", 12)


async def test_a_recovery_code_is_taken_once_and_by_its_owner(factors: FactorStore) -> None:
    await _enrolled(factors)
    await _enrolled(factors, user_id="usr_2")
    assert not await factors.use_code("usr_1", b"c" * 32, at=1002.0)
    taken = await asyncio.gather(*(factors.use_code("usr_1", CODES[0], at=1002.0) for _ in range(5)))
    assert sorted(taken) == [False] * 4 + [True]
    assert await factors.codes_left("usr_1") == 1
    assert await factors.codes_left("usr_2") == 2


async def test_new_codes_take_the_place_of_all_old_ones(factors: FactorStore) -> None:
    assert not await factors.replace_codes("usr_1", [b"c" * 32])
    assert await factors.begin(KEY)
    assert not await factors.replace_codes("usr_1", [b"c" * 32])
    assert await factors.confirm(KEY, step=10, code_hashes=CODES, at=1001.0)
    assert await factors.use_code("usr_1", CODES[0], at=1002.0)
    # The same code may come again, by the smallest of chances.
    assert await factors.replace_codes("usr_1", [CODES[0], b"c" * 32, b"d" * 32])
    assert await factors.codes_left("usr_1") == 3
    assert not await factors.use_code("usr_1", CODES[1], at=1003.0)


async def test_codes_that_are_replaced_at_the_same_moment_do_not_mix(factors: FactorStore) -> None:
    await _enrolled(factors)
    sets = [[bytes([number]) * 32, bytes([number + 100]) * 32] for number in range(5)]
    assert all(await asyncio.gather(*(factors.replace_codes("usr_1", each) for each in sets)))
    assert await factors.codes_left("usr_1") == 2


async def test_what_is_removed_is_gone_with_its_codes(factors: FactorStore) -> None:
    assert not await factors.remove("usr_1")
    await _enrolled(factors)
    assert await factors.remove("usr_1")
    assert not await factors.remove("usr_1")
    assert await factors.find("usr_1") is None
    assert not await factors.use_code("usr_1", CODES[0], at=1002.0)
    await _enrolled(factors, step=3)


async def test_an_account_takes_its_second_factor_with_it(factors: FactorStore, database: Database) -> None:
    await _enrolled(factors)
    assert await SqlUserStore(database).delete("usr_1", at=1002.0)
    assert await factors.find("usr_1") is None
    assert await factors.codes_left("usr_1") == 0


async def test_an_account_that_goes_while_its_factor_changes_waits_for_that(
    factors: FactorStore, database: Database
) -> None:
    await _enrolled(factors)
    async with database.write() as connection:
        await connection.execute(update(tables.factors).values(last_step=20))
        gone = asyncio.create_task(SqlUserStore(database).delete("usr_1", at=1002.0))
        done, _ = await asyncio.wait({gone}, timeout=0.3)
        assert not done
        await connection.execute(insert(tables.recovery_codes).values(user_id="usr_1", hash=b"c" * 32))
    assert await gone
    assert await factors.codes_left("usr_1") == 0
