"""What people do with their own second factor, and what it takes."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from unit.accounts.factored import ORIGIN, PASSWORD, Factored, open_factored, reason
from unit.accounts.house import RULES

from gateway.accounts import DONE, BlockRules, Enrolment, ErrandKind, Factors, RecoveryCodes
from gateway.accounts.second_factor import PASSWORD_ONLY
from gateway.model import EventKind, Reason
from gateway.ports import AuditUnavailable, StoreUnavailable

WITH_FACTOR = ("mfa", "otp", "pwd")


@pytest.fixture
async def one(tmp_path: Path) -> AsyncIterator[Factored]:
    async with open_factored(tmp_path) as opened:
        yield opened


async def test_enrolling_takes_the_password_and_then_a_code(one: Factored) -> None:
    begun = await one.own.enrol(one.principal, password=PASSWORD, rules=RULES, origin=ORIGIN)
    assert isinstance(begun, Enrolment)
    assert begun.otpauth_uri.startswith("otpauth://totp/gateway.example:anna?")
    assert begun.secret not in repr(begun)
    assert one.events.kept == []
    one.phone.reads(begun.secret)
    done = await one.own.confirm(one.principal, otp=one.phone.code(), rules=RULES, origin=ORIGIN)
    assert isinstance(done, RecoveryCodes)
    assert len(done.codes) == 10
    assert done.codes[0] not in repr(done)
    (event,) = one.events.kept
    assert (event.kind, event.actor, event.attributes) == (
        EventKind.MFA_ENROLLED,
        one.principal,
        {"factor": "totp"},
    )
    assert (event.source_ip, event.session) == ("192.0.2.7", "ses_1")
    session = await one.session()
    assert (session.amr, session.mfa_at) == (WITH_FACTOR, one.clock.now())


async def test_the_owner_is_told_of_what_changes(one: Factored) -> None:
    codes = await one.enrol()
    assert await one.told() == [ErrandKind.FACTOR_BEGUN]
    await one.own.renew_codes(one.principal, otp=one.phone.code(), rules=RULES, origin=ORIGIN)
    await one.own.remove(one.principal, password=PASSWORD, otp=codes[0], rules=RULES, origin=ORIGIN)
    assert await one.told() == []
    await one.own.remove(one.principal, password=PASSWORD, otp=one.phone.code(1), rules=RULES, origin=ORIGIN)
    assert await one.told() == [ErrandKind.FACTOR_REMOVED]


async def test_nothing_of_a_key_or_a_code_is_stored_as_it_is(one: Factored) -> None:
    codes = await one.enrol()
    totp = await one.factors.find("usr_1")
    assert totp is not None
    assert one.phone.key not in totp.sealed
    assert codes[0].encode() not in repr(totp).encode()
    assert one.phone.key.hex() not in repr(totp)


async def test_a_wrong_password_begins_nothing(one: Factored) -> None:
    refused = await one.own.enrol(one.principal, password="wrong", rules=RULES, origin=ORIGIN)
    assert reason(refused) is Reason.CREDENTIALS_INVALID
    assert await one.factors.find("usr_1") is None


async def test_passwords_are_guessed_five_times_in_a_session_and_no_more(one: Factored) -> None:
    for _ in range(5):
        assert (
            reason(await one.own.enrol(one.principal, password="wrong", rules=RULES, origin=ORIGIN))
            is Reason.CREDENTIALS_INVALID
        )
    assert (
        reason(await one.own.enrol(one.principal, password=PASSWORD, rules=RULES, origin=ORIGIN))
        is Reason.RATE_EXCEEDED
    )
    assert isinstance(
        await one.own.enrol(one.another("ses_2"), password=PASSWORD, rules=RULES, origin=ORIGIN), Enrolment
    )


async def test_wrong_passwords_and_codes_in_a_session_are_failed_logins(one: Factored) -> None:
    codes = await one.enrol()
    one.events.kept.clear()
    for refused in (
        await one.own.enrol(one.principal, password="wrong", rules=RULES, origin=ORIGIN),
        await one.own.verify(one.principal, otp="000000", rules=RULES, origin=ORIGIN),
        await one.own.renew_codes(one.principal, otp="".join(reversed(codes[0])), rules=RULES, origin=ORIGIN),
        await one.own.remove(one.principal, password="wrong", otp=codes[0], rules=RULES, origin=ORIGIN),
        await one.own.remove(one.principal, password=PASSWORD, otp="000000", rules=RULES, origin=ORIGIN),
    ):
        assert reason(refused) is Reason.CREDENTIALS_INVALID
    assert len(one.events.kept) == 5
    for event in one.events.kept:
        assert (event.kind, event.actor, event.session, event.reason, event.attributes) == (
            EventKind.LOGIN_FAILED,
            one.principal,
            "ses_1",
            Reason.CREDENTIALS_INVALID,
            {"known": True, "user": "usr_1"},
        )
        assert event.source_ip == ORIGIN.source_ip


async def test_a_wrong_first_code_is_a_failed_login(one: Factored) -> None:
    await one.own.enrol(one.principal, password=PASSWORD, rules=RULES, origin=ORIGIN)
    await one.own.confirm(one.principal, otp="000000", rules=RULES, origin=ORIGIN)
    assert one.events.kinds == [EventKind.LOGIN_FAILED]


async def test_guesses_in_a_session_block_their_address_also_those_that_come_too_often(
    one: Factored,
) -> None:
    block = BlockRules(failures=7, within=300.0, first=900.0, factor=4, longest=86_400.0)
    rules = replace(RULES, block=block)
    reasons = [
        reason(await one.own.enrol(one.principal, password="wrong", rules=rules, origin=ORIGIN))
        for _ in range(7)
    ]
    assert reasons == [Reason.CREDENTIALS_INVALID] * 5 + [Reason.RATE_EXCEEDED] * 2
    assert one.events.kinds == [EventKind.LOGIN_FAILED] * 7 + [EventKind.BLOCK_ADDED]
    assert [event.reason for event in one.events.kept[:7]] == reasons


async def test_good_passwords_cost_no_try(one: Factored) -> None:
    for _ in range(8):
        assert isinstance(
            await one.own.enrol(one.principal, password=PASSWORD, rules=RULES, origin=ORIGIN), Enrolment
        )


async def test_a_second_key_takes_the_place_of_one_that_waits(one: Factored) -> None:
    first = await one.own.enrol(one.principal, password=PASSWORD, rules=RULES, origin=ORIGIN)
    second = await one.own.enrol(one.principal, password=PASSWORD, rules=RULES, origin=ORIGIN)
    assert isinstance(first, Enrolment)
    assert isinstance(second, Enrolment)
    one.phone.reads(first.secret)
    refused = await one.own.confirm(one.principal, otp=one.phone.code(), rules=RULES, origin=ORIGIN)
    assert reason(refused) is Reason.CREDENTIALS_INVALID
    one.phone.reads(second.secret)
    done = await one.own.confirm(one.principal, otp=one.phone.code(), rules=RULES, origin=ORIGIN)
    assert isinstance(done, RecoveryCodes)


async def test_who_has_one_removes_it_before_beginning_with_another(one: Factored) -> None:
    await one.enrol()
    assert (
        reason(await one.own.enrol(one.principal, password=PASSWORD, rules=RULES, origin=ORIGIN))
        is Reason.CONFLICT
    )
    again = await one.own.confirm(one.principal, otp=one.phone.code(), rules=RULES, origin=ORIGIN)
    assert reason(again) is Reason.CONFLICT


async def test_the_first_code_is_used_up_by_being_shown(one: Factored) -> None:
    begun = await one.own.enrol(one.principal, password=PASSWORD, rules=RULES, origin=ORIGIN)
    assert isinstance(begun, Enrolment)
    one.phone.reads(begun.secret)
    code = one.phone.code()
    await one.own.confirm(one.principal, otp=code, rules=RULES, origin=ORIGIN)
    assert reason(await one.second.check(one.user, code)) is Reason.CREDENTIALS_INVALID


async def test_what_cannot_be_recorded_does_not_count(one: Factored) -> None:
    begun = await one.own.enrol(one.principal, password=PASSWORD, rules=RULES, origin=ORIGIN)
    assert isinstance(begun, Enrolment)
    one.phone.reads(begun.secret)
    one.events.away = True
    with pytest.raises(AuditUnavailable):
        await one.own.confirm(one.principal, otp=one.phone.code(), rules=RULES, origin=ORIGIN)
    assert await one.second.check(one.user, None) == PASSWORD_ONLY
    one.events.away = False
    assert isinstance(
        await one.own.confirm(one.principal, otp=one.phone.code(), rules=RULES, origin=ORIGIN), RecoveryCodes
    )


async def test_recovery_codes_are_shown_once_the_factor_counts_whatever_fails_then(
    one: Factored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is left with a second factor and without the codes that replace it."""

    async def fail(*_: object, **__: object) -> bool:
        raise StoreUnavailable("away")

    begun = await one.own.enrol(one.principal, password=PASSWORD, rules=RULES, origin=ORIGIN)
    assert isinstance(begun, Enrolment)
    one.phone.reads(begun.secret)
    monkeypatch.setattr(one.sessions, "note_factor", fail)
    monkeypatch.setattr(one.counters, "give_back", fail)
    monkeypatch.setattr(one.users, "find", fail)
    done = await one.own.confirm(one.principal, otp=one.phone.code(), rules=RULES, origin=ORIGIN)
    assert isinstance(done, RecoveryCodes)
    assert await one.factors.codes_left("usr_1") == 10


