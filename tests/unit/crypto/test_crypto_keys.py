"""The encryption keys of one process: what it knows, and how it learns of what others have done."""

import asyncio
from collections.abc import Awaitable

import pytest
from structlog.testing import capture_logs
from unit.crypto.rows import START, CryptoKeyRows, StandingClock

from gateway.crypto import (
    CannotOpen,
    CryptoKeys,
    KeyUnknown,
    MasterSecret,
    Opened,
    Roots,
    Sealer,
    VersionUnknown,
)
from gateway.ports import Change, ChangeKind, StoreUnavailable

SEALER = Sealer(MasterSecret(b"s" * 32))
CHANGED = Change(1, ChangeKind.CRYPTO_KEYS, "reports", 0, START)


@pytest.fixture
def rows() -> CryptoKeyRows:
    rows = CryptoKeyRows(SEALER)
    rows.put("reports")
    return rows


async def opened(rows: CryptoKeyRows) -> CryptoKeys:
    return await CryptoKeys.open(rows, SEALER, StandingClock())


async def ahead(rows: CryptoKeyRows, name: str = "reports") -> bytes:
    """Return what a process has encrypted that knows the keys as they are stored."""
    key = (await opened(rows)).find(name)
    assert key is not None
    return key.seal_jwe(b"value")


async def diagnosis(opening: Awaitable[Opened]) -> str:
    with pytest.raises(CannotOpen, match=r"^the ciphertext cannot be opened$") as caught:
        await opening
    return caught.value.diagnosis


async def test_a_key_is_found_by_its_name_and_does_what_it_is_for(rows: CryptoKeyRows) -> None:
    rows.put("cards", 3)
    keys = await opened(rows)
    cards = keys.find("cards")
    assert cards is not None
    assert (cards.name, cards.newest, cards.min_decryption_version) == ("cards", 3, 1)
    sealed = cards.seal_text(b"value", context="c").encode()
    assert (await keys.unseal("cards", sealed, context="c")).plaintext == b"value"
    assert keys.find("absent") is None
    assert keys.find("Cards") is None
    assert repr(keys) == "CryptoKeys(['cards', 'reports'])"


async def test_keys_are_kept_apart_although_a_ciphertext_opens_under_one_of_them(rows: CryptoKeyRows) -> None:
    rows.put("cards")
    keys = await opened(rows)
    assert await diagnosis(keys.unseal("cards", await ahead(rows)))


async def test_a_store_that_is_away_stops_the_start(rows: CryptoKeyRows) -> None:
    rows.down = True
    with pytest.raises(StoreUnavailable, match="the table is gone"):
        await opened(rows)


async def test_an_old_version_that_is_damaged_is_left_out_and_logged_once(rows: CryptoKeyRows) -> None:
    old = await ahead(rows)
    rows.put("reports", 2)
    new = await ahead(rows)
    rows.damage("reports", 1)
    with capture_logs() as logs:
        keys = await opened(rows)
        keys.notice(CHANGED)
        await keys._shared.again()
    assert [(line["event"], line["key"], line["version"]) for line in logs] == [
        ("crypto_keys.damaged", "reports", 1)
    ]
    assert (await keys.unseal("reports", new)).version == 2
    assert "damaged" in await diagnosis(keys.unseal("reports", old))


async def test_a_key_whose_newest_version_is_damaged_only_decrypts(rows: CryptoKeyRows) -> None:
    old = await ahead(rows)
    rows.put("reports", 2)
    rows.damage("reports", 2)
    with capture_logs():
        keys = await opened(rows)
    assert keys.find("reports") is None
    assert (await keys.unseal("reports", old)).version == 1
    known = await keys.look_up("reports")
    assert known is not None
    assert not known.can_seal
    for seal in (known.seal_jwe, known.seal_text):
        with pytest.raises(KeyError):
            seal(b"value")
    rows.put("reports", 3)
    keys.notice(CHANGED)
    await keys._shared.again()
    assert keys.find("reports") is not None


async def test_a_version_that_is_open_stays_open_when_its_row_is_damaged(rows: CryptoKeyRows) -> None:
    keys = await opened(rows)
    sealed = await ahead(rows)
    rows.damage("reports", 1)
    with capture_logs() as logs:
        await keys._shared.again()
    assert [line["event"] for line in logs] == ["crypto_keys.damaged"]
    assert (await keys.unseal("reports", sealed)).version == 1
    assert keys.find("reports") is not None


async def test_what_another_process_has_rotated_to_is_opened_before_anybody_is_told(
    rows: CryptoKeyRows,
) -> None:
    keys = await opened(rows)
    rows.put("reports", 2)
    sealed = await ahead(rows)
    assert (await keys.unseal("reports", sealed)).version == 2
    key = keys.find("reports")
    assert key is not None
    assert key.newest == 2


async def test_a_key_that_another_process_has_made_is_known_to_whoever_asks_for_it(
    rows: CryptoKeyRows,
) -> None:
    keys = await opened(rows)
    rows.put("cards")
    assert keys.find("cards") is None
    assert (await keys.unseal("cards", await ahead(rows, "cards"))).plaintext == b"value"
    rows.put("more")
    more = await keys.look_up("more")
    assert more is not None
    assert more.name == "more"
    reads = rows.reads
    assert await keys.look_up("more") is more
    assert rows.reads == reads


