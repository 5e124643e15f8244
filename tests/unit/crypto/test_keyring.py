import asyncio
import json
from dataclasses import replace

import jwt
import pytest
from structlog.testing import capture_logs
from unit.crypto.rows import START, KeptEvents, KeyRows, StandingClock

from gateway.crypto import Keyring, KeyringUnusable, MasterSecret, SealBroken, Sealer, SigningKey
from gateway.model import EventKind, timestamp
from gateway.ports import (
    AuditUnavailable,
    BeforeCommit,
    Change,
    ChangeKind,
    StoredSigningKey,
    StoreUnavailable,
)

SEALER = Sealer(MasterSecret(b"s" * 32))
CHANGED = Change(1, ChangeKind.SIGNING_KEYS, "", 0, START)


async def opened(rows: KeyRows, sealer: Sealer = SEALER, clock: StandingClock | None = None) -> Keyring:
    return await Keyring.open(rows, sealer, clock or StandingClock(), KeptEvents())


def stored(
    at: float, *, signs_from: float | None = None, verifies_until: float | None = None
) -> StoredSigningKey:
    """Return a new key as a store has it."""
    key = SigningKey.generate(created_at=at).to_stored(
        SEALER, signs_from=at if signs_from is None else signs_from
    )
    return replace(key, verifies_until=verifies_until)


def published(keyring: Keyring) -> list[str]:
    return [key["kid"] for key in json.loads(keyring.jwks())["keys"]]


async def test_the_first_start_makes_a_key_and_the_next_one_finds_it() -> None:
    rows = KeyRows()
    first = await opened(rows)
    again = await opened(rows)
    assert first.active.kid == again.active.kid == rows.rows[0].kid
    assert (rows.rows[0].created_at, rows.rows[0].signs_from) == (START, START)
    assert len(rows.rows) == 1


async def test_the_first_key_is_recorded_before_it_is_stored() -> None:
    rows, events = KeyRows(), KeptEvents(away=True)
    with pytest.raises(AuditUnavailable):
        await Keyring.open(rows, SEALER, StandingClock(), events)
    assert rows.rows == []
    events.away = False
    keyring = await Keyring.open(rows, SEALER, StandingClock(), events)
    await Keyring.open(rows, SEALER, StandingClock(), events)
    (event,) = events.kept
    assert (event.kind, event.actor) == (EventKind.SIGNING_KEY_ROTATED, None)
    assert event.attributes == {"key": keyring.active.kid, "signs_from": timestamp(START)}


async def test_processes_that_start_together_sign_with_the_same_key() -> None:
    class Slow(KeyRows):
        """Lets everybody find the table empty before anybody writes."""

        def __init__(self) -> None:
            super().__init__()
            self.together = asyncio.Barrier(3)

        async def add_first(
            self, key: StoredSigningKey, *, before_commit: BeforeCommit | None = None
        ) -> bool:
            await self.together.wait()
            return await super().add_first(key, before_commit=before_commit)

    rows = Slow()
    keyrings = await asyncio.gather(*(opened(rows) for _ in range(3)))
    assert {keyring.active.kid for keyring in keyrings} == {rows.rows[0].kid}
    assert len(rows.rows) == 1


async def test_the_published_set_verifies_tokens_in_an_independent_library() -> None:
    keyring = await opened(KeyRows())
    token = keyring.active.sign({"sub": "usr_1"}, typ="at+jwt")
    published = jwt.PyJWKSet.from_json(keyring.jwks().decode())
    key = published[jwt.get_unverified_header(token)["kid"]]
    assert jwt.decode(token, key, algorithms=["ES256"]) == {"sub": "usr_1"}


