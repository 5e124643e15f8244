"""Hashing and checking passwords."""

import asyncio
import os
import threading
from collections.abc import Iterator

import bcrypt
import pytest
from unit.accounts.house import keys_of

from gateway.accounts import HashingBusy, Passwords
from gateway.accounts.passwords import length_of
from gateway.crypto import Roots

PEPPER = keys_of(b"the pepper of these tests, long enough")


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    made = Passwords(PEPPER, cost=4)
    yield made
    made.close()


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rounds of every bcrypt run."""
    counted: list[int] = []
    real = bcrypt.hashpw

    def hashpw(password: bytes, salt: bytes) -> bytes:
        counted.append(2 ** int(salt.split(b"$")[2]))
        return real(password, salt)

    monkeypatch.setattr(bcrypt, "hashpw", hashpw)
    return counted


@pytest.mark.parametrize(
    "password", ["hunter2", "", "x" * 73, "x" * 1024, "nul\x00byte", "\ud800", "𝒳" * 64, "pass word", " "]
)
async def test_a_password_is_its_own_and_no_other(passwords: Passwords, password: str) -> None:
    stored = await passwords.hash(password)
    assert await passwords.verify(password, stored)
    assert not await passwords.verify(password + "x", stored)


async def test_nothing_is_cut_off_after_72_bytes_or_at_a_nul(passwords: Passwords) -> None:
    assert not await passwords.verify("x" * 72 + "b", await passwords.hash("x" * 72 + "a"))
    assert not await passwords.verify("a\x00c", await passwords.hash("a\x00b"))


async def test_a_password_may_be_composed_differently(passwords: Passwords) -> None:
    assert await passwords.verify("cafe\u0301", await passwords.hash("caf\u00e9"))


async def test_case_and_blanks_matter(passwords: Passwords) -> None:
    stored = await passwords.hash("Secret ")
    assert not await passwords.verify("secret ", stored)
    assert not await passwords.verify("Secret", stored)


async def test_a_hash_says_nothing_without_the_pepper(passwords: Passwords) -> None:
    stored = await passwords.hash("hunter2")
    assert stored.startswith("v1$$2b$04$")
    other = Passwords(keys_of(b"another pepper than that, long enough"), cost=4)
    assert not await other.verify("hunter2", stored)
    other.close()
    assert not bcrypt.checkpw(b"hunter2", stored.removeprefix("v1$").encode())


@pytest.mark.parametrize(
    "stored",
    [None, "", "nonsense", "v1$", "v2$$2b$04$" + "a" * 53, "v1$$2b$99$" + "a" * 53, "v1$$2b$04$short", "v1$ü",
     "v1$$2b$04$" + "a" * 54, "$2b$04$" + "a" * 53, "v1$$2b$31$x"],
)  # fmt: skip
async def test_what_is_no_hash_of_ours_never_matches_and_costs_the_same(
    passwords: Passwords, rounds: list[int], stored: str | None
) -> None:
    assert not await passwords.verify("hunter2", stored)
    assert sum(rounds) == 2**4


async def test_a_wrong_password_costs_the_same_as_none(passwords: Passwords, rounds: list[int]) -> None:
    stored = await passwords.hash("hunter2")
    rounds.clear()
    assert not await passwords.verify("hunter3", stored)
    assert sum(rounds) == 2**4
    assert await passwords.verify("hunter2", stored)
    assert sum(rounds) == 2 * 2**4


@pytest.mark.parametrize("password", ["hunter2", "hunter3"])
async def test_a_cheaper_hash_of_the_past_costs_the_same(rounds: list[int], password: str) -> None:
    older, newer = Passwords(PEPPER, cost=4), Passwords(PEPPER, cost=7)
    stored = await older.hash("hunter2")
    rounds.clear()
    assert await newer.verify(password, stored) is (password == "hunter2")
    assert sum(rounds) == 2**7
    older.close()
    newer.close()


async def test_a_hash_of_another_cost_is_to_be_made_again(passwords: Passwords) -> None:
    newer = Passwords(PEPPER, cost=5)
    stored = await passwords.hash("hunter2")
    assert not passwords.needs_rehash(stored)
    assert newer.needs_rehash(stored)
    newer.close()


@pytest.mark.parametrize("cost", [3, 32])
def test_a_cost_that_bcrypt_does_not_know_is_refused(cost: int) -> None:
    with pytest.raises(ValueError, match="4 to 31"):
        Passwords(PEPPER, cost=cost)


class _Gate:
    """Holds every bcrypt run until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._open = threading.Event()
        real = bcrypt.hashpw

        def hashpw(password: bytes, salt: bytes) -> bytes:
            assert self._open.wait(10)
            return real(password, salt[:4] + b"04" + salt[6:])

        monkeypatch.setattr(bcrypt, "hashpw", hashpw)

    def open(self) -> None:
        self._open.set()


async def test_more_work_than_two_seconds_is_refused_at_once_and_room_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = _Gate(monkeypatch)
    passwords = Passwords(PEPPER, cost=12, threads=2)
    waiting = [asyncio.ensure_future(passwords.verify("x", None)) for _ in range(16)]
    await asyncio.sleep(0)
    with pytest.raises(HashingBusy) as busy:
        await passwords.verify("x", None)
    assert busy.value.retry_after == 2.0
    gate.open()
    await asyncio.gather(*waiting)
    assert not await passwords.verify("x", None)
    passwords.close()


