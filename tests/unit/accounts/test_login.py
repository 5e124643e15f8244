"""Beginning a session: every failure is one answer."""

from dataclasses import replace

import bcrypt
import pytest
from support.counting import limit
from unit.accounts.deeds import (
    PASSWORD,
    claims,
    disable,
    login,
    register,
    try_login,
    try_to_log_in,
)
from unit.accounts.house import RULES, House, keys_of

from gateway.accounts import (
    AccountRefusal,
    BlockRules,
    Factors,
    LoggedIn,
    Passwords,
    SecondFactor,
)
from gateway.accounts.refresh_token import parse_refresh_token
from gateway.model import EventKind, Reason
from gateway.ports import AuditUnavailable, User


async def test_a_login_gives_a_pair_and_says_what_it_is_good_for(house: House) -> None:
    await register(house)
    pair = await login(house)
    assert pair.scope == claims(pair)["scope"] == "orders:read profile:read"
    assert pair.expires_in == 600
    assert pair.refresh_expires_in == 7 * 86400
    token = parse_refresh_token(pair.refresh_token)
    assert token is not None
    assert (token.session, token.generation) == (claims(pair)["sid"], claims(pair)["rg"])


async def test_a_login_is_recorded_with_its_session_and_where_it_came_from(house: House) -> None:
    account = await register(house)
    pair = await login(house)
    event = house.events.kept[-1]
    assert event.kind is EventKind.LOGIN
    assert event.actor is not None
    assert event.actor.id == account.id
    assert event.session == claims(pair)["sid"]
    assert (event.request_id, event.source_ip, event.user_agent) == ("r-1", "203.0.113.7", "agent")
    stored = await house.session_store.find(claims(pair)["sid"])
    assert stored is not None
    assert (stored.source_ip, stored.user_agent) == ("203.0.113.7", "agent")


