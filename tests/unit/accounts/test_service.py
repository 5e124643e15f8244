"""What people do with their own account."""

import asyncio
from dataclasses import replace
from typing import Any

import bcrypt
import jwt
import pytest
from sqlalchemy import text
from unit.accounts.house import RULES, House

from gateway.accounts import (
    DONE,
    AccessTokens,
    Account,
    AccountRefusal,
    Accounts,
    LoginBody,
    LogoutBody,
    Origin,
    Passwords,
    RefreshBody,
    RegisterBody,
    TokenPair,
)
from gateway.accounts.refresh_token import parse_refresh_token
from gateway.model import EventKind, Principal, PrincipalKind, Reason
from gateway.ports import AuditUnavailable, ChangeKind
from gateway.stores.sql import SqlChangeFeed

ORIGIN = Origin(request_id="r-1", source_ip="203.0.113.7", user_agent="agent")
PASSWORD = "correct horse battery"


def scopes_of(roles: frozenset[str]) -> frozenset[str]:
    return frozenset({"profile:read", "orders:read"}) if "customer" in roles else frozenset()


async def register(house: House, username: str = "Ada") -> Account:
    body = RegisterBody(username=username, email=f"{username}@example.com", password=PASSWORD)
    made = await house.accounts.register(body, rules=RULES, origin=ORIGIN)
    assert isinstance(made, Account)
    return made


async def try_login(
    house: House, username: str = "ada", password: str = PASSWORD
) -> TokenPair | AccountRefusal:
    body = LoginBody(username=username, password=password)
    return await house.accounts.login(body, rules=RULES, scopes_of=scopes_of, origin=ORIGIN)


async def login(house: House, username: str = "ada") -> TokenPair:
    pair = await try_login(house, username)
    assert isinstance(pair, TokenPair)
    return pair


async def refresh(house: House, token: str) -> TokenPair | AccountRefusal:
    body = RefreshBody(refresh_token=token)
    return await house.accounts.refresh(body, rules=RULES, scopes_of=scopes_of, origin=ORIGIN)


def claims(pair: TokenPair) -> dict[str, Any]:
    unverified: dict[str, Any] = jwt.decode(pair.access_token, options={"verify_signature": False})
    return unverified


def principal(pair: TokenPair) -> Principal:
    said = claims(pair)
    return Principal(
        id=said["sub"],
        kind=PrincipalKind.USER,
        name=said["name"],
        authn="gateway",
        authn_kind="gateway_jwt",
        session=said["sid"],
    )


async def disable(house: House, id_: str) -> None:
    async with house.database.write() as connection:
        await connection.execute(text("UPDATE users SET disabled_at = 1 WHERE id = :id"), {"id": id_})


async def test_who_registers_may_log_in_by_name_and_by_address(house: House) -> None:
    account = await register(house)
    assert account == Account(id=account.id, username="Ada", email="Ada@example.com", roles=("customer",))
    for name in ("Ada", "ADA", "ada@EXAMPLE.com", "ａｄａ"):
        pair = await login(house, name)
        assert claims(pair)["sub"] == account.id
        assert claims(pair)["roles"] == ["customer"]
    assert house.events.kinds == [EventKind.REGISTERED] + [EventKind.LOGIN] * 4


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


async def test_closed_registration_is_denied(house: House) -> None:
    body = RegisterBody(username="ada", email="a@example.com", password=PASSWORD)
    refused = await house.accounts.register(
        body, rules=replace(RULES, registration_open=False), origin=ORIGIN
    )
    assert isinstance(refused, AccountRefusal)
    assert refused.reason is Reason.DENIED
    assert await house.users.list() == []


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
    assert known.attributes == {"known": True, "user": account.id, "disabled": False}
    assert (known.subject, known.personal) == (account.id, {"username": "Ada"})
    assert (unknown.subject, unknown.personal) == (None, {})
    assert unknown.attributes == {"known": False}
    assert "hunter2" not in repr(house.events.kept)


async def test_a_hash_of_another_cost_is_made_again_at_the_next_login(house: House) -> None:
    account = await register(house)
    newer = Passwords(b"\x00" * 32, cost=5)
    newer._pepper = house.passwords._pepper
    house.accounts._passwords = newer
    await login(house)
    user = await house.users.find(account.id)
    assert user is not None
    assert user.password_hash is not None
    assert user.password_hash.startswith("v1$$2b$05$")
    await login(house)
    newer.close()