async def test_whether_there_is_room_can_be_asked_before_anything_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = _Gate(monkeypatch)
    passwords = Passwords(PEPPER, cost=12, threads=1)
    waiting = [asyncio.ensure_future(passwords.verify("x", None)) for _ in range(7)]
    await asyncio.sleep(0)
    for _ in range(3):
        passwords.check_room()
    waiting.append(asyncio.ensure_future(passwords.verify("x", None)))
    await asyncio.sleep(0)
    with pytest.raises(HashingBusy):
        passwords.check_room()
    gate.open()
    await asyncio.gather(*waiting)
    passwords.check_room()
    passwords.close()


async def test_who_has_waited_for_too_long_is_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = _Gate(monkeypatch)
    monkeypatch.setattr("gateway.accounts.passwords._LONGEST_WAIT", 0.01)
    passwords = Passwords(PEPPER, cost=12, threads=1)
    with pytest.raises(HashingBusy):
        await passwords.verify("x", None)
    gate.open()
    passwords.close()


async def test_hashing_gives_way_to_what_requests_wait_for(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    priorities: list[int] = []
    real = bcrypt.hashpw

    def hashpw(password: bytes, salt: bytes) -> bytes:
        priorities.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return real(password, salt)

    monkeypatch.setattr(bcrypt, "hashpw", hashpw)
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    await passwords.verify("x", None)
    assert priorities == [min(own + 10, 19)]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own


async def test_where_no_request_waits_hashing_takes_its_time_at_the_usual_priority(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.accounts.passwords._LONGEST_WAIT", 0.0)
    priorities: list[int] = []
    real = bcrypt.hashpw

    def hashpw(password: bytes, salt: bytes) -> bytes:
        priorities.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return real(password, salt)

    monkeypatch.setattr(bcrypt, "hashpw", hashpw)
    passwords = Passwords(PEPPER, cost=4, unhurried=True)
    assert not await passwords.verify("x", None)
    assert priorities == [os.getpriority(os.PRIO_PROCESS, threading.get_native_id())]
    passwords.close()


async def test_who_stops_waiting_gives_the_place_back_when_the_work_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = _Gate(monkeypatch)
    passwords = Passwords(PEPPER, cost=12, threads=1)
    waiting = [asyncio.ensure_future(passwords.verify("x", None)) for _ in range(8)]
    await asyncio.sleep(0.01)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    # One is being worked on and keeps its place; the seven in the queue have left.
    again = [asyncio.ensure_future(passwords.verify("x", None)) for _ in range(7)]
    await asyncio.sleep(0)
    with pytest.raises(HashingBusy):
        await passwords.verify("x", None)
    gate.open()
    assert await asyncio.gather(*again) == [False] * 7
    passwords.close()


async def test_the_loop_goes_on_while_a_password_is_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = _Gate(monkeypatch)
    passwords = Passwords(PEPPER, cost=4, threads=1)
    task = asyncio.ensure_future(passwords.hash("x"))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not task.done()
    gate.open()
    assert (await task).startswith("v1$")
    passwords.close()


@pytest.mark.parametrize(("password", "length"), [("", 0), ("abc", 3), ("e\u0301", 1), ("𝒳𝒳", 2), ("ﬁ", 2)])
def test_length_is_counted_in_code_points_after_composition(password: str, length: int) -> None:
    assert length_of(password) == length


def changed() -> tuple[Roots, Passwords]:
    """Return roots that are to become more, and what hashes with keys that follow from them."""
    roots = Roots.new()
    return roots, Passwords(roots.keys_for("password-pepper"), cost=4)


async def test_a_password_stays_good_when_the_master_secret_changes_and_is_hashed_again() -> None:
    roots, passwords = changed()
    stored = await passwords.hash("hunter2")
    assert stored.startswith("v1$$2b$04$")
    roots.learn(roots.with_next())
    assert not passwords.needs_rehash(stored)
    roots.turn()
    assert await passwords.verify("hunter2", stored)
    assert not await passwords.verify("hunter3", stored)
    assert passwords.needs_rehash(stored)
    renewed = await passwords.hash("hunter2")
    assert renewed.startswith("v2$$2b$04$")
    assert await passwords.verify("hunter2", renewed)
    assert not passwords.needs_rehash(renewed)
    assert not await passwords.verify("hunter2", f"v1{renewed[2:]}")
    passwords.close()


async def test_a_pepper_that_another_process_has_is_looked_for_before_a_password_is_wrong() -> None:
    roots, passwords = changed()
    more = roots.with_next()
    elsewhere = Passwords(more.keys_for("password-pepper"), cost=4)
    stored = await elsewhere.hash("hunter2")

    async def look() -> None:
        roots.learn(more)

    roots.refresh_with(look)
    assert await passwords.verify("hunter2", stored)
    assert not passwords.needs_rehash(stored)
    passwords.close()
    elsewhere.close()


async def test_a_pepper_that_nobody_has_costs_the_same(rounds: list[int]) -> None:
    _, passwords = changed()
    stored = await passwords.hash("hunter2")
    rounds.clear()
    assert not await passwords.verify("hunter2", f"v9{stored[2:]}")
    assert sum(rounds) == 2**4
    assert passwords.needs_rehash("not one of ours")
    passwords.close()
