"""Guessing costs: attempts are counted before anything is hashed, failures shut an address out."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import bcrypt
import pytest
from support.counting import limit
from unit.accounts.conftest import TRUSTED
from unit.accounts.deeds import ORIGIN, PASSWORD, disable, register, try_to_log_in
from unit.accounts.house import RULES, House

from gateway.accounts import AccountRefusal, AccountRules, BlockRules, LoggedIn, Origin
from gateway.model import Event, EventKind, Limit, OnStoreError, Reason
from gateway.ports import Block, StoreUnavailable

MINUTE = 60 * 1_000_000
PER_ADDRESS = limit("login:0", 10, window_us=MINUTE, per=("client_ip",))
PER_NAME = limit("login:1", 5, window_us=15 * MINUTE, per=("username",))
LIMITED = replace(RULES, login_limits=(PER_ADDRESS, PER_NAME))
BLOCK = BlockRules(failures=3, within=300.0, first=900.0, factor=4, longest=86_400.0)
BLOCKING = replace(RULES, block=BLOCK)


def from_(address: str | None) -> Origin:
    return replace(ORIGIN, source_ip=address)


async def outcome(house: House, rules: AccountRules, *, origin: Origin = ORIGIN, **how: str) -> Reason:
    begun = await try_to_log_in(house, rules=rules, origin=origin, **how)
    return begun.reason if isinstance(begun, AccountRefusal) else Reason.OK


async def fail(house: House, rules: AccountRules = BLOCKING, origin: Origin = ORIGIN) -> Reason:
    return await outcome(house, rules, origin=origin, username="nobody")


async def block_of(house: House, network: str = "203.0.113.7") -> Block:
    block = await house.blocks.find(network)
    assert block is not None
    return block


async def test_a_name_may_be_tried_so_often_from_wherever_and_nobody_can_tell(house: House) -> None:
    await register(house)
    answers = [
        await try_to_log_in(house, password="wrong", rules=LIMITED, origin=from_(f"198.51.100.{number}"))
        for number in range(5)
    ]
    locked = await try_to_log_in(house, rules=LIMITED, origin=from_("198.51.100.9"))
    assert isinstance(locked, AccountRefusal)
    assert replace(locked, rule=None, diagnosis="login failed") == answers[0]
    assert answers == [answers[0]] * 5
    assert locked.rule == "login:1 policies.yaml:1"
    assert house.events.kept[-1].attributes["locked"] is True
    house.clock.time += 899
    assert await outcome(house, LIMITED) is Reason.CREDENTIALS_INVALID
    house.clock.time += 1
    assert await outcome(house, LIMITED) is Reason.OK


async def test_who_tries_a_locked_name_has_tried_all_the_same(house: House) -> None:
    for number in range(5):
        await outcome(house, LIMITED, origin=from_(f"198.51.100.{number}"))
    told = [await outcome(house, LIMITED) for _ in range(12)]
    assert told == [Reason.CREDENTIALS_INVALID] * 10 + [Reason.RATE_EXCEEDED] * 2


async def test_an_address_may_try_so_often_whatever_names(house: House) -> None:
    for number in range(10):
        assert await outcome(house, LIMITED, username=f"u{number}") is Reason.CREDENTIALS_INVALID
    refused = await try_to_log_in(house, "u10", rules=LIMITED)
    assert isinstance(refused, AccountRefusal)
    assert (refused.reason, refused.retry_after) == (Reason.RATE_EXCEEDED, 60)
    assert refused.rule == "login:0 policies.yaml:1"
    assert await outcome(house, LIMITED, username="u10", origin=from_("203.0.113.8")) is (
        Reason.CREDENTIALS_INVALID
    )


async def test_limits_say_nothing_about_which_names_exist(house: House) -> None:
    await register(house)
    gone = await register(house, "gone")
    await disable(house, gone.id)
    rules = replace(RULES, login_limits=(PER_NAME,))
    told = [
        await try_to_log_in(house, name, "wrong", rules=rules)
        for name in ("ada", "nobody", "gone", "ada@example.com", "nobody@example.com")
        for _ in range(7)
    ]
    said = {(one.reason, one.detail, one.retry_after) for one in told if isinstance(one, AccountRefusal)}
    assert len(said) == 1
    assert len(told) == 35


@pytest.mark.parametrize("name", ["ADA", "Ada", "ａｄａ", "aDa"])
async def test_another_spelling_is_the_same_name(house: House, name: str) -> None:
    await register(house)
    for _ in range(5):
        await outcome(house, LIMITED, password="wrong")
    assert await outcome(house, LIMITED, username=name) is Reason.CREDENTIALS_INVALID


async def test_any_number_of_guesses_at_the_same_time_are_no_more_than_the_limit(house: House) -> None:
    await register(house)
    rules = replace(RULES, login_limits=(PER_NAME,))
    passwords = [f"guess {number}" for number in range(5)] + [PASSWORD] * 45
    told = await asyncio.gather(*(outcome(house, rules, password=password) for password in passwords))
    assert told == [Reason.CREDENTIALS_INVALID] * 50
    locked = [event.attributes["locked"] for event in house.events.kept if "locked" in event.attributes]
    assert sorted(locked) == [False] * 5 + [True] * 45


async def test_a_locked_name_costs_what_a_wrong_password_costs(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await register(house)
    rounds: list[bytes] = []
    real = bcrypt.hashpw

    def hashpw(password: bytes, salt: bytes) -> bytes:
        rounds.append(salt.split(b"$")[2])
        return real(password, salt)

    monkeypatch.setattr(bcrypt, "hashpw", hashpw)
    for _ in range(9):
        assert await outcome(house, LIMITED, password="wrong") is Reason.CREDENTIALS_INVALID
    assert rounds == [b"04"] * 9


async def test_a_good_password_gives_the_attempt_by_name_back_and_not_the_one_by_address(
    house: House,
) -> None:
    await register(house)
    for _ in range(10):
        assert await outcome(house, LIMITED) is Reason.OK
    assert await outcome(house, LIMITED) is Reason.RATE_EXCEEDED
    assert await outcome(house, LIMITED, origin=from_("203.0.113.8")) is Reason.OK


async def test_strangers_cannot_keep_the_owner_from_a_device_that_is_known(house: House) -> None:
    await register(house)
    begun = await try_to_log_in(house, rules=LIMITED)
    assert isinstance(begun, LoggedIn)
    for number in range(8):
        await outcome(house, LIMITED, password="wrong", origin=from_(f"198.51.100.{number}"))
    elsewhere = from_("203.0.113.8")
    assert await outcome(house, LIMITED, origin=elsewhere) is Reason.CREDENTIALS_INVALID
    assert await outcome(house, LIMITED, origin=elsewhere, device=begun.device) is Reason.OK
    # And the other way: nobody but who has the device spends what it may try.
    for _ in range(5):
        told = await outcome(house, LIMITED, password="wrong", device=begun.device, origin=elsewhere)
        assert told is Reason.CREDENTIALS_INVALID
    elsewhere = from_("203.0.113.9")
    told = await outcome(house, LIMITED, device=begun.device, origin=elsewhere)
    assert told is Reason.CREDENTIALS_INVALID


async def test_a_device_is_known_for_its_owner_alone(house: House) -> None:
    await register(house)
    await register(house, "eve")
    begun = await try_to_log_in(house, "eve", rules=LIMITED)
    assert isinstance(begun, LoggedIn)
    for number in range(5):
        await outcome(house, LIMITED, password="wrong", origin=from_(f"198.51.100.{number}"))
    for device in (begun.device, begun.device.replace("usr_", "usr_0"), "v1.1.x", ""):
        assert await outcome(house, LIMITED, device=device) is Reason.CREDENTIALS_INVALID


async def test_failures_end_no_session(house: House) -> None:
    await register(house)
    begun = await try_to_log_in(house, rules=LIMITED)
    assert isinstance(begun, LoggedIn)
    for _ in range(20):
        await outcome(house, replace(LIMITED, block=BLOCK), password="wrong")
    assert EventKind.LOGOUT not in house.events.kinds
    (session,) = await house.session_store.list_of((await users(house))["Ada"], now=house.clock.now())
    assert session.revoked_at is None


async def users(house: House) -> Mapping[str, str]:
    return {user.username: user.id for user in await house.users.list()}


async def test_a_limit_that_nobody_can_count_refuses(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_charges: object) -> None:
        raise StoreUnavailable("counters are away")

    monkeypatch.setattr(house.counters, "take", away)
    closed = replace(PER_NAME, on_store_error=OnStoreError.CLOSED)
    with pytest.raises(StoreUnavailable):
        await try_to_log_in(house, rules=replace(RULES, login_limits=(closed,)))


async def is_locked(house: House, rules: AccountRules, name: str, address: str) -> bool:
    await outcome(house, rules, username=name, origin=from_(address))
    return bool(house.events.kept[-1].attributes["locked"])


@pytest.mark.parametrize("per", [("client_ip", "username"), ("username", "client_ip")])
async def test_attempts_are_counted_apart_by_all_that_a_limit_says(
    house: House, per: tuple[str, ...]
) -> None:
    rules = replace(RULES, login_limits=(limit("login:0", 1, window_us=MINUTE, per=per),))
    assert not await is_locked(house, rules, "ada", "203.0.113.7")
    assert await is_locked(house, rules, "ada", "203.0.113.7")
    assert not await is_locked(house, rules, "ada", "198.51.100.1")
    assert not await is_locked(house, rules, "nobody", "203.0.113.7")


async def test_a_limit_may_count_all_together(house: House) -> None:
    rules = replace(RULES, login_limits=(limit("login:0", 1, window_us=MINUTE, per=("all",)),))
    assert await outcome(house, rules) is Reason.CREDENTIALS_INVALID
    told = await outcome(house, rules, username="other", origin=from_("198.51.100.1"))
    assert told is Reason.RATE_EXCEEDED


async def test_too_many_failures_shut_the_address_out_and_that_is_recorded(house: House) -> None:
    for _ in range(2):
        await fail(house)
    assert house.blocked.holds("203.0.113.7") is None
    assert await fail(house) is Reason.CREDENTIALS_INVALID
    assert house.blocked.holds("203.0.113.7") == 900
    assert house.blocked.holds("203.0.113.8") is None
    block = await block_of(house)
    assert (block.until, block.times) == (house.clock.now() + 900, 1)
    assert (block.reason, block.created_by) == ("failed logins", None)
    event = house.events.kept[-1]
    assert (event.kind, event.reason, event.actor) == (
        EventKind.BLOCK_ADDED,
        Reason.ADDRESS_BLOCKED,
        None,
    )
    assert (event.source_ip, event.request_id) == ("203.0.113.7", "r-1")
    assert event.attributes == {"reason": "failed logins", "seconds": 900, "times": 1}


async def test_failures_count_for_as_long_as_the_rule_says(house: House) -> None:
    for _ in range(6):
        await fail(house)
        house.clock.time += 150
    assert house.blocked.holds("203.0.113.7") is None


async def test_what_a_limit_refuses_is_a_failure_too(house: House) -> None:
    await register(house)
    rules = replace(BLOCKING, login_limits=(limit("login:0", 1, window_us=MINUTE, per=("client_ip",)),))
    assert await outcome(house, rules) is Reason.OK
    for _ in range(3):
        assert await outcome(house, rules) is Reason.RATE_EXCEEDED
    assert house.blocked.holds("203.0.113.7") == 900


async def test_good_logins_are_no_failures(house: House) -> None:
    await register(house)
    for _ in range(10):
        assert await outcome(house, BLOCKING) is Reason.OK
    assert house.blocked.holds("203.0.113.7") is None


async def test_each_further_block_lasts_longer_but_never_longer_than_the_longest(house: House) -> None:
    lasted = []
    for _ in range(6):
        for _ in range(3):
            await fail(house)
        left = house.blocked.holds("203.0.113.7")
        assert left is not None
        lasted.append(left)
        house.clock.time += left
        assert house.blocked.holds("203.0.113.7") is None
    assert lasted == [900, 3600, 14_400, 57_600, 86_400, 86_400]
    assert (await block_of(house)).times == 6


async def test_a_day_after_a_block_the_next_one_is_the_first_again(house: House) -> None:
    times = []
    for pause in (900 + 86_399, 3600 + 86_400, 0):
        for _ in range(3):
            await fail(house)
        times.append((await block_of(house)).times)
        house.clock.time += pause
    assert times == [1, 2, 1]


async def test_after_a_block_failures_are_counted_anew(house: House) -> None:
    rules = replace(RULES, block=replace(BLOCK, first=10.0))
    for _ in range(3):
        await fail(house, rules)
    house.clock.time += 10
    for _ in range(2):
        await fail(house, rules)
    assert house.blocked.holds("203.0.113.7") is None
    await fail(house, rules)
    assert house.blocked.holds("203.0.113.7") == 40


async def test_attempts_that_were_on_their_way_do_not_prolong_a_block(house: House) -> None:
    for _ in range(3):
        await fail(house)
    before = await block_of(house)
    house.clock.time += 60
    for _ in range(10):
        await fail(house)
    assert await block_of(house) == before
    house.clock.time += 840
    for _ in range(2):
        await fail(house)
    assert house.blocked.holds("203.0.113.7") is None


async def test_failures_at_the_same_time_are_one_block(house: House) -> None:
    await asyncio.gather(*(fail(house) for _ in range(20)))
    assert (await block_of(house)).times == 1
    assert house.events.kinds.count(EventKind.BLOCK_ADDED) == 1


async def test_ipv6_is_shut_out_by_its_64(house: House) -> None:
    for number in range(3):
        await fail(house, origin=from_(f"2001:db8::{number:x}"))
    assert house.blocked.holds("2001:db8::ffff:1") == 900
    assert house.blocked.holds("2001:db8:0:1::1") is None
    assert (await block_of(house, "2001:db8::/64")).times == 1


@pytest.mark.parametrize("address", [TRUSTED, None])
async def test_a_trusted_proxy_or_a_unix_socket_is_never_shut_out(house: House, address: str | None) -> None:
    for _ in range(10):
        await fail(house, origin=from_(address))
    assert await house.blocks.present(now=house.clock.now()) == []
    assert not house.blocked.any


async def test_a_block_holds_though_it_cannot_be_recorded(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        await fail(house)
    kept = house.events.event

    async def away_for_blocks(event: Event) -> None:
        if event.kind is EventKind.BLOCK_ADDED:
            raise StoreUnavailable("away")
        await kept(event)

    monkeypatch.setattr(house.events, "event", away_for_blocks)
    with pytest.raises(StoreUnavailable):
        await fail(house)
    assert house.blocked.holds("203.0.113.7") == 900
    assert (await block_of(house)).times == 1


async def test_what_is_typed_as_a_name_is_not_kept_as_it_was_typed(house: House) -> None:
    await outcome(house, LIMITED, username="my secret password")
    assert "my secret password" not in repr(house.counters._meters)


@pytest.mark.parametrize(("longest", "times", "lasts"), [(None, 1000, 365 * 86_400), (1800.0, 2, 1800)])
def test_no_block_lasts_longer_than_the_longest(longest: float | None, times: int, lasts: float) -> None:
    rules = replace_block(longest=longest)
    assert rules.lasts(times) == lasts


def replace_block(*, longest: float | None) -> BlockRules:
    return BlockRules(failures=3, within=300.0, first=900.0, factor=100, longest=longest)


async def test_who_is_busy_is_no_guesser(house: House) -> None:
    """While nothing more can be hashed, names are not used up: their owners will try again."""
    await register(house)
    places = house.accounts.login._passwords._places
    taken = 0
    while places.acquire(blocking=False):
        taken += 1
    rules = replace(RULES, login_limits=(PER_NAME,), block=BLOCK)
    for _ in range(10):
        assert await outcome(house, rules, password="wrong") is Reason.OVERLOADED
    for _ in range(taken):
        places.release()
    assert await outcome(house, rules, password=PASSWORD) is Reason.OK
    assert house.blocked.holds("203.0.113.7") is None


def test_a_limit_of_failures_can_be_no_limit_of_the_policy() -> None:
    assert isinstance(BLOCK.limit, Limit)
    assert " " in BLOCK.limit.id
