import asyncio
import json
from dataclasses import replace

import jwt
import pytest
from structlog.testing import capture_logs
from unit.crypto.rows import START, KeyRows, StandingClock

from gateway.crypto import Keyring, KeyringUnusable, MasterSecret, SealBroken, Sealer, SigningKey
from gateway.ports import Change, ChangeKind, StoreUnavailable

SEALER = Sealer(MasterSecret(b"s" * 32))
CHANGED = Change(1, ChangeKind.SIGNING_KEYS, "", 0, START)


async def opened(rows: KeyRows, sealer: Sealer = SEALER) -> Keyring:
    return await Keyring.open(rows, sealer, StandingClock())


async def test_the_first_start_makes_a_key_and_the_next_one_finds_it() -> None:
    rows = KeyRows()
    first = await opened(rows)
    again = await opened(rows)
    assert first.active.kid == again.active.kid == rows.rows[0].kid
    assert rows.rows[0].created_at == START
    assert len(rows.rows) == 1


async def test_processes_that_start_together_sign_with_the_same_key() -> None:
    class Slow(KeyRows):
        """Lets everybody find the table empty before anybody writes."""

        def __init__(self) -> None:
            super().__init__()
            self.together = asyncio.Barrier(3)

        async def add_first(self, key: object) -> bool:
            await self.together.wait()
            return await super().add_first(key)  # type: ignore[arg-type] # the port's own type

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


async def test_retired_keys_verify_and_are_published_after_the_active_one() -> None:
    rows = KeyRows()
    keyring = await opened(rows)
    before, old = keyring.verifying, keyring.active
    new = SigningKey.generate(created_at=START + 1)
    rows.rows = [new.to_stored(SEALER), replace(rows.rows[0], state="retired")]
    await keyring.reload()
    assert keyring.active.kid == new.kid
    assert list(keyring.verifying) == [new.kid, old.kid]
    assert [key["kid"] for key in json.loads(keyring.jwks())["keys"]] == [new.kid, old.kid]
    assert keyring.verifying is not before


async def test_a_key_that_is_gone_verifies_no_more() -> None:
    rows = KeyRows()
    keyring = await opened(rows)
    rows.rows = [SigningKey.generate(created_at=START + 1).to_stored(SEALER)]
    await keyring.reload()
    assert list(keyring.verifying) == [rows.rows[0].kid]


async def test_another_master_secret_stops_the_start() -> None:
    rows = KeyRows()
    await opened(rows)
    with pytest.raises(SealBroken, match="master secret"):
        await opened(rows, Sealer(MasterSecret(b"t" * 32)))


async def test_no_active_key_stops_the_start_and_says_what_to_do() -> None:
    rows = KeyRows()
    await opened(rows)
    rows.rows = [replace(rows.rows[0], state="retired")]
    with pytest.raises(KeyringUnusable, match="signing-keys rotate"):
        await opened(rows)


async def test_a_damaged_retired_key_is_left_out_and_said() -> None:
    rows = KeyRows()
    await opened(rows)
    broken = replace(
        SigningKey.generate(created_at=START).to_stored(SEALER, state="retired"), sealed_private=b"?"
    )
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
    new = SigningKey.generate(created_at=START + 1)
    rows.rows = [new.to_stored(SEALER)]
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


async def test_a_keyring_shows_no_secret() -> None:
    keyring = await opened(KeyRows())
    assert keyring.active.kid in repr(keyring)
    assert "PRIVATE" not in repr(keyring)
