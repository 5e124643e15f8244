"""What operators do with blocked addresses."""

import pytest
from unit.accounts.conftest import TRUSTED
from unit.accounts.house import House

from gateway.accounts import AccountRefusal
from gateway.model import EventKind, Reason
from gateway.operations import add_block, list_blocks, operator_at_the_command_line, remove_block
from gateway.ports import AuditUnavailable, Block

OPERATOR = operator_at_the_command_line()


async def add(
    house: House, address: str, *, seconds: float | None = None, reason: str = "scans"
) -> Block | AccountRefusal:
    return await add_block(
        house.blocks,
        house.events,
        house.clock,
        address=address,
        seconds=seconds,
        reason=reason,
        operator=OPERATOR,
        spares=house.blocked.spares,
    )


async def remove(house: House, address: str) -> Block | AccountRefusal:
    return await remove_block(house.blocks, house.events, house.clock, address=address, operator=OPERATOR)


def reason(answer: object) -> Reason | None:
    return answer.reason if isinstance(answer, AccountRefusal) else None


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7/32", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:DB8:0:0:ffff::", "2001:db8::/64"),
        ("2001:db8::/64", "2001:db8::/64"),
        ("64:ff9b::203.0.113.7", "203.0.113.7"),
    ],
)
async def test_an_address_is_shut_out_and_let_in_again_by_any_of_its_names(
    house: House, address: str, network: str
) -> None:
    block = await add(house, address)
    assert isinstance(block, Block)
    assert (block.network, block.until, block.created_by) == (network, None, OPERATOR.id)
    assert await list_blocks(house.blocks, house.clock) == [block]
    assert await remove(house, address) == block
    assert await list_blocks(house.blocks, house.clock) == []
    added, removed = house.events.kept
    assert (added.kind, added.actor, added.personal) == (
        EventKind.BLOCK_ADDED,
        OPERATOR,
        {"network": network},
    )
    assert (removed.kind, removed.actor, removed.personal) == (
        EventKind.BLOCK_REMOVED,
        OPERATOR,
        {"network": network},
    )


async def test_a_block_may_have_an_end(house: House) -> None:
    block = await add(house, "203.0.113.7", seconds=90)
    assert isinstance(block, Block)
    assert block.until == house.clock.now() + 90
    assert house.events.kept[-1].attributes == {"reason": "scans", "seconds": 90}
    house.clock.time += 90
    assert await list_blocks(house.blocks, house.clock) == []
    assert reason(await remove(house, "203.0.113.7")) is Reason.NOT_FOUND


@pytest.mark.parametrize(
    "address", ["", "x", "203.0.113.0/24", "2001:db8::/48", "2001:db8::/128", "203.0.113.7/", "fe80::1%eth0"]
)
async def test_what_is_no_address_is_refused(house: House, address: str) -> None:
    for answer in (await add(house, address), await remove(house, address)):
        assert reason(answer) is Reason.INVALID_REQUEST
    assert house.events.kept == []


@pytest.mark.parametrize(
    ("seconds", "why"), [(0, "scans"), (-1, "scans"), (1e12, "scans"), (9, ""), (9, "\n")]
)
async def test_a_block_needs_a_time_and_a_reason_that_can_be(house: House, seconds: float, why: str) -> None:
    assert reason(await add(house, "203.0.113.7", seconds=seconds, reason=why)) is Reason.INVALID_REQUEST


async def test_a_trusted_proxy_is_not_shut_out(house: House) -> None:
    assert reason(await add(house, TRUSTED)) is Reason.CONFLICT
    assert await list_blocks(house.blocks, house.clock) == []


async def test_a_shorter_block_does_not_replace_a_longer_one(house: House) -> None:
    first = await add(house, "203.0.113.7", seconds=90)
    assert reason(await add(house, "203.0.113.7", seconds=60)) is Reason.CONFLICT
    assert await list_blocks(house.blocks, house.clock) == [first]


async def test_shutting_out_holds_though_it_cannot_be_recorded_and_letting_in_does_not(house: House) -> None:
    house.events.away = True
    with pytest.raises(AuditUnavailable):
        await add(house, "203.0.113.7")
    assert len(await list_blocks(house.blocks, house.clock)) == 1
    with pytest.raises(AuditUnavailable):
        await remove(house, "203.0.113.7")
    assert len(await list_blocks(house.blocks, house.clock)) == 1
