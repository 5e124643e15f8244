"""What operators do with the keys that sign tokens, and what the gateway does by itself."""

import asyncio
from dataclasses import replace

import pytest
from structlog.testing import capture_logs
from unit.accounts.house import House

from gateway.accounts import LONGEST_ACCESS_LIFE, AccountRefusal
from gateway.crypto import Keyring
from gateway.model import EventKind, Reason, timestamp
from gateway.operations import (
    KeyState,
    ListedSigningKey,
    RevokedSigningKey,
    keep_signing_keys_young,
    list_signing_keys,
    operator_at_the_command_line,
    revoke_signing_key,
    rotate_signing_key,
    rotate_when_due,
)
from gateway.operations.signing_keys import KEPT_AFTER, LONGEST_USE, PUBLISHED_BEFORE
from gateway.ports import AuditUnavailable
from gateway.stores.sql import SqlSigningKeyStore

OPERATOR = operator_at_the_command_line()
ACTIVE, NEXT, RETIRED = KeyState.ACTIVE, KeyState.NEXT, KeyState.RETIRED


class Room:
    """The keys of a house that has one."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.store = SqlSigningKeyStore(house.database)

    async def rotate(self, *, at_once: bool = False) -> ListedSigningKey | AccountRefusal:
        house = self.house
        return await rotate_signing_key(
            self.store, house.sealer, house.events, house.clock, at_once=at_once, operator=OPERATOR
        )

    async def rotated(self, *, at_once: bool = False) -> str:
        made = await self.rotate(at_once=at_once)
        assert isinstance(made, ListedSigningKey)
        return made.kid

    async def revoke(self, kid: str) -> RevokedSigningKey | AccountRefusal:
        house = self.house
        return await revoke_signing_key(
            self.store, house.sealer, house.events, house.clock, kid=kid, operator=OPERATOR
        )

    async def states(self) -> dict[str, KeyState]:
        """Return the states of all keys, the newest first."""
        return {key.kid: key.state for key in await list_signing_keys(self.store, self.house.clock)}

    async def signs(self) -> str:
        """Return the key that the gateway signs with."""
        await self.house.keyring.reload()
        return self.house.keyring.active.kid

    async def due(self) -> bool:
        house = self.house
        return await rotate_when_due(self.store, house.sealer, house.events, house.clock)


@pytest.fixture
def room(house: House) -> Room:
    return Room(house)


async def test_the_next_key_is_published_and_signs_a_quarter_of_an_hour_later(room: Room) -> None:
    first, clock = room.house.keyring.active.kid, room.house.clock
    made = await room.rotate()
    assert isinstance(made, ListedSigningKey)
    assert (made.state, made.signs_from) == (NEXT, clock.time + PUBLISHED_BEFORE)
    assert await room.states() == {made.kid: NEXT, first: ACTIVE}
    assert await room.signs() == first
    assert list(room.house.keyring.verifying) == [first, made.kid]
    clock.time += PUBLISHED_BEFORE
    assert await room.states() == {made.kid: ACTIVE, first: RETIRED}
    assert await room.signs() == made.kid
    (event,) = room.house.events.kept
    assert (event.kind, event.actor) == (EventKind.SIGNING_KEY_ROTATED, OPERATOR)
    assert event.attributes == {"key": made.kid, "signs_from": timestamp(made.signs_from)}


async def test_a_key_verifies_for_longer_than_anything_that_it_signed_lives(room: Room) -> None:
    first, clock = room.house.keyring.active.kid, room.house.clock
    await room.rotate()
    clock.time += PUBLISHED_BEFORE + LONGEST_ACCESS_LIFE + 60
    await room.house.keyring.reload()
    assert first in room.house.keyring.verifying
    clock.time += KEPT_AFTER
    await room.house.keyring.reload()
    assert first not in room.house.keyring.verifying
    assert first not in await room.states()


async def test_a_key_can_be_made_to_sign_at_once(room: Room) -> None:
    first = room.house.keyring.active.kid
    made = await room.rotated(at_once=True)
    assert await room.signs() == made
    assert await room.states() == {made: ACTIVE, first: RETIRED}


async def test_there_is_one_next_key_at_a_time_but_for_one_that_is_to_sign_at_once(room: Room) -> None:
    first, clock = room.house.keyring.active.kid, room.house.clock
    pending = await room.rotated()
    refused = await room.rotate()
    assert isinstance(refused, AccountRefusal)
    assert refused.reason is Reason.CONFLICT
    assert "--now" in (refused.detail or "")
    at_once = await room.rotated(at_once=True)
    assert await room.states() == {at_once: ACTIVE, pending: RETIRED, first: RETIRED}
    # The one that was to be next does not come back.
    clock.time += PUBLISHED_BEFORE
    assert await room.signs() == at_once


async def test_a_rotation_that_cannot_be_recorded_is_none(room: Room) -> None:
    before = await room.states()
    room.house.events.away = True
    with pytest.raises(AuditUnavailable):
        await room.rotate()
    assert await room.states() == before


async def test_of_two_rotations_at_once_one_is_told_that_there_was_another(room: Room) -> None:
    outcomes = await asyncio.gather(room.rotate(), room.rotate())
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["AccountRefusal", "ListedSigningKey"]
    assert len(await room.states()) == 2
    assert len(room.house.events.kept) == 1


async def test_in_a_new_database_the_first_key_signs_at_once(room: Room) -> None:
    async with room.house.database.write() as connection:
        await connection.exec_driver_sql("DELETE FROM signing_keys")
    made = await room.rotated()
    assert await room.states() == {made: ACTIVE}


async def test_in_place_of_a_revoked_key_that_signs_another_signs_at_once(room: Room) -> None:
    first = room.house.keyring.active.kid
    revoked = await room.revoke(first)
    assert isinstance(revoked, RevokedSigningKey)
    assert revoked.successor is not None
    assert await room.states() == {revoked.successor: ACTIVE}
    assert await room.signs() == revoked.successor
    assert list(room.house.keyring.verifying) == [revoked.successor]
    gone, made = room.house.events.kept
    assert (gone.kind, gone.actor) == (EventKind.SIGNING_KEY_REVOKED, OPERATOR)
    assert gone.attributes == {"key": first, "successor": revoked.successor}
    assert (made.kind, made.attributes["key"]) == (EventKind.SIGNING_KEY_ROTATED, revoked.successor)


async def test_in_place_of_a_revoked_key_that_was_next_there_is_another_next(room: Room) -> None:
    first, clock = room.house.keyring.active.kid, room.house.clock
    pending = await room.rotated()
    revoked = await room.revoke(pending)
    assert isinstance(revoked, RevokedSigningKey)
    assert revoked.successor is not None
    assert await room.states() == {revoked.successor: NEXT, first: ACTIVE}
    clock.time += PUBLISHED_BEFORE
    assert await room.signs() == revoked.successor


async def test_a_key_that_signs_on_because_the_next_was_revoked_verifies_for_longer_too(room: Room) -> None:
    first, clock = room.house.keyring.active.kid, room.house.clock
    next_ = await room.rotated()
    for _ in range(3):
        clock.time += PUBLISHED_BEFORE - 1
        revoked = await room.revoke(next_)
        assert isinstance(revoked, RevokedSigningKey)
        assert revoked.successor is not None
        next_ = revoked.successor
    clock.time += PUBLISHED_BEFORE - 1
    assert await room.signs() == first
    clock.time += LONGEST_ACCESS_LIFE
    await room.house.keyring.reload()
    assert first in room.house.keyring.verifying


async def test_nothing_takes_the_place_of_a_revoked_key_that_signs_no_more(room: Room) -> None:
    first = room.house.keyring.active.kid
    at_once = await room.rotated(at_once=True)
    assert await room.revoke(first) == RevokedSigningKey(kid=first, successor=None)
    assert await room.states() == {at_once: ACTIVE}
    assert room.house.events.kept[-1].attributes == {"key": first}


async def test_revoking_the_key_that_signs_gives_the_next_one_no_way_back(room: Room) -> None:
    first = room.house.keyring.active.kid
    pending = await room.rotated()
    revoked = await room.revoke(first)
    assert isinstance(revoked, RevokedSigningKey)
    assert await room.states() == {revoked.successor: ACTIVE, pending: RETIRED}


async def test_a_key_that_there_is_not_cannot_be_revoked(room: Room) -> None:
    refused = await room.revoke("nothing")
    assert isinstance(refused, AccountRefusal)
    assert refused.reason is Reason.NOT_FOUND
    assert room.house.events.kept == []


async def test_a_key_is_gone_even_when_that_cannot_be_recorded(room: Room) -> None:
    first = room.house.keyring.active.kid
    room.house.events.away = True
    with pytest.raises(AuditUnavailable):
        await room.revoke(first)
    assert first not in await room.states()
    assert await room.signs() != first


async def test_a_clock_that_is_behind_makes_keys_in_the_right_order_all_the_same(room: Room) -> None:
    first, clock = room.house.keyring.active.kid, room.house.clock
    clock.time -= 30
    made = await room.rotated(at_once=True)
    assert list(await room.states()) == [made, first]
    assert await room.signs() == made


async def test_after_ninety_days_the_gateway_replaces_a_key_by_itself(room: Room) -> None:
    first, clock = room.house.keyring.active.kid, room.house.clock
    clock.time += LONGEST_USE - 1
    assert not await room.due()
    clock.time += 1
    made = await asyncio.gather(*(room.due() for _ in range(4)))
    assert sorted(made) == [False, False, False, True]
    assert list((await room.states()).values()) == [NEXT, ACTIVE]
    (event,) = room.house.events.kept
    assert (event.kind, event.actor) == (EventKind.SIGNING_KEY_ROTATED, None)
    clock.time += PUBLISHED_BEFORE
    assert not await room.due()
    assert await room.signs() != first


async def test_the_gateway_looks_every_hour_and_goes_on_when_that_fails(room: Room) -> None:
    house = room.house
    house.clock.time += LONGEST_USE
    house.events.away = True
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        house.events.away = False
        if len(pauses) == 3:
            raise asyncio.CancelledError

    with capture_logs() as logs, pytest.raises(asyncio.CancelledError):
        await keep_signing_keys_young(room.store, house.sealer, house.events, house.clock, pause=pause)
    assert pauses == [3600.0] * 3
    assert [line["event"] for line in logs] == ["signing_keys.not_rotated", "signing_keys.rotated"]
    assert len(await room.states()) == 2


async def test_another_process_changes_over_without_being_told(room: Room) -> None:
    house = room.house
    made = await room.rotated()
    other = await Keyring.open(room.store, house.sealer, house.clock, house.events)
    assert other.active.kid != made
    house.clock.time += PUBLISHED_BEFORE
    other._turn()
    assert other.active.kid == made


async def test_a_list_shows_no_key(room: Room) -> None:
    await room.rotate()
    shown = repr(await list_signing_keys(room.store, room.house.clock)) + repr(await room.store.all())
    assert "PRIVATE" not in shown
    assert "sealed" not in repr([replace(key, public_pem=b"") for key in await room.store.all()])