async def test_a_refresh_gives_a_new_pair_of_the_same_session(house: House) -> None:
    await register(house)
    first = await login(house)
    second = await refresh(house, first.refresh_token)
    assert isinstance(second, TokenPair)
    assert claims(second)["sid"] == claims(first)["sid"]
    assert (claims(first)["rg"], claims(second)["rg"]) == (0, 1)
    assert second.refresh_token != first.refresh_token
    event = house.events.kept[-1]
    assert event.kind is EventKind.REFRESH
    assert event.session == claims(first)["sid"]
    assert event.attributes == {"generation": 1, "replayed": False}


async def test_twenty_refreshes_at_once_are_one_session_with_one_successor(house: House) -> None:
    await register(house)
    first = await login(house)
    pairs = await asyncio.gather(*(refresh(house, first.refresh_token) for _ in range(20)))
    assert all(isinstance(pair, TokenPair) for pair in pairs)
    assert len({pair.refresh_token for pair in pairs if isinstance(pair, TokenPair)}) == 1
    assert {claims(pair)["rg"] for pair in pairs if isinstance(pair, TokenPair)} == {1}
    assert house.applied == []


async def test_a_refresh_whose_record_fails_can_be_asked_again_much_later(house: House) -> None:
    await register(house)
    first = await login(house)
    house.events.away = True
    with pytest.raises(AuditUnavailable):
        await refresh(house, first.refresh_token)
    house.events.away = False
    house.clock.time += 86400
    assert isinstance(await refresh(house, first.refresh_token), TokenPair)


async def test_a_used_up_token_ends_the_session_here_at_once_and_elsewhere_by_the_feed(house: House) -> None:
    account = await register(house)
    first = await login(house)
    second = await refresh(house, first.refresh_token)
    assert isinstance(second, TokenPair)
    house.accounts.seen(claims(second)["sid"], claims(second)["rg"])
    house.clock.time += RULES.reuse_grace + 1
    refused = await refresh(house, first.refresh_token)
    assert isinstance(refused, AccountRefusal)
    assert refused.reason is Reason.CREDENTIALS_INVALID
    session = claims(first)["sid"]
    assert [(change.seq, change.kind, change.subject) for change in house.applied] == [
        (0, ChangeKind.SESSION_REVOKED, session)
    ]
    assert [change.subject for change in await SqlChangeFeed(house.database).since(0)] == [session]
    event = house.events.kept[-1]
    assert event.kind is EventKind.REUSE_DETECTED
    assert event.session == session
    assert event.actor is not None
    assert event.actor.id == account.id
    assert event.attributes == {"generation": 0, "newest": 1}
    assert isinstance(await refresh(house, second.refresh_token), AccountRefusal)


async def test_every_worthless_refresh_token_is_the_same_answer(house: House) -> None:
    await register(house)
    ended = await login(house)
    await house.accounts.logout(principal(ended), LogoutBody(), origin=ORIGIN)
    answers = [
        await refresh(house, token)
        for token in ("", "gwr_", "gwr_" + "A" * 76, ended.refresh_token, ended.access_token[:500])
    ]
    shown = [
        (one.reason, one.detail, one.errors, one.retry_after)
        for one in answers
        if isinstance(one, AccountRefusal)
    ]
    assert shown == [(Reason.CREDENTIALS_INVALID, "Log in again.", (), None)] * 5


async def test_a_disabled_account_gets_no_new_tokens(house: House) -> None:
    account = await register(house)
    pair = await login(house)
    await disable(house, account.id)
    assert isinstance(await refresh(house, pair.refresh_token), AccountRefusal)
    assert isinstance(await house.accounts.me(principal(pair)), AccountRefusal)


async def test_a_refresh_brings_the_roles_and_the_epoch_of_now(house: House) -> None:
    account = await register(house)
    pair = await login(house)
    async with house.database.write() as connection:
        await connection.execute(text("DELETE FROM user_roles"))
        await connection.execute(text("UPDATE users SET epoch = 1 WHERE id = :id"), {"id": account.id})
    again = await refresh(house, pair.refresh_token)
    assert isinstance(again, TokenPair)
    assert (claims(again)["roles"], claims(again)["ep"], again.scope) == ([], 1, "")


async def test_logging_out_ends_one_session(house: House) -> None:
    await register(house)
    one, other = await login(house), await login(house)
    assert await house.accounts.logout(principal(one), LogoutBody(), origin=ORIGIN) == DONE
    assert isinstance(await refresh(house, one.refresh_token), AccountRefusal)
    assert isinstance(await refresh(house, other.refresh_token), TokenPair)
    assert [change.subject for change in house.applied] == [claims(one)["sid"]]
    logout = next(event for event in house.events.kept if event.kind is EventKind.LOGOUT)
    assert logout.attributes == {"all": False, "sessions": [claims(one)["sid"]]}
    assert logout.session == claims(one)["sid"]


