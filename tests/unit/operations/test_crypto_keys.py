"""What operators do with the keys that encrypt."""

import asyncio

import pytest
from unit.accounts.house import House

from gateway.accounts import AccountRefusal
from gateway.crypto import CannotOpen, CryptoKey, CryptoKeys
from gateway.model import Event, EventKind, Reason
from gateway.operations import (
    create_crypto_key,
    find_crypto_key,
    list_crypto_keys,
    operator_at_the_command_line,
    retire_crypto_key,
    rotate_crypto_key,
)
from gateway.ports import AuditUnavailable, StoredCryptoKey, StoredKeyVersion
from gateway.stores.sql import SqlCryptoKeyStore

OPERATOR = operator_at_the_command_line()
MATERIAL = bytes(range(32))


class Room:
    """The encryption keys of a house."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.store = SqlCryptoKeyStore(house.database)

    async def create(
        self, name: str = "reports", material: bytes | None = None
    ) -> StoredCryptoKey | AccountRefusal:
        house = self.house
        return await create_crypto_key(
            self.store,
            house.sealer,
            house.events,
            house.clock,
            name=name,
            material=material,
            operator=OPERATOR,
        )

    async def rotate(
        self, name: str = "reports", material: bytes | None = None
    ) -> StoredCryptoKey | AccountRefusal:
        house = self.house
        return await rotate_crypto_key(
            self.store,
            house.sealer,
            house.events,
            house.clock,
            name=name,
            material=material,
            operator=OPERATOR,
        )

    async def retire(
        self, least: int | None = None, name: str = "reports"
    ) -> StoredCryptoKey | AccountRefusal:
        house = self.house
        return await retire_crypto_key(
            self.store, house.events, house.clock, name=name, min_decryption_version=least, operator=OPERATOR
        )

    async def key(self, name: str = "reports") -> CryptoKey:
        """Return a key as a process has it that starts now."""
        ring = await CryptoKeys.open(self.store, self.house.sealer, self.house.clock)
        key = ring.find(name)
        assert key is not None
        return key


@pytest.fixture
def room(house: House) -> Room:
    return Room(house)


def told(event: Event) -> tuple[EventKind, dict[str, object]]:
    assert event.actor == OPERATOR
    return event.kind, dict(event.attributes)


async def test_a_key_is_made_kept_sealed_and_recorded(room: Room) -> None:
    made = await room.create()
    assert isinstance(made, StoredCryptoKey)
    assert (made.name, made.newest.version, made.min_decryption_version) == ("reports", 1, 1)
    assert made.created_at == made.newest.created_at == room.house.clock.time
    assert await list_crypto_keys(room.store) == [made]
    assert repr(made.newest.sealed) not in repr(made)
    key = await room.key()
    assert key.open(key.seal_jwe(b"secret")).plaintext == b"secret"
    assert list(map(told, room.house.events.kept)) == [
        (EventKind.CRYPTO_KEY_CREATED, {"key": "reports", "version": 1})
    ]


async def test_a_key_may_be_brought_along(room: Room) -> None:
    await room.create(material=MATERIAL)
    await room.create(name="again", material=MATERIAL)
    assert MATERIAL not in (await room.store.all())[0].newest.sealed
    await room.rotate(material=MATERIAL[::-1])
    for material, version in ((MATERIAL, 1), (MATERIAL[::-1], 2)):
        refused = await room.rotate(material=material)
        assert isinstance(refused, AccountRefusal)
        assert f"version {version} of 'reports'" in (refused.detail or "")
    for name, versions in (("reports", 2), ("again", 1)):
        found = await room.store.find(name)
        assert found is not None
        assert [
            room.house.sealer.open(each.sealed, context=f"crypto-key:{name}:{each.version}")
            for each in found.versions
        ] == [MATERIAL, MATERIAL[::-1]][:versions]


async def test_a_damaged_version_does_not_keep_a_key_from_being_replaced(room: Room) -> None:
    damaged = StoredKeyVersion(version=1, sealed=b"\x01", created_at=1.0)
    await room.store.add(
        StoredCryptoKey(name="reports", created_at=1.0, min_decryption_version=1, versions=(damaged,))
    )
    assert isinstance(await room.rotate(material=MATERIAL), StoredCryptoKey)
    key = await room.key()
    assert key.open(key.seal_jwe(b"secret")).plaintext == b"secret"


@pytest.mark.parametrize("name", ["", ".", "-x", "a b", "a/b", "a:v1", "x" * 65, "caf\u00e9", "a\n", "a%41"])
async def test_a_name_that_neither_the_policy_nor_a_path_can_hold_is_refused(room: Room, name: str) -> None:
    refused = await room.create(name)
    assert isinstance(refused, AccountRefusal)
    assert (refused.reason, refused.errors[0]["field"]) == (Reason.INVALID_REQUEST, "name")
    assert await room.store.all() == []
    assert room.house.events.kept == []


async def test_a_name_is_taken_once(room: Room) -> None:
    made = await room.create()
    refused = await room.create()
    assert isinstance(refused, AccountRefusal)
    assert refused.reason is Reason.CONFLICT
    assert "gateway crypto-keys rotate reports" in (refused.detail or "")
    assert await room.store.all() == [made]
    assert room.house.events.kinds == [EventKind.CRYPTO_KEY_CREATED]
    assert isinstance(await room.create("Reports"), StoredCryptoKey)


async def test_the_next_version_encrypts_and_those_before_it_decrypt(room: Room) -> None:
    await room.create()
    old = (await room.key()).seal_text(b"old").encode()
    room.house.clock.time += 60
    rotated = await room.rotate()
    assert isinstance(rotated, StoredCryptoKey)
    assert rotated == await room.store.find("reports")
    assert (rotated.newest.version, rotated.newest.created_at) == (2, rotated.created_at + 60)
    key = await room.key()
    assert key.seal_text(b"").startswith("gw:v2:")
    assert key.open(old).plaintext == b"old"
    assert told(room.house.events.kept[-1]) == (
        EventKind.CRYPTO_KEY_ROTATED,
        {"key": "reports", "version": 2},
    )


async def test_older_versions_are_refused_and_can_be_let_in_again(room: Room) -> None:
    await room.create()
    old = (await room.key()).seal_text(b"old").encode()
    await room.rotate()
    await room.rotate()
    for wanted, least, opens in ((None, 3, False), (1, 1, True), (2, 2, False)):
        retired = await room.retire(wanted)
        assert isinstance(retired, StoredCryptoKey)
        assert retired == await room.store.find("reports")
        assert retired.min_decryption_version == least
        assert told(room.house.events.kept[-1]) == (
            EventKind.CRYPTO_KEY_RETIRED,
            {"key": "reports", "min_decryption_version": least},
        )
        key = await room.key()
        if opens:
            assert key.open(old).plaintext == b"old"
        else:
            with pytest.raises(CannotOpen):
                key.open(old)


@pytest.mark.parametrize("least", [0, -1, 3, 10**30])
async def test_only_a_version_that_there_is_can_be_the_oldest(room: Room, least: int) -> None:
    await room.create()
    refused = await room.retire(least)
    assert isinstance(refused, AccountRefusal)
    assert "'reports' has one version" in refused.errors[0]["message"]
    await room.rotate()
    refused = await room.retire(least)
    assert isinstance(refused, AccountRefusal)
    assert refused.reason is Reason.INVALID_REQUEST
    assert "versions 1 to 2" in refused.errors[0]["message"]


async def test_retiring_what_is_retired_says_what_would_help(room: Room) -> None:
    await room.create()
    refused = await room.retire()
    assert isinstance(refused, AccountRefusal)
    assert refused.reason is Reason.CONFLICT
    assert "gateway crypto-keys rotate reports" in (refused.detail or "")
    await room.rotate()
    refused = await room.retire(1)
    assert isinstance(refused, AccountRefusal)
    assert "rotate" not in (refused.detail or "")
    assert EventKind.CRYPTO_KEY_RETIRED not in room.house.events.kinds


async def test_a_key_that_there_is_not_is_answered_with_the_nearest(room: Room) -> None:
    await room.create()
    for answer in (await room.rotate("report"), await room.retire(name="report")):
        assert isinstance(answer, AccountRefusal)
        assert (answer.reason, answer.detail) == (
            Reason.NOT_FOUND,
            "There is no encryption key 'report'; did you mean 'reports'?",
        )
    answer = await find_crypto_key(room.store, "invoices")
    assert isinstance(answer, AccountRefusal)
    assert "gateway crypto-keys list" in (answer.detail or "")


async def test_without_a_record_nothing_is_done(room: Room) -> None:
    room.house.events.away = True
    with pytest.raises(AuditUnavailable):
        await room.create()
    assert await room.store.all() == []
    room.house.events.away = False
    await room.create()
    await room.rotate()
    before = await room.store.all()
    room.house.events.away = True
    for act in (room.rotate, room.retire):
        with pytest.raises(AuditUnavailable):
            await act()
    assert await room.store.all() == before


async def test_of_rotations_at_once_one_is_done_and_the_others_say_so(room: Room) -> None:
    await room.create()
    done = await asyncio.gather(*(room.rotate() for _ in range(4)))
    refused = [each for each in done if isinstance(each, AccountRefusal)]
    found = await room.store.find("reports")
    assert found is not None
    assert len(refused) + found.newest.version - 1 == 4
    assert all("same moment" in (each.detail or "") for each in refused)
    assert room.house.events.kinds.count(EventKind.CRYPTO_KEY_ROTATED) == found.newest.version - 1
