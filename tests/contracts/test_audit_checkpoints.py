"""What every store of checkpoints does: each number once, in order, for ever."""

import asyncio
from contextlib import suppress
from functools import partial

import pytest
from databases import opened
from support.proofs import SIGNERS, Hands
from support.tampered import tampered

from gateway.audit import Notary
from gateway.ports import Checkpoint, Checkpoints, StoreUnavailable
from gateway.stores.sql import Database, SqlCheckpoints


@pytest.fixture
def checkpoints(database: Database) -> Checkpoints:
    return SqlCheckpoints(database)


def _checkpoint(number: int, note: str = "note") -> Checkpoint:
    text = f"{note} {number}\n\n\u2014 gateway-audit AAAA\n"
    return Checkpoint(number=number, at=f"2026-01-01T00:00:00.{number:06d}Z", note=text)


async def test_there_is_none_at_first(checkpoints: Checkpoints) -> None:
    assert await checkpoints.newest() is None
    assert await checkpoints.after(0, limit=10) == []


async def test_they_come_back_as_they_were_in_the_order_of_their_numbers(checkpoints: Checkpoints) -> None:
    for number in (1, 2, 3, 10, 11):
        assert await checkpoints.add(_checkpoint(number))
    assert await checkpoints.newest() == _checkpoint(11)
    assert await checkpoints.after(0, limit=2) == [_checkpoint(1), _checkpoint(2)]
    assert await checkpoints.after(2, limit=9) == [_checkpoint(3), _checkpoint(10), _checkpoint(11)]
    assert await checkpoints.after(11, limit=9) == []


async def test_a_number_that_is_taken_is_not_given_again(checkpoints: Checkpoints) -> None:
    assert await checkpoints.add(_checkpoint(1, "first"))
    assert not await checkpoints.add(_checkpoint(1, "second"))
    assert await checkpoints.newest() == _checkpoint(1, "first")


async def test_of_two_processes_that_add_one_number_one_is_told_so(database: Database, url: str) -> None:
    async with opened(url) as other:
        added = await asyncio.gather(
            *(
                SqlCheckpoints(one).add(_checkpoint(number, name))
                for number in range(1, 11)
                for one, name in ((database, "first"), (other, "second"))
            )
        )
    assert sum(added) == 10
    assert len(await SqlCheckpoints(database).after(0, limit=99)) == 10


@pytest.mark.parametrize(
    "row",
    [
        "'text', 'at', 'note'",
        "x'00', 'at', 'note'",
        "1.5, 'at', 'note'",
        "-1, 'at', 'note'",
        "7, x'00', 'note'",
        "7, 'at', x'ff'",
        "7, '0001-01-01T00:00:00+23:59', 'note'",
        "7, '0001-01-01T00:00:00', 'note'",
        "7, '9999-12-31T23:59:59.999999-23:59', 'note'",
        "9223372036854775807, 'at', 'note'",
        "9223372036854775806, 'at', 'note'",
    ],
)
async def test_what_no_gateway_has_written_is_a_fault_of_the_store_and_nothing_worse(
    checkpoints: Checkpoints, database: Database, row: str
) -> None:
    try:
        await tampered(database, f"INSERT INTO audit_checkpoints VALUES ({row})")
    except StoreUnavailable:
        # The database keeps only what the column is for.
        return
    notary = Notary(checkpoints, SIGNERS, Hands())
    for doing in (notary.look, notary.sign, notary.sign, partial(checkpoints.after, 0, limit=10)):
        with suppress(StoreUnavailable):
            await doing()


async def test_a_number_behind_which_there_is_none_is_told(
    checkpoints: Checkpoints, database: Database
) -> None:
    await tampered(database, "INSERT INTO audit_checkpoints VALUES (9223372036854775807, 'at', 'note')")
    with pytest.raises(StoreUnavailable, match="holds what the gateway never wrote"):
        await Notary(checkpoints, SIGNERS, Hands()).sign()
