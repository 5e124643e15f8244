"""How many messages were encrypted with each key, and what follows from it."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest
from structlog.testing import capture_logs
from unit.accounts.house import House

from gateway.crypto import CryptoKeys
from gateway.model import EventKind
from gateway.operations import Messages, create_crypto_key, operator_at_the_command_line
from gateway.operations.crypto_messages import COUNT_SECONDS, MANY_MESSAGES, MOST_MESSAGES
from gateway.ports import StoredCryptoKey, StoreUnavailable
from gateway.stores.sql import SqlCryptoKeyStore


class Store(SqlCryptoKeyStore):
    """Keys in the database, which is away when it is told to be."""

    away = False

    async def count(self, messages: Mapping[tuple[str, int], int]) -> None:
        if self.away:
            raise StoreUnavailable("the database is away")
        await super().count(messages)


class Room:
    """One process that encrypts."""

    def __init__(self, house: House, store: Store, ring: CryptoKeys) -> None:
        self.house, self.store, self.ring = house, store, ring
        self.messages = self.another()

    def another(self) -> Messages:
        house = self.house
        return Messages(self.ring, self.store, house.sealer, house.events, house.clock)

    def encrypt(self, times: int = 1, name: str = "reports") -> None:
        key = self.ring.find(name)
        assert key is not None
        for _ in range(times):
            key.seal_text(b"")

    async def counted(self, name: str = "reports") -> list[int]:
        key = await self.store.find(name)
        assert key is not None
        return [version.messages for version in key.versions]


@pytest.fixture
async def room(house: House) -> Room:
    store = Store(house.database)
    for name in ("reports", "notes"):
        await create_crypto_key(
            store,
            house.sealer,
            house.events,
            house.clock,
            name=name,
            operator=operator_at_the_command_line(),
        )
    house.events.kept.clear()
    return Room(house, store, await CryptoKeys.open(store, house.sealer, house.clock))


async def test_what_was_encrypted_is_told_once(room: Room) -> None:
    room.encrypt(3)
    room.encrypt(name="notes")
    for _ in range(2):
        await room.messages.tell()
        assert (await room.counted(), await room.counted("notes")) == ([3], [1])
    room.encrypt(2)
    await room.messages.tell()
    assert await room.counted() == [5]


async def test_what_could_not_be_told_is_kept(room: Room) -> None:
    room.encrypt(3)
    room.store.away = True
    with pytest.raises(StoreUnavailable):
        await room.messages.tell()
    room.encrypt(4)
    room.encrypt(name="notes")
    room.store.away = False
    await room.messages.tell()
    assert (await room.counted(), await room.counted("notes")) == ([7], [1])


async def test_a_key_that_has_encrypted_enough_gets_its_next_version_from_the_gateway(room: Room) -> None:
    await room.store.count({("reports", 1): MOST_MESSAGES - 2})
    room.encrypt()
    room.encrypt(name="notes")
    await room.messages.tell()
    await room.messages.rotate_worn()
    assert room.house.events.kept == []
    room.encrypt()
    await room.messages.tell()
    with capture_logs() as logs:
        await room.messages.rotate_worn()
    assert [(line["event"], line["key"]) for line in logs] == [("crypto_keys.rotated", "reports")]
    assert (await room.counted(), await room.counted("notes")) == ([MOST_MESSAGES, 0], [1])
    (event,) = room.house.events.kept
    assert (event.kind, event.actor) == (EventKind.CRYPTO_KEY_ROTATED, None)
    assert event.attributes == {"key": "reports", "version": 2}
    # Its time is not over again with the next message.
    room.encrypt()
    await room.messages.tell()
    await room.messages.rotate_worn()
    assert len(await room.counted()) == 2


async def test_whoever_shares_a_key_with_others_is_told_once_and_in_time(room: Room) -> None:
    await room.store.count({("reports", 1): MANY_MESSAGES - 2, ("notes", 1): 1})
    with capture_logs() as logs:
        for _ in range(4):
            room.encrypt()
            room.encrypt(name="notes")
            await room.messages.tell()
            await room.messages.rotate_worn()
    assert [(line["event"], line["key"], line["version"], line["messages"]) for line in logs] == [
        ("crypto_keys.worn", "reports", 1, MANY_MESSAGES)
    ]
    assert await room.counted() == [MANY_MESSAGES + 2]


class Slow(Store):
    """Keys of which somebody makes another version right after they were looked at."""

    async def find(self, name: str) -> StoredCryptoKey | None:
        found = await super().find(name)
        assert found is not None
        await self.rotate(name, replace(found.newest, version=found.newest.version + 1))
        return found


async def test_a_version_that_an_operator_makes_at_that_moment_stays_the_newest(room: Room) -> None:
    await room.store.count({("reports", 1): MOST_MESSAGES})
    room.store = Slow(room.house.database)
    messages = room.another()
    room.encrypt()
    await messages.tell()
    await messages.rotate_worn()
    key = await Store(room.house.database).find("reports")
    assert key is not None
    assert key.newest.version == 2


async def test_of_processes_that_find_a_key_worn_at_once_one_rotates_it(room: Room) -> None:
    await room.store.count({("reports", 1): MOST_MESSAGES})
    processes = [room.another() for _ in range(4)]
    for each in processes:
        room.encrypt()
        await each.tell()
    await asyncio.gather(*(each.rotate_worn() for each in processes))
    assert len(await room.counted()) == 2
    assert room.house.events.kinds == [EventKind.CRYPTO_KEY_ROTATED]


async def test_a_rotation_that_cannot_be_recorded_is_tried_again(room: Room) -> None:
    await room.store.count({("reports", 1): MOST_MESSAGES})
    room.encrypt()
    await room.messages.tell()
    room.house.events.away = True
    with pytest.raises(StoreUnavailable):
        await room.messages.rotate_worn()
    assert len(await room.counted()) == 1
    room.house.events.away = False
    await room.messages.rotate_worn()
    assert len(await room.counted()) == 2


async def test_the_database_is_told_every_half_a_minute_and_at_the_end(room: Room) -> None:
    slept: list[float] = []
    turns, go_on = asyncio.Queue[None](), asyncio.Queue[None]()

    async def pause(seconds: float) -> None:
        slept.append(seconds)
        turns.put_nowait(None)
        await go_on.get()

    async with asyncio.TaskGroup() as group:
        with capture_logs() as logs:
            work = group.create_task(room.messages.keep_young(pause=pause))
            await turns.get()
            room.encrypt()
            room.store.away = True
            go_on.put_nowait(None)
            await turns.get()
            room.store.away = False
            go_on.put_nowait(None)
            await turns.get()
            assert await room.counted() == [1]
            room.encrypt()
            work.cancel()
            await asyncio.wait([work])
    assert await room.counted() == [2]
    assert slept == [COUNT_SECONDS] * 3
    assert [(line["event"], line["log_level"]) for line in logs] == [("crypto_keys.not_counted", "error")]


async def test_a_database_that_is_away_does_not_hold_up_the_end(room: Room) -> None:
    room.encrypt()
    room.store.away = True
    async with asyncio.TaskGroup() as group:
        work = group.create_task(room.messages.keep_young())
        await asyncio.sleep(0)
        work.cancel()
    assert await room.counted() == [0]
