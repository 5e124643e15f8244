"""Encrypting, decrypting and sealing anew: all values of a call or none, and each call in the trail."""

from typing import Any

import pytest
from unit.crypto.rows import CryptoKeyRows, KeptEvents, StandingClock

from gateway.accounts import AccountRefusal, Origin
from gateway.crypto import CryptoKeys, MasterSecret, Sealer
from gateway.model import EventKind, Principal, PrincipalKind, Reason
from gateway.operations import Item, decrypt_values, encrypt_values, rewrap_values
from gateway.ports import AuditUnavailable, StoreUnavailable

WALT = Principal(
    id="usr_1", kind=PrincipalKind.USER, name="walt", authn="gateway", authn_kind="gateway_jwt", session="s_1"
)
ORIGIN = Origin(request_id="r", source_ip="192.0.2.1", user_agent="curl")
SECRET = b"the sentinel of the plaintext"
OTHER = Item(data=b"no ciphertext")


class Desk:
    """A ring of keys with two keys, and what is written down."""

    def __init__(self, rows: CryptoKeyRows, keys: CryptoKeys) -> None:
        self.rows = rows
        self.keys = keys
        self.events = KeptEvents()

    async def encrypt(self, *items: Item, name: str = "reports") -> Any:
        return await encrypt_values(self.keys, self.events, name=name, items=items, actor=WALT, origin=ORIGIN)

    async def decrypt(self, *items: Item, name: str = "reports") -> Any:
        return await decrypt_values(self.keys, self.events, name=name, items=items, actor=WALT, origin=ORIGIN)

    async def rewrap(self, *items: Item, name: str = "reports") -> Any:
        return await rewrap_values(self.keys, self.events, name=name, items=items, actor=WALT, origin=ORIGIN)

    async def reopen(self) -> None:
        """Have the ring know what is stored."""
        await self.keys.look_up("nothing")

    def told(self) -> list[tuple[EventKind, Reason, dict[str, Any]]]:
        """Return what stands in the trail since the last time."""
        told = [(event.kind, event.reason, dict(event.attributes)) for event in self.events.kept]
        self.events.kept.clear()
        return told


@pytest.fixture
async def desk() -> Desk:
    sealer = Sealer(MasterSecret(b"a master secret of a test, which is long enough"))
    rows = CryptoKeyRows(sealer)
    rows.put("reports", 2)
    rows.put("other")
    return Desk(rows, await CryptoKeys.open(rows, sealer, StandingClock()))


def of(text: str, context: str = "") -> Item:
    return Item(data=text.encode(), context=context)


async def test_what_is_encrypted_is_decrypted_in_order_and_each_call_is_written_down(desk: Desk) -> None:
    sealed = await desk.encrypt(Item(data=SECRET, context="a"), Item(data=b"", context="b"))
    assert [text.partition(":v2:")[0] for text in sealed] == ["gw", "gw"]
    assert await desk.decrypt(of(sealed[0], "a"), of(sealed[1], "b")) == [SECRET, b""]
    (encrypted, decrypted) = desk.events.kept
    for event, kind in ((encrypted, EventKind.CRYPTO_ENCRYPT), (decrypted, EventKind.CRYPTO_DECRYPT)):
        assert (event.kind, event.actor, event.reason) == (kind, WALT, Reason.OK)
        assert (event.request_id, event.source_ip, event.user_agent) == ("r", "192.0.2.1", "curl")
        assert (event.session, event.personal) == ("s_1", {})
        assert event.attributes == {"key": "reports", "version": 2, "count": 2}


async def test_at_the_command_line_there_is_no_request(desk: Desk) -> None:
    await encrypt_values(desk.keys, desk.events, name="other", items=[Item(data=b"x")], actor=WALT)
    (event,) = desk.events.kept
    assert (event.request_id, event.source_ip, event.user_agent) == (None, None, None)


async def test_several_versions_of_one_call_are_told_as_texts(desk: Desk) -> None:
    (first,) = await desk.encrypt(Item(data=b"1"))
    desk.rows.put("reports", 12)
    await desk.reopen()
    (second,) = await desk.encrypt(Item(data=b"2"))
    desk.told()
    assert await desk.decrypt(of(second), of(first), of(first)) == [b"2", b"1", b"1"]
    expected = {"key": "reports", "version": ["2", "12"], "count": 3}
    assert desk.told() == [(EventKind.CRYPTO_DECRYPT, Reason.OK, expected)]


async def test_one_value_that_does_not_open_is_the_end_of_all_and_only_the_operator_learns_why(
    desk: Desk,
) -> None:
    (good,) = await desk.encrypt(Item(data=SECRET))
    (foreign,) = await desk.encrypt(Item(data=SECRET), name="other")
    desk.rows.put("reports", 2, least=2)
    old = good.replace("gw:v2:", "gw:v1:")
    refusals = set()
    for bad in (OTHER, of(foreign), of(good, "a context"), of(good[:-1]), of(old), of("gw:v9:AAAA")):
        for verb, kind in (
            (desk.decrypt, EventKind.CRYPTO_DECRYPT),
            (desk.rewrap, EventKind.CRYPTO_REWRAP),
        ):
            desk.told()
            refused = await verb(of(good), bad, of(good))
            assert isinstance(refused, AccountRefusal)
            assert refused.diagnosis
            refusals.add((refused.reason, refused.detail, refused.errors, refused.retry_after))
            failed = {"key": "reports", "count": 3}
            assert desk.told() == [(kind, Reason.DECRYPTION_FAILED, failed)]
    assert refusals == {(Reason.DECRYPTION_FAILED, None, (), None)}