async def test_a_good_code_stays_good_when_the_try_cannot_be_given_back(
    one: Factored, monkeypatch: pytest.MonkeyPatch
) -> None:
    await one.enrol()

    async def fail(*_: object) -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(one.counters, "give_back", fail)
    assert await one.own.verify(one.principal, otp=one.phone.code(), rules=RULES, origin=ORIGIN) == DONE


async def test_a_code_in_a_live_session_counts_for_its_next_token(one: Factored) -> None:
    await one.enrol()
    one.clock.time += 3600
    assert await one.own.verify(one.principal, otp=one.phone.code(), rules=RULES, origin=ORIGIN) == DONE
    session = await one.session()
    assert (session.amr, session.mfa_at) == (WITH_FACTOR, one.clock.now())


async def test_a_wrong_code_in_a_session_changes_nothing(one: Factored) -> None:
    await one.enrol()
    before = await one.session()
    one.clock.time += 3600
    refused = await one.own.verify(one.principal, otp="not a code", rules=RULES, origin=ORIGIN)
    assert reason(refused) is Reason.CREDENTIALS_INVALID
    assert await one.session() == before


async def test_a_session_that_has_ended_proves_nothing(one: Factored) -> None:
    await one.enrol()
    await one.sessions.revoke("ses_1", at=one.clock.now())
    assert (
        reason(await one.own.verify(one.principal, otp=one.phone.code(), rules=RULES, origin=ORIGIN))
        is Reason.CREDENTIALS_INVALID
    )


