import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from support.issuer import ISSUER, SECRET, Issuer, IssuerKey
from unit.crypto.rows import StandingClock

from gateway.crypto import secret_key
from gateway.identity.issuer_keys import COOLDOWN_SECONDS, IssuerKeys, SecretKey
from gateway.ports import StoreUnavailable


class World:
    """Keys that are followed, and who publishes them."""

    def __init__(self) -> None:
        self.issuer = Issuer(IssuerKey(kid="k1"))
        self.clock = StandingClock()
        self.keys = IssuerKeys(
            ISSUER, address=f"{ISSUER}/keys", algorithms=("ES256",), pages=self.issuer, clock=self.clock
        )

    @contextlib.asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """Keep the keys while the block lasts."""
        task = asyncio.create_task(self.keys.follow())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def knows(world: World, kid: str) -> bool:
    return await world.keys.find(kid, "ES256") is not None


async def test_the_first_request_waits_for_the_keys_and_the_others_do_not() -> None:
    world = World()
    asked = asyncio.create_task(knows(world, "k1"))
    await asyncio.sleep(0)
    assert not asked.done()
    async with world.followed():
        assert await asked
        assert await knows(world, "k1")
        assert world.issuer.fetched == [f"{ISSUER}/keys"]
        assert (world.keys.fetched, world.keys.failed, world.keys.changes) == (1, 0, 1)
        assert world.keys.age == 0.0


async def test_many_who_want_an_unknown_key_share_one_fetch() -> None:
    world = World()
    async with world.followed():
        assert await knows(world, "k1")
        world.issuer.keys.insert(0, IssuerKey(kid="k2"))
        assert all(await asyncio.gather(*(knows(world, "k2") for _ in range(50))))
        assert len(world.issuer.fetched) == 2
        assert world.keys.changes == 2


async def test_keys_that_nobody_publishes_cost_one_fetch_in_half_a_minute() -> None:
    world = World()
    async with world.followed():
        assert not any([await knows(world, f"made-up-{number}") for number in range(20)])
        assert len(world.issuer.fetched) == 2
        world.clock.time += COOLDOWN_SECONDS - 0.1
        assert not await knows(world, "k2")
        assert len(world.issuer.fetched) == 2
        world.clock.time += 0.2
        world.issuer.keys.insert(0, IssuerKey(kid="k2"))
        assert await knows(world, "k2")
        assert len(world.issuer.fetched) == 3


async def test_another_algorithm_or_no_name_is_no_reason_to_fetch() -> None:
    world = World()
    async with world.followed():
        assert await knows(world, "k1")
        assert await world.keys.find("k1", "RS256") is None
        assert await world.keys.find(None, "RS256") is None
        assert await world.keys.find(None, "ES256") is not None
        assert len(world.issuer.fetched) == 1


async def test_the_last_good_keys_stay_while_nothing_can_be_fetched() -> None:
    world = World()
    async with world.followed():
        assert await knows(world, "k1")
        world.issuer.away = True
        assert not await knows(world, "k2")
        assert world.keys.fault == f"{ISSUER}/keys does not answer in time"
        assert await knows(world, "k1")
        assert world.keys.changes == 1
        world.issuer.away = False
        world.issuer.bodies[f"{ISSUER}/keys"] = b'{"keys": []}'
        world.clock.time += COOLDOWN_SECONDS
        assert not await knows(world, "k2")
        assert "no key for ES256: it is empty" in (world.keys.fault or "")
        assert await knows(world, "k1")


async def test_without_any_keys_nobody_can_say() -> None:
    world = World()
    world.issuer.away = True
    async with world.followed():
        with pytest.raises(
            StoreUnavailable, match=r"the keys of https://login.example.com are not known: .* in time"
        ):
            await knows(world, "k1")
        # Nobody waits, and nothing is fetched for their sake, until the next attempt.
        with pytest.raises(StoreUnavailable):
            await knows(world, "k1")
        assert len(world.issuer.fetched) == 1
        assert world.keys.age is None
        assert not world.keys.trusts("anything")


async def test_a_failed_attempt_is_repeated_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.identity.issuer_keys.FIRST_RETRY", 0.01)
    world = World()
    world.issuer.away = True
    async with world.followed():
        async with asyncio.timeout(5):
            while world.keys.failed < 3:
                await asyncio.sleep(0.005)
        world.issuer.away = False
        async with asyncio.timeout(5):
            while world.keys.fault is not None:
                await asyncio.sleep(0.005)
        assert await knows(world, "k1")


@pytest.mark.parametrize(
    ("max_age", "pause"),
    [(None, 480.0), (0.0, 48.0), (60.0, 48.0), (300.0, 240.0), (86_400.0, 69_120.0), (1e9, 69_120.0)],
)
async def test_keys_are_fetched_again_before_they_are_old(max_age: float | None, pause: float) -> None:
    world = World()
    world.issuer.max_age = max_age
    async with world.followed():
        assert await knows(world, "k1")
    assert world.keys._pause == pytest.approx(pause)


async def test_what_is_withdrawn_is_gone_after_the_next_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.identity.issuer_keys.SHORTEST_LIFE", 0.01)
    world = World()
    world.issuer.max_age = 0.0
    async with world.followed():
        found = await world.keys.find("k1", "ES256")
        assert found is not None
        assert world.keys.trusts(found.thumbprint)
        world.issuer.keys[:] = [IssuerKey(kid="k2")]
        async with asyncio.timeout(5):
            while not await knows(world, "k2"):
                await asyncio.sleep(0.005)
        assert world.keys.changes == 2
        assert not world.keys.trusts(found.thumbprint)


async def test_the_same_keys_again_are_no_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.identity.issuer_keys.SHORTEST_LIFE", 0.01)
    world = World()
    world.issuer.max_age = 0.0
    async with world.followed():
        async with asyncio.timeout(5):
            while world.keys.fetched < 3:
                await asyncio.sleep(0.005)
    assert world.keys.changes == 1


async def test_a_request_that_leaves_takes_nothing_from_the_others() -> None:
    world = World()
    leaving, staying = asyncio.create_task(knows(world, "k1")), asyncio.create_task(knows(world, "k1"))
    await asyncio.sleep(0)
    leaving.cancel()
    async with world.followed():
        assert await staying
    assert leaving.cancelled()


async def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.identity.issuer_keys.PATIENCE_SECONDS", 0.01)
    with pytest.raises(StoreUnavailable, match="no answer yet"):
        await knows(World(), "k1")


async def test_the_issuers_metadata_says_where_its_keys_are() -> None:
    world = World()
    world.keys = IssuerKeys(
        ISSUER, address=None, algorithms=("ES256",), pages=world.issuer, clock=world.clock
    )
    async with world.followed():
        assert await knows(world, "k1")
    assert world.issuer.fetched == [f"{ISSUER}/.well-known/openid-configuration", f"{ISSUER}/keys"]
    assert repr(world.keys) == f"IssuerKeys('{ISSUER}', KeySet(['k1']))"


async def test_a_secret_is_the_key_whatever_name_a_token_gives_it() -> None:
    keys = SecretKey(secret_key(SECRET))
    assert await keys.find(None, "HS256") is await keys.find("any", "HS256")
    assert await keys.find(None, "ES256") is None
    assert keys.trusts("")
    assert keys.changes == 0