async def test_whoever_meets_a_newer_version_asks_for_the_key_as_it_is_by_now(rows: CryptoKeyRows) -> None:
    keys = await opened(rows)
    rows.put("reports", 2)
    newer = await keys.look_again("reports")
    assert newer is not None
    assert newer.newest == 2
    assert await keys.look_again("absent") is None
    rows.down = True
    with pytest.raises(StoreUnavailable):
        await keys.look_again("reports")


async def test_all_who_wait_share_one_question_to_the_store(rows: CryptoKeyRows) -> None:
    keys = await opened(rows)
    rows.put("reports", 2)
    sealed = await ahead(rows)
    before = rows.reads
    done = await asyncio.gather(*(keys.unseal("reports", sealed) for _ in range(50)))
    assert [each.version for each in done] == [2] * 50
    assert rows.reads == before + 1


async def test_whoever_asks_is_not_content_with_an_answer_from_before(rows: CryptoKeyRows) -> None:
    keys = await opened(rows)
    rows.slow = asyncio.Event()
    before = rows.reads
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(keys.look_up("absent"))
        while rows.reads == before:
            await asyncio.sleep(0)
        # The table was read, and is on its way; what comes after that is not in it.
        rows.put("reports", 2)
        other = CryptoKeyRows(SEALER)
        other.rows = rows.rows
        later = tasks.create_task(keys.unseal("reports", await ahead(other)))
        await asyncio.sleep(0)
        rows.slow.set()
    assert first.result() is None
    assert later.result().version == 2
    assert rows.reads == before + 2


async def test_what_is_wrong_otherwise_costs_no_question(rows: CryptoKeyRows) -> None:
    keys = await opened(rows)
    sealed = await ahead(rows)
    before = rows.reads
    for bad in (b"", b"gw:v1:AAAA", b"....", sealed[:-1], sealed + b"A", b"gw:v0:AAAA"):
        await diagnosis(keys.unseal("reports", bad))
    assert rows.reads == before


async def test_what_nobody_has_made_is_refused_after_the_question(rows: CryptoKeyRows) -> None:
    keys = await opened(rows)
    with pytest.raises(KeyUnknown, match="the ciphertext cannot be opened"):
        await keys.unseal("absent", await ahead(rows))
    with pytest.raises(VersionUnknown, match="the ciphertext cannot be opened"):
        await keys.unseal("reports", b"gw:v9:" + b"A" * 40)


async def test_a_store_that_is_away_is_no_reason_to_say_that_a_ciphertext_is_bad(rows: CryptoKeyRows) -> None:
    keys = await opened(rows)
    sealed = await ahead(rows)
    rows.put("reports", 2)
    newer = await ahead(rows)
    rows.down = True
    answers = await asyncio.gather(
        *(keys.unseal("reports", newer) for _ in range(3)),
        keys.unseal("reports", sealed),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [StoreUnavailable] * 3 + [Opened]
    with pytest.raises(StoreUnavailable):
        await keys.look_up("absent")
    rows.down = False
    assert (await keys.unseal("reports", newer)).version == 2


async def test_following_reads_the_keys_again_and_tries_until_it_succeeds(rows: CryptoKeyRows) -> None:
    keys = await opened(rows)
    rows.put("cards")
    rows.down = True
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        rows.down = len(pauses) < 2
        await asyncio.sleep(0)

    keys.notice(CHANGED)
    with capture_logs() as logs:
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            following = tasks.create_task(keys.follow(pause=pause))
            while keys.find("cards") is None:
                await asyncio.sleep(0.001)
            following.cancel()
    assert pauses == [1.0, 1.0]
    assert [line["event"] for line in logs] == ["crypto_keys.not_reloaded"] * 2


async def test_a_version_that_is_retired_is_refused_and_may_come_back(rows: CryptoKeyRows) -> None:
    sealed = await ahead(rows)
    rows.put("reports", 2)
    keys = await opened(rows)
    for least in (2, 1):
        rows.put("reports", 2, least=least)
        await keys._shared.again()
        if least == 2:
            assert await diagnosis(keys.unseal("reports", sealed)) == "version 1 of this key is retired"
        else:
            assert (await keys.unseal("reports", sealed)).version == 1


async def test_what_was_encrypted_is_counted_until_somebody_asks(rows: CryptoKeyRows) -> None:
    keys = await opened(rows)
    before = keys.find("reports")
    assert before is not None
    before.seal_jwe(b"")
    rows.put("reports", 2)
    await keys._shared.again()
    after = keys.find("reports")
    assert after is not None
    after.seal_jwe(b"")
    after.seal_text(b"")
    # A response that began before the rotation ends with the key that it began with.
    before.seal_jwe(b"")
    assert keys.take_counts() == {("reports", 1): 2, ("reports", 2): 2}
    assert keys.take_counts() == {}
    after.seal_text(b"")
    assert keys.take_counts() == {("reports", 2): 1}


async def test_a_version_that_was_sealed_under_a_master_secret_to_come_is_waited_for() -> None:
    present = Roots.new()
    following = present.with_next()
    rows = CryptoKeyRows(Sealer(following))
    rows.put("reports")

    async def learn() -> None:
        present.learn(following)

    present.refresh_with(learn)
    keys = await CryptoKeys.open(rows, Sealer(present), StandingClock())
    assert keys.find("reports") is not None