async def test_every_failed_login_is_the_same_answer_for_the_same_work(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await register(house)
    gone = await register(house, "gone")
    await disable(house, gone.id)
    rounds: list[int] = []
    real = bcrypt.hashpw

    def hashpw(password: bytes, salt: bytes) -> bytes:
        rounds.append(2 ** int(salt.split(b"$")[2]))
        return real(password, salt)

    monkeypatch.setattr(bcrypt, "hashpw", hashpw)
    answers, works = [], []
    for name, password in (
        ("ada", "wrong password"),
        ("nobody", PASSWORD),
        ("gone", PASSWORD),
        ("gone", "wrong password"),
        ("", ""),
        ("nobody@example.com", "x" * 1024),
        (gone.id, PASSWORD),
    ):
        rounds.clear()
        answers.append(await try_login(house, name, password))
        works.append(sum(rounds))
    assert answers == [answers[0]] * len(answers)
    assert isinstance(answers[0], AccountRefusal)
    assert answers[0].reason is Reason.CREDENTIALS_INVALID
    assert works == [2**4] * len(works)


async def test_a_failed_login_is_recorded_without_what_was_typed(house: House) -> None:
    account = await register(house)
    await try_login(house, "ada", "hunter2")
    await try_login(house, "hunter2", "ada")
    known, unknown = house.events.kept[-2:]
    assert known.kind is unknown.kind is EventKind.LOGIN_FAILED
    assert known.actor is unknown.actor is None
    assert known.reason is Reason.CREDENTIALS_INVALID
    assert known.attributes == {
        "known": True,
        "locked": False,
        "user": account.id,
        "disabled": False,
    }
    assert (known.subject, known.personal) == (account.id, {"username": "Ada"})
    assert (unknown.subject, unknown.personal) == (None, {})
    assert unknown.attributes == {"known": False, "locked": False}
    assert "hunter2" not in repr(house.events.kept)


async def test_a_hash_of_another_cost_is_made_again_at_the_next_login(house: House) -> None:
    account = await register(house)
    newer = Passwords(house.passwords._peppers, cost=5)
    house.accounts.login._passwords = newer
    await login(house)
    user = await house.users.find(account.id)
    assert user is not None
    assert user.password_hash is not None
    assert user.password_hash.startswith("v1$$2b$05$")
    await login(house)
    newer.close()


async def test_no_login_leaves_a_session_in_anybodys_hands_when_it_cannot_be_recorded(house: House) -> None:
    await register(house)
    house.events.away = True
    with pytest.raises(AuditUnavailable):
        await login(house)
    with pytest.raises(AuditUnavailable):
        await try_login(house, "ada", "wrong")


async def test_too_many_logins_at_once_are_told_to_come_back(house: House) -> None:
    await register(house)
    busy = Passwords(keys_of(bytes(32)), cost=4, threads=1)
    while busy._places.acquire(blocking=False):
        pass
    house.accounts.login._passwords = busy
    refused = await try_login(house)
    assert isinstance(refused, AccountRefusal)
    assert refused.reason is Reason.OVERLOADED
    assert refused.retry_after == 2.0
    assert EventKind.LOGIN_FAILED not in house.events.kinds
    busy.close()


UNVERIFIED = replace(RULES, verifies_email=True, login_limits=(limit("login:0", 2, per=("username",)),))


async def test_who_has_not_confirmed_the_address_is_told_so_for_the_right_password_alone(
    house: House,
) -> None:
    account = await register(house)
    wrong = await try_to_log_in(house, password="wrong", rules=UNVERIFIED)
    assert isinstance(wrong, AccountRefusal)
    assert wrong.reason is Reason.CREDENTIALS_INVALID
    for _ in range(3):
        # It is no guess, so that nobody is locked out by asking where the mail is.
        refused = await try_to_log_in(house, rules=UNVERIFIED)
        assert isinstance(refused, AccountRefusal)
        assert (refused.reason, refused.subject) == (Reason.EMAIL_UNVERIFIED, account.id)
    event = house.events.kept[-1]
    assert (event.kind, event.reason) == (EventKind.LOGIN_FAILED, Reason.EMAIL_UNVERIFIED)
    assert (event.subject, event.attributes) == (account.id, {"known": True, "user": account.id})
    await house.users.verify_email(account.id, email="Ada@example.com", at=house.clock.now())
    assert isinstance(await try_to_log_in(house, rules=UNVERIFIED), LoggedIn)


class WithFactor(SecondFactor):
    """Says of everybody what it is told to say."""

    def __init__(self, answer: Factors | AccountRefusal) -> None:
        self.answer = answer

    async def check(self, user: User, otp: str | None) -> Factors | AccountRefusal:
        return self.answer


REFUSED = {
    reason: AccountRefusal(reason=reason, diagnosis="as it is", retry_after=9.0)
    for reason in (Reason.MFA_REQUIRED, Reason.CREDENTIALS_INVALID, Reason.RATE_EXCEEDED)
}
ONE_FAILURE = replace(RULES, block=BlockRules(failures=1, within=60.0, first=60.0, factor=1, longest=None))


@pytest.mark.parametrize("reason", REFUSED)
async def test_without_the_second_factor_there_is_no_session(house: House, reason: Reason) -> None:
    await register(house)
    house.accounts.login._second_factor = WithFactor(REFUSED[reason])
    refused = await try_to_log_in(house, rules=ONE_FAILURE, otp="123456")
    assert isinstance(refused, AccountRefusal)
    assert (refused.reason, refused.diagnosis) == (reason, "as it is")
    failed = next(event for event in house.events.kept if event.kind is EventKind.LOGIN_FAILED)
    assert failed.reason is reason
    assert EventKind.LOGIN not in house.events.kinds
    # Asking for the code is no failure; a wrong one, and too many of them, are.
    assert house.blocked.any is (reason is not Reason.MFA_REQUIRED)


async def test_whoever_logs_in_with_a_code_is_asked_for_it_as_often_as_they_like(house: House) -> None:
    await register(house)
    rules = replace(UNVERIFIED, verifies_email=False)
    asked = WithFactor(REFUSED[Reason.MFA_REQUIRED])
    given = WithFactor(Factors(amr=("mfa", "otp", "pwd"), mfa_at=house.clock.now(), attributes={}))
    for _ in range(6):
        house.accounts.login._second_factor = asked
        refused = await try_to_log_in(house, rules=rules)
        assert isinstance(refused, AccountRefusal)
        assert refused.reason is Reason.MFA_REQUIRED
        house.accounts.login._second_factor = given
        assert isinstance(await try_to_log_in(house, rules=rules, otp="123456"), LoggedIn)


async def test_a_wrong_code_is_told_like_a_wrong_password(house: House) -> None:
    await register(house)
    wrong = await try_to_log_in(house, password="wrong")
    house.accounts.login._second_factor = WithFactor(REFUSED[Reason.CREDENTIALS_INVALID])
    code = await try_to_log_in(house, otp="123456")
    assert isinstance(wrong, AccountRefusal)
    assert isinstance(code, AccountRefusal)
    assert replace(code, diagnosis=wrong.diagnosis) == wrong


async def test_what_was_shown_is_in_the_session_and_in_the_record(house: House) -> None:
    await register(house)
    house.accounts.login._second_factor = WithFactor(
        Factors(amr=("mfa", "otp", "pwd"), mfa_at=house.clock.now(), attributes={"factor": "totp"})
    )
    begun = await try_to_log_in(house, otp="123456")
    assert isinstance(begun, LoggedIn)
    session = await house.session_store.find(claims(begun.pair)["sid"])
    assert session is not None
    assert (session.amr, session.mfa_at) == (("mfa", "otp", "pwd"), house.clock.now())
    assert claims(begun.pair)["amr"] == ["mfa", "otp", "pwd"]
    assert house.events.kept[-1].attributes == {"factor": "totp"}


async def test_a_session_that_cannot_begin_any_more_is_a_failed_login(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account was disabled, or got another password, while this one was being hashed."""
    account = await register(house)
    real = house.passwords.verify

    async def verify(password: str, stored: str | None) -> bool:
        await disable(house, account.id)
        return await real(password, stored)

    monkeypatch.setattr(house.passwords, "verify", verify)
    refused = await try_to_log_in(house)
    assert isinstance(refused, AccountRefusal)
    assert refused.reason is Reason.CREDENTIALS_INVALID
    assert await house.session_store.list_of(account.id, now=house.clock.now()) == []


async def test_the_answer_and_the_device_show_no_secret_in_logs(house: House) -> None:
    await register(house)
    begun = await try_to_log_in(house)
    assert isinstance(begun, LoggedIn)
    assert begun.device not in repr(begun)
    assert begun.pair.access_token not in repr(begun)