async def test_the_published_set_has_public_members_only_and_is_made_once() -> None:
    keyring = await opened(KeyRows())
    (key,) = json.loads(keyring.jwks())["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "use", "alg", "kid"}
    assert keyring.jwks() is keyring.jwks()


async def test_a_key_is_published_before_it_signs_and_after() -> None:
    clock, rows = StandingClock(), KeyRows()
    old = stored(START - 100, verifies_until=START + 900)
    new = stored(START, signs_from=START + 600)
    rows.rows = [new, old]
    keyring = await opened(rows, clock=clock)
    before = keyring.verifying
    assert keyring.active.kid == old.kid
    assert published(keyring) == list(before) == [old.kid, new.kid]
    clock.time = START + 600
    keyring._turn()
    assert keyring.active.kid == new.kid
    assert published(keyring) == list(keyring.verifying) == [new.kid, old.kid]
    assert keyring.verifying is not before
    clock.time = START + 900
    keyring._turn()
    assert published(keyring) == list(keyring.verifying) == [new.kid]


async def test_of_keys_that_sign_already_the_newest_does() -> None:
    rows = KeyRows()
    # The second was to sign later, and the first was made to sign at once before that.
    at_once = stored(START, signs_from=START)
    rows.rows = [
        at_once,
        stored(START - 60, signs_from=START + 840, verifies_until=START + 9000),
        stored(START - 90),
    ]
    clock = StandingClock()
    keyring = await opened(rows, clock=clock)
    for time in (START, START + 840, START + 8000):
        clock.time = time
        keyring._turn()
        assert keyring.active.kid == at_once.kid


async def test_a_process_whose_clock_is_behind_signs_with_the_only_key_there_is() -> None:
    rows = KeyRows()
    rows.rows = [stored(START + 2)]
    assert (await opened(rows)).active.kid == rows.rows[0].kid


async def test_what_is_in_use_is_replaced_only_when_it_changes() -> None:
    clock, rows = StandingClock(), KeyRows()
    keyring = await opened(rows, clock=clock)
    told: list[str] = []
    keyring.subscribe(lambda: told.append(keyring.active.kid))
    before = keyring.verifying
    clock.time += 86400
    keyring._turn()
    await keyring.reload()
    assert keyring.verifying is before
    rows.rows = [stored(clock.time), *rows.rows]
    await keyring.reload()
    assert told == [rows.rows[0].kid]


async def test_a_key_that_is_gone_verifies_no_more() -> None:
    rows = KeyRows()
    keyring = await opened(rows)
    rows.rows = [stored(START + 1)]
    await keyring.reload()
    assert list(keyring.verifying) == [rows.rows[0].kid]


async def test_a_key_that_was_revoked_verifies_nothing_even_when_the_keys_cannot_be_read() -> None:
    rows = KeyRows()
    rows.rows = [stored(START), stored(START - 1)]
    keyring = await opened(rows)
    rows.down = True
    keyring.notice(Change(7, ChangeKind.SIGNING_KEYS, rows.rows[0].kid, 0, START))
    assert list(keyring.verifying) == published(keyring) == [rows.rows[1].kid]
    keyring.notice(Change(8, ChangeKind.SIGNING_KEYS, rows.rows[1].kid, 0, START))
    assert list(keyring.verifying) == []
    # Who was given an empty set would keep it.
    with pytest.raises(StoreUnavailable):
        keyring.jwks()
    # What is read was read before, perhaps: no key comes back.
    rows.down = False
    fresh = stored(START + 1)
    rows.rows.insert(0, fresh)
    await keyring.reload()
    assert list(keyring.verifying) == published(keyring) == [fresh.kid]


async def test_another_master_secret_stops_the_start() -> None:
    rows = KeyRows()
    await opened(rows)
    with pytest.raises(SealBroken, match="master secret"):
        await opened(rows, Sealer(MasterSecret(b"t" * 32)))


async def test_keys_whose_time_is_over_stop_the_start_which_says_what_to_do() -> None:
    rows = KeyRows()
    await opened(rows)
    rows.rows = [replace(rows.rows[0], verifies_until=START)]
    with pytest.raises(KeyringUnusable, match="signing-keys rotate"):
        await opened(rows)


async def test_a_damaged_retired_key_is_left_out_and_said() -> None:
    rows = KeyRows()
    await opened(rows)
    broken = replace(stored(START - 1), sealed_private=b"?")
    rows.rows.append(broken)
    with capture_logs() as logs:
        keyring = await opened(rows)
    assert broken.kid not in keyring.verifying
    assert [line["event"] for line in logs] == ["signing_keys.left_out"]


async def test_a_failed_reload_keeps_the_present_keys() -> None:
    rows = KeyRows()
    keyring = await opened(rows)
    before = keyring.verifying
    rows.down = True
    with pytest.raises(StoreUnavailable):
        await keyring.reload()
    assert keyring.verifying is before


async def test_following_reloads_after_a_change_and_tries_again_until_it_succeeds() -> None:
    rows = KeyRows()
    keyring = await opened(rows)
    new = stored(START)
    rows.rows = [new]
    rows.down = True
    pauses: list[float] = []
    done = asyncio.Event()

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            rows.down = False
            done.set()

    keyring.notice(CHANGED)
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(keyring.follow(pause=pause))
        await done.wait()
        while keyring.active.kid != new.kid:
            await asyncio.sleep(0)
        following.cancel()
    assert pauses == [1.0, 1.0]


async def test_following_changes_over_when_a_keys_time_has_come() -> None:
    clock, rows = StandingClock(), KeyRows()
    old = stored(START - 100, verifies_until=START + 900)
    new = stored(START, signs_from=START + 0.02)
    rows.rows = [new, old]
    keyring = await opened(rows, clock=clock)
    changed = asyncio.Event()

    def turned() -> None:
        changed.set()

    keyring.subscribe(turned)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        following = tasks.create_task(keyring.follow())
        clock.time += 0.02
        await changed.wait()
        following.cancel()
    assert keyring.active.kid == new.kid


async def test_a_keyring_shows_no_secret() -> None:
    keyring = await opened(KeyRows())
    assert keyring.active.kid in repr(keyring)
    assert "PRIVATE" not in repr(keyring)