async def test_new_recovery_codes_take_a_code_and_the_place_of_the_old_ones(one: Factored) -> None:
    old = await one.enrol()
    refused = await one.own.renew_codes(one.principal, otp="000", rules=RULES, origin=ORIGIN)
    assert reason(refused) is Reason.CREDENTIALS_INVALID
    renewed = await one.own.renew_codes(one.principal, otp=one.phone.code(), rules=RULES, origin=ORIGIN)
    assert isinstance(renewed, RecoveryCodes)
    assert set(renewed.codes).isdisjoint(old)
    assert one.events.kept[-1].attributes == {"factor": "recovery_codes"}
    assert reason(await one.second.check(one.user, old[0])) is Reason.CREDENTIALS_INVALID
    assert isinstance(await one.second.check(one.user, renewed.codes[0]), Factors)


async def test_removing_takes_the_password_and_a_code(one: Factored) -> None:
    codes = await one.enrol()
    for password, otp in (("wrong", one.phone.code()), (PASSWORD, "000"), (PASSWORD, "")):
        refused = await one.own.remove(one.principal, password=password, otp=otp, rules=RULES, origin=ORIGIN)
        assert reason(refused) is Reason.CREDENTIALS_INVALID
    done = await one.own.remove(one.principal, password=PASSWORD, otp=codes[0], rules=RULES, origin=ORIGIN)
    assert done == DONE
    event = one.events.kept[-1]
    assert (event.kind, event.actor, event.attributes) == (
        EventKind.MFA_REMOVED,
        one.principal,
        {"user": "usr_1"},
    )
    assert await one.second.check(one.user, None) == PASSWORD_ONLY


async def test_a_wrong_password_uses_no_code_up(one: Factored) -> None:
    await one.enrol()
    code = one.phone.code()
    await one.own.remove(one.principal, password="wrong", otp=code, rules=RULES, origin=ORIGIN)
    assert isinstance(await one.second.check(one.user, code), Factors)


async def test_what_cannot_be_recorded_is_not_removed(one: Factored) -> None:
    codes = await one.enrol()
    one.events.away = True
    with pytest.raises(AuditUnavailable):
        await one.own.remove(one.principal, password=PASSWORD, otp=codes[0], rules=RULES, origin=ORIGIN)
    assert reason(await one.second.check(one.user, None)) is Reason.MFA_REQUIRED


async def test_who_has_none_has_nothing_to_show(one: Factored) -> None:
    for answer in (
        await one.own.verify(one.principal, otp="000000", rules=RULES, origin=ORIGIN),
        await one.own.confirm(one.principal, otp="000000", rules=RULES, origin=ORIGIN),
        await one.own.renew_codes(one.principal, otp="000000", rules=RULES, origin=ORIGIN),
        await one.own.remove(one.principal, password=PASSWORD, otp="000000", rules=RULES, origin=ORIGIN),
    ):
        assert reason(answer) is Reason.CONFLICT


async def test_only_users_who_have_logged_in_have_a_second_factor(one: Factored) -> None:
    machine = replace(one.principal, session=None)
    for answer in (
        await one.own.enrol(machine, password=PASSWORD, rules=RULES, origin=ORIGIN),
        await one.own.verify(machine, otp="000000", rules=RULES, origin=ORIGIN),
        await one.own.confirm(machine, otp="000000", rules=RULES, origin=ORIGIN),
        await one.own.renew_codes(machine, otp="000000", rules=RULES, origin=ORIGIN),
        await one.own.remove(machine, password=PASSWORD, otp="000000", rules=RULES, origin=ORIGIN),
    ):
        assert reason(answer) is Reason.DENIED


async def test_a_disabled_account_begins_nothing(one: Factored) -> None:
    await one.users.set_disabled("usr_1", disabled=True, at=one.clock.now())
    assert (
        reason(await one.own.enrol(one.principal, password=PASSWORD, rules=RULES, origin=ORIGIN))
        is Reason.CREDENTIALS_INVALID
    )
