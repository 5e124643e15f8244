"""Exchanging refresh tokens."""

import asyncio
from dataclasses import replace
from ipaddress import ip_network

import pytest
from sqlalchemy import text
from unit.accounts.deeds import (
    ORIGIN,
    claims,
    disable,
    login,
    principal,
    refresh,
    register,
    scopes_of,
)
from unit.accounts.house import RULES, House

from gateway.accounts import (
    AccessTokens,
    AccountRefusal,
    Issuing,
    LogoutBody,
    Recorder,
    Refreshing,
    TokenPair,
)
from gateway.model import EventKind, Reason
from gateway.ports import AuditUnavailable, ChangeKind, StoreUnavailable
from gateway.stores.sql import SqlChangeFeed


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
    house.accounts.sessions.seen(claims(second)["sid"], claims(second)["rg"])
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


async def test_a_detection_is_recorded_although_nobody_can_say_whose_session_it_was(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = await register(house)
    first = await login(house)
    second = await refresh(house, first.refresh_token)
    assert isinstance(second, TokenPair)
    await refresh(house, second.refresh_token)

    async def away(_id: str) -> None:
        raise StoreUnavailable("the database is away")

    monkeypatch.setattr(house.users, "find", away)
    assert isinstance(await refresh(house, first.refresh_token), AccountRefusal)
    event = house.events.kept[-1]
    assert (event.kind, event.actor) == (EventKind.REUSE_DETECTED, None)
    assert (event.session, event.subject) == (claims(first)["sid"], account.id)


async def test_every_worthless_refresh_token_is_the_same_answer(house: House) -> None:
    await register(house)
    ended = await login(house)
    await house.accounts.sessions.logout(principal(ended), LogoutBody(), origin=ORIGIN)
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
    assert isinstance(await house.accounts.sessions.me(principal(pair)), AccountRefusal)


async def test_a_refresh_brings_the_roles_and_the_epoch_of_now(house: House) -> None:
    account = await register(house)
    pair = await login(house)
    async with house.database.write() as connection:
        await connection.execute(text("DELETE FROM user_roles"))
        await connection.execute(text("UPDATE users SET epoch = 1 WHERE id = :id"), {"id": account.id})
    again = await refresh(house, pair.refresh_token)
    assert isinstance(again, TokenPair)
    assert (claims(again)["roles"], claims(again)["ep"], again.scope) == ([], 1, "")


async def test_a_second_process_shares_sessions_through_the_database(house: House) -> None:
    await register(house)
    pair = await login(house)
    sessions = type(house.sessions)(house.session_store, house.sealer, house.clock)
    issuing = Issuing(AccessTokens(house.keyring, "https://gateway.example"))
    recorder = Recorder(events=house.events, clock=house.clock, applied=house.applied.append)
    other = Refreshing(users=house.users, sessions=sessions, issuing=issuing, recorder=recorder)
    here = await refresh(house, pair.refresh_token)
    there = await other.refresh(pair.refresh_token, rules=RULES, scopes_of=scopes_of, origin=ORIGIN)
    assert isinstance(here, TokenPair)
    assert isinstance(there, TokenPair)
    assert here.refresh_token == there.refresh_token


async def test_a_refresh_may_ask_for_less_and_the_next_one_for_all_again(house: House) -> None:
    await register(house)
    pair = await login(house)
    narrow = await refresh(house, pair.refresh_token, wanted=frozenset({"orders:read"}))
    assert isinstance(narrow, TokenPair)
    assert claims(narrow)["scope"] == narrow.scope == "orders:read"
    whole = await refresh(house, narrow.refresh_token)
    assert isinstance(whole, TokenPair)
    assert whole.scope == "orders:read profile:read"


async def test_a_refresh_never_gives_more_than_there_is(house: House) -> None:
    await register(house)
    pair = await login(house)
    less = await refresh(house, pair.refresh_token, wanted=frozenset({"orders:read", "orders:write"}))
    assert isinstance(less, TokenPair)
    assert less.scope == "orders:read"
    refused = await refresh(house, less.refresh_token, wanted=frozenset({"orders:write"}))
    assert isinstance(refused, AccountRefusal)
    assert (refused.reason, refused.oauth_error) == (Reason.INVALID_REQUEST, "invalid_scope")
    # The token is not used up by that.
    assert isinstance(await refresh(house, less.refresh_token), TokenPair)


async def test_tokens_are_refreshed_from_where_they_may_be_obtained_only(house: House) -> None:
    await register(house)
    pair = await login(house)
    rules = replace(RULES, login_networks=(ip_network("203.0.113.0/24"),))
    refused = await refresh(
        house, pair.refresh_token, rules=rules, origin=replace(ORIGIN, source_ip="198.51.100.1")
    )
    assert isinstance(refused, AccountRefusal)
    assert refused.reason is Reason.DENIED
    renewed = await refresh(house, pair.refresh_token, rules=rules)
    assert isinstance(renewed, TokenPair)
    assert claims(renewed)["rg"] == 1


async def test_an_account_whose_address_is_not_confirmed_gets_no_new_tokens_where_that_is_asked_for(
    house: House,
) -> None:
    await register(house)
    pair = await login(house)
    rules = replace(RULES, verifies_email=True)
    assert isinstance(await refresh(house, pair.refresh_token, rules=rules), AccountRefusal)
    assert isinstance(await refresh(house, pair.refresh_token), TokenPair)


async def test_a_session_of_another_client_is_a_worthless_token_and_lives_on(house: House) -> None:
    await register(house)
    pair = await login(house)
    refused = await refresh(house, pair.refresh_token, client_id="cli_1")
    assert isinstance(refused, AccountRefusal)
    assert (refused.reason, refused.detail) == (Reason.CREDENTIALS_INVALID, "Log in again.")
    assert isinstance(await refresh(house, pair.refresh_token), TokenPair)


async def test_a_key_that_is_proved_beside_a_refresh_binds_both_tokens(house: House) -> None:
    await register(house)
    pair = await login(house)
    bound = await refresh(house, pair.refresh_token, jkt="A" * 43)
    assert isinstance(bound, TokenPair)
    assert (bound.token_type, claims(bound)["cnf"]) == ("DPoP", {"jkt": "A" * 43})
    for proved, why in ((None, "no DPoP proof was sent"), ("B" * 43, "the DPoP proof is by another")):
        refused = await refresh(house, bound.refresh_token, jkt=proved)
        assert isinstance(refused, AccountRefusal)
        assert (refused.reason, refused.detail, refused.oauth_error) == (
            Reason.CREDENTIALS_INVALID,
            "Send a DPoP proof by the key that this session is bound to.",
            "invalid_dpop_proof",
        )
        assert refused.diagnosis.endswith(why)
    assert isinstance(await refresh(house, bound.refresh_token, jkt="A" * 43), TokenPair)