async def test_logging_out_everywhere_ends_them_all_and_raises_the_epoch(house: House) -> None:
    account = await register(house)
    await register(house, "bob")
    one, other, stranger = await login(house), await login(house), await login(house, "bob")
    assert await house.accounts.logout(principal(one), LogoutBody(all=True), origin=ORIGIN) == DONE
    for pair in (one, other):
        assert isinstance(await refresh(house, pair.refresh_token), AccountRefusal)
    assert isinstance(await refresh(house, stranger.refresh_token), TokenPair)
    assert {(change.kind, change.subject, change.epoch) for change in house.applied} == {
        (ChangeKind.SESSION_REVOKED, claims(one)["sid"], 0),
        (ChangeKind.SESSION_REVOKED, claims(other)["sid"], 0),
        (ChangeKind.USER_CHANGED, account.id, 1),
    }
    assert claims(await login(house))["ep"] == 1


async def test_logging_out_twice_is_no_mistake(house: House) -> None:
    await register(house)
    pair = await login(house)
    for _ in range(2):
        assert await house.accounts.logout(principal(pair), LogoutBody(), origin=ORIGIN) == DONE


async def test_a_session_has_ended_even_when_that_cannot_be_recorded(house: House) -> None:
    await register(house)
    pair = await login(house)
    house.events.away = True
    with pytest.raises(AuditUnavailable):
        await house.accounts.logout(principal(pair), LogoutBody(), origin=ORIGIN)
    house.events.away = False
    assert len(house.applied) == 1
    assert isinstance(await refresh(house, pair.refresh_token), AccountRefusal)


async def test_a_key_cannot_log_out_or_look_at_an_account(house: House) -> None:
    key = Principal(id="key_1", kind=PrincipalKind.API_KEY, name="k", authn="keys", authn_kind="api_key")
    for refused in (
        await house.accounts.logout(key, LogoutBody(), origin=ORIGIN),
        await house.accounts.me(key),
    ):
        assert isinstance(refused, AccountRefusal)
        assert refused.reason is Reason.DENIED


async def test_one_sees_ones_own_account(house: House) -> None:
    account = await register(house)
    assert await house.accounts.me(principal(await login(house))) == account


async def test_no_login_leaves_a_session_in_anybodys_hands_when_it_cannot_be_recorded(house: House) -> None:
    await register(house)
    house.events.away = True
    with pytest.raises(AuditUnavailable):
        await login(house)
    with pytest.raises(AuditUnavailable):
        await try_login(house, "ada", "wrong")


async def test_too_many_logins_at_once_are_told_to_come_back(house: House) -> None:
    await register(house)
    busy = Passwords(b"pepper", cost=4, threads=1)
    while busy._places.acquire(blocking=False):
        pass
    house.accounts._passwords = busy
    refused = await try_login(house)
    assert isinstance(refused, AccountRefusal)
    assert refused.reason is Reason.OVERLOADED
    assert refused.retry_after == 2.0
    assert EventKind.LOGIN_FAILED not in house.events.kinds
    busy.close()


async def test_what_was_seen_is_written_every_second_until_the_task_ends(house: House) -> None:
    await register(house)
    pair = await login(house)
    house.accounts.seen(claims(pair)["sid"], 0)
    pauses: list[float] = []
    turn = asyncio.Event()

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            turn.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(house.accounts.flush_confirmations(pause=pause))
    await turn.wait()
    task.cancel()
    stored = await house.session_store.find(claims(pair)["sid"])
    assert stored is not None
    assert stored.confirmed
    assert pauses == [1.0, 1.0]


async def test_a_second_process_shares_sessions_through_the_database(house: House) -> None:
    await register(house)
    pair = await login(house)
    other = Accounts(
        users=house.users,
        sessions=type(house.sessions)(house.session_store, house.sealer, house.clock),
        passwords=house.passwords,
        registrar=house.registrar,
        tokens=AccessTokens(house.keyring, "https://gateway.example", house.clock),
        events=house.events,
        clock=house.clock,
        applied=house.applied.append,
    )
    here = await refresh(house, pair.refresh_token)
    there = await other.refresh(
        RefreshBody(refresh_token=pair.refresh_token), rules=RULES, scopes_of=scopes_of, origin=ORIGIN
    )
    assert isinstance(here, TokenPair)
    assert isinstance(there, TokenPair)
    assert here.refresh_token == there.refresh_token