async def test_rewrapped_values_keep_their_form_and_have_the_newest_version(desk: Desk) -> None:
    key = desk.keys.find("reports")
    assert key is not None
    jwe = key.seal_jwe(SECRET, content_type="text/csv").decode()
    (text,) = await desk.encrypt(Item(data=SECRET, context="c"))
    desk.rows.put("reports", 3)
    await desk.reopen()
    desk.told()
    new_jwe, new_text = await desk.rewrap(of(jwe), of(text, "c"))
    assert desk.told() == [(EventKind.CRYPTO_REWRAP, Reason.OK, {"key": "reports", "version": 3, "count": 2})]
    assert new_text.startswith("gw:v3:")
    newest = desk.keys.find("reports")
    assert newest is not None
    opened = newest.open(new_jwe.encode())
    assert (opened.plaintext, opened.version, opened.content_type) == (SECRET, 3, "text/csv")
    assert await desk.decrypt(of(new_text, "c")) == [SECRET]


async def test_a_key_that_is_not_there_is_not_found_and_nothing_is_written_down(desk: Desk) -> None:
    for verb in (desk.encrypt, desk.decrypt, desk.rewrap):
        refused = await verb(OTHER, name="nowhere")
        assert isinstance(refused, AccountRefusal)
        assert refused.reason is Reason.NOT_FOUND
    assert desk.told() == []


async def test_a_key_and_a_version_that_were_made_a_moment_ago_elsewhere_are_known(desk: Desk) -> None:
    desk.rows.put("fresh")
    (sealed,) = await desk.encrypt(Item(data=SECRET), name="fresh")
    elsewhere = await CryptoKeys.open(desk.rows, desk.rows.sealer, StandingClock())
    desk.rows.put("fresh", 2)
    await elsewhere.look_up("nothing")
    newer = elsewhere.find("fresh")
    assert newer is not None
    texts = [newer.seal_text(b"%d" % number) for number in range(50)]
    reads = desk.rows.reads
    opened = await desk.decrypt(of(sealed), *map(of, texts), name="fresh")
    assert opened == [SECRET, *(b"%d" % number for number in range(50))]
    assert desk.rows.reads == reads + 1


async def test_versions_that_nobody_knows_ask_the_store_once_a_call(desk: Desk) -> None:
    reads = desk.rows.reads
    refused = await desk.decrypt(*[of(f"gw:v{number}:{'A' * 60}") for number in range(100, 1100)])
    assert refused.reason is Reason.DECRYPTION_FAILED
    assert desk.rows.reads == reads + 1


async def test_a_store_that_is_away_is_needed_for_what_is_unknown_only(desk: Desk) -> None:
    (sealed,) = await desk.encrypt(Item(data=SECRET))
    desk.rows.down = True
    assert await desk.decrypt(of(sealed)) == [SECRET]
    with pytest.raises(StoreUnavailable):
        await desk.decrypt(of("gw:v9:" + "A" * 60))
    with pytest.raises(StoreUnavailable):
        await desk.encrypt(Item(data=SECRET), name="nowhere")


async def test_what_cannot_be_written_down_is_not_handed_over(desk: Desk) -> None:
    (sealed,) = await desk.encrypt(Item(data=SECRET))
    desk.events.away = True
    for verb in (desk.encrypt, desk.decrypt, desk.rewrap):
        with pytest.raises(AuditUnavailable):
            await verb(of(sealed))
    with pytest.raises(AuditUnavailable):
        await desk.decrypt(OTHER)


async def test_a_damaged_newest_version_encrypts_nothing_and_older_ones_still_open(desk: Desk) -> None:
    (old,) = await desk.encrypt(Item(data=SECRET))
    desk.rows.put("reports", 3)
    desk.rows.damage("reports", 3)
    await desk.reopen()
    desk.told()
    for verb in (desk.encrypt, desk.rewrap):
        refused = await verb(of(old))
        assert isinstance(refused, AccountRefusal)
        assert refused.reason is Reason.DEPENDENCY_UNAVAILABLE
        assert "rotate" in refused.diagnosis
    assert desk.told() == []
    assert await desk.decrypt(of(old)) == [SECRET]


async def test_large_values_come_through_the_thread_alike(desk: Desk) -> None:
    large = bytes(range(256)) * 4096
    sealed = await desk.encrypt(Item(data=large), Item(data=b"small"))
    assert await desk.decrypt(*map(of, sealed)) == [large, b"small"]
    again = await desk.rewrap(*map(of, sealed))
    assert await desk.decrypt(*map(of, again)) == [large, b"small"]
    refused = await desk.decrypt(of(sealed[0][:-2] + "AA"))
    assert refused.reason is Reason.DECRYPTION_FAILED


def test_a_value_shows_nothing_of_itself() -> None:
    assert repr(Item(data=SECRET, context="the sentinel of the context")) == "Item()"
