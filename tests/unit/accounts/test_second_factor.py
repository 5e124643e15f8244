"""Asking for a second factor at the login, and how many guesses are taken."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import structlog
from sqlalchemy import update
from unit.accounts.factored import ORIGIN, Factored, open_factored, reason
from unit.accounts.house import RULES

from gateway.accounts import AccountRefusal, Factors, SecondFactor
from gateway.accounts.second_factor import PASSWORD_ONLY
from gateway.accounts.totp import code_at
from gateway.crypto import Sealer
from gateway.model import Charge, OnStoreError, Reason, Verdict
from gateway.ports import StoreUnavailable
from gateway.stores.memory import MemoryCounters
from gateway.stores.sql.tables import factors


@pytest.fixture
async def one(tmp_path: Path) -> AsyncIterator[Factored]:
    async with open_factored(tmp_path) as opened:
        yield opened


async def test_an_account_without_a_second_factor_shows_its_password_only(one: Factored) -> None:
    assert await one.second.check(one.user, None) == PASSWORD_ONLY
    assert await one.second.check(one.user, "123456") == PASSWORD_ONLY
    assert PASSWORD_ONLY.amr == ("pwd",)
    assert PASSWORD_ONLY.mfa_at is None


async def test_a_key_that_was_not_confirmed_asks_for_nothing(one: Factored) -> None:
    await one.own.enrol(one.principal, password="correct horse battery", rules=RULES, origin=ORIGIN)
    assert await one.second.check(one.user, None) == PASSWORD_ONLY


async def test_a_code_of_the_app_proves_it(one: Factored) -> None:
    await one.enrol()
    assert await one.second.check(one.user, one.phone.code()) == Factors(
        amr=("mfa", "otp", "pwd"), mfa_at=one.clock.now(), attributes={"factor": "totp"}
    )


async def test_a_code_may_be_typed_as_the_app_shows_it(one: Factored) -> None:
    await one.enrol()
    code = one.phone.code()
    assert isinstance(await one.second.check(one.user, f" {code[:3]} {code[3:]} "), Factors)


async def test_without_a_code_one_is_asked_for(one: Factored) -> None:
    await one.enrol()
    refused = await one.second.check(one.user, None)
    assert reason(refused) is Reason.MFA_REQUIRED
    for _ in range(10):
        await one.second.check(one.user, None)
    assert isinstance(await one.second.check(one.user, one.phone.code()), Factors), "asking costs no try"


@pytest.mark.parametrize("otp", ["", "000000", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "x" * 64])
async def test_a_wrong_code_is_refused_as_a_wrong_password_is(one: Factored, otp: str) -> None:
    await one.enrol()
    if otp in {one.phone.code(off) for off in (-1, 0, 1)}:
        return
    refused = await one.second.check(one.user, otp)
    assert reason(refused) is Reason.CREDENTIALS_INVALID
    assert isinstance(refused, AccountRefusal)
    assert not otp or otp not in f"{refused.detail}{refused.diagnosis}"


async def test_a_code_is_taken_once_even_when_it_comes_twice_at_once(one: Factored) -> None:
    await one.enrol()
    code = one.phone.code()
    answers = await asyncio.gather(*(one.second.check(one.user, code) for _ in range(4)))
    assert sum(isinstance(answer, Factors) for answer in answers) == 1
    assert reason(await one.second.check(one.user, code)) is Reason.CREDENTIALS_INVALID


async def test_an_older_code_is_not_taken_after_a_newer_one(one: Factored) -> None:
    await one.enrol()
    older = one.phone.code()
    assert isinstance(await one.second.check(one.user, one.phone.code(1)), Factors)
    assert reason(await one.second.check(one.user, older)) is Reason.CREDENTIALS_INVALID


async def test_five_wrong_codes_in_five_minutes_are_all_and_then_good_ones_wait_too(one: Factored) -> None:
    await one.enrol()
    wrong = next(text for text in map("{:06d}".format, range(9)) if text not in _near(one))
    for _ in range(5):
        assert reason(await one.second.check(one.user, wrong)) is Reason.CREDENTIALS_INVALID
    refused = await one.second.check(one.user, one.phone.code())
    assert reason(refused) is Reason.RATE_EXCEEDED
    assert isinstance(refused, AccountRefusal)
    assert refused.retry_after == pytest.approx(300, abs=1)
    one.clock.time += 301
    assert isinstance(await one.second.check(one.user, one.phone.code()), Factors)


async def test_guesses_that_come_together_are_counted_before_they_are_looked_at(one: Factored) -> None:
    await one.enrol()
    wrong = next(text for text in map("{:06d}".format, range(9)) if text not in _near(one))
    answers = await asyncio.gather(*(one.second.check(one.user, wrong) for _ in range(50)))
    assert [reason(answer) for answer in answers].count(Reason.CREDENTIALS_INVALID) == 5


async def test_good_codes_cost_no_try(one: Factored) -> None:
    await one.enrol()
    for _ in range(8):
        assert isinstance(await one.second.check(one.user, one.phone.next_code()), Factors)


async def test_a_recovery_code_is_taken_once_whatever_was_guessed_before(one: Factored) -> None:
    codes = await one.enrol()
    wrong = next(text for text in map("{:06d}".format, range(9)) if text not in _near(one))
    for _ in range(6):
        await one.second.check(one.user, wrong)
    proved = await one.second.check(one.user, codes[3].upper())
    assert isinstance(proved, Factors)
    assert proved.attributes == {"factor": "recovery_code", "recovery_codes_left": 9}
    assert proved.amr == ("mfa", "otp", "pwd")
    assert reason(await one.second.check(one.user, codes[3])) is Reason.CREDENTIALS_INVALID
    assert isinstance(await one.second.check(one.user, codes[4]), Factors)


async def test_who_guesses_at_the_login_keeps_nobody_from_a_session(one: Factored) -> None:
    await one.enrol()
    wrong = next(text for text in map("{:06d}".format, range(9)) if text not in _near(one))
    for _ in range(6):
        await one.second.check(one.user, wrong)
    assert not isinstance(
        await one.own.verify(one.principal, otp=one.phone.code(), rules=RULES, origin=ORIGIN), AccountRefusal
    )


async def test_when_nobody_counts_no_code_is_looked_at(one: Factored) -> None:
    await one.enrol()

    class Away(MemoryCounters):
        async def take(self, charges: Sequence[Charge]) -> Verdict:
            assert [charge.limit.on_store_error for charge in charges] == [OnStoreError.CLOSED]
            raise StoreUnavailable("away")

    second = SecondFactor(one.factors, counters=Away(one.clock), sealer=Sealer(one.secret), clock=one.clock)
    code = one.phone.code()
    with pytest.raises(StoreUnavailable):
        await second.check(one.user, code)
    assert isinstance(await one.second.check(one.user, code), Factors)


async def test_a_key_that_cannot_be_opened_proves_nothing_and_is_reported(one: Factored) -> None:
    codes = await one.enrol()
    async with one.database.write() as connection:
        await connection.execute(update(factors).values(sealed=b"\x01" + bytes(60)))
    with structlog.testing.capture_logs() as logs:
        assert reason(await one.second.check(one.user, one.phone.code())) is Reason.CREDENTIALS_INVALID
    assert [entry["event"] for entry in logs] == ["second_factor.unreadable"]
    assert isinstance(await one.second.check(one.user, codes[0]), Factors)


def _near(one: Factored) -> set[str]:
    """Codes that are right at about this time."""
    step = int(one.clock.time // 30)
    return {code_at(one.phone.key, step + off) for off in range(-2, 3)}
