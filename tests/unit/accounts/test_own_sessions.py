"""One's own account and sessions."""

import asyncio

import pytest
from unit.accounts.deeds import (
    ORIGIN,
    claims,
    login,
    principal,
    refresh,
    register,
)
from unit.accounts.house import RULES, House

from gateway.accounts import (
    DONE,
    AccountRefusal,
    LogoutBody,
    OwnSession,
    TokenPair,
)
from gateway.model import EventKind, Principal, PrincipalKind, Reason
from gateway.ports import AuditUnavailable, ChangeKind, StoreUnavailable
from gateway.stores.sql import SqlChangeFeed


async def test_logging_out_ends_one_session(house: House) -> None:
    await register(house)
    one, other = await login(house), await login(house)
    assert await house.accounts.sessions.logout(principal(one), LogoutBody(), origin=ORIGIN) == DONE
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
    assert await house.accounts.sessions.logout(principal(one), LogoutBody(all=True), origin=ORIGIN) == DONE
    for pair in (one, other):
        assert isinstance(await refresh(house, pair.refresh_token), AccountRefusal)
    assert isinstance(await refresh(house, stranger.refresh_token), TokenPair)
    assert {(change.kind, change.subject) for change in house.applied} == {
        (ChangeKind.SESSION_REVOKED, claims(one)["sid"]),
        (ChangeKind.SESSION_REVOKED, claims(other)["sid"]),
    }
    # Elsewhere, by the feed.
    feed = await SqlChangeFeed(house.database).since(0)
    assert (ChangeKind.USER_CHANGED, account.id, 1) in {
        (change.kind, change.subject, change.epoch) for change in feed
    }
    assert claims(await login(house))["ep"] == 1


async def test_logging_out_everywhere_is_recorded_although_the_store_goes_away_in_between(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await register(house)
    pair = await login(house)

    async def away(_id: str) -> None:
        raise StoreUnavailable("the database is away")

    monkeypatch.setattr(house.users, "find", away)
    done = await house.accounts.sessions.logout(principal(pair), LogoutBody(all=True), origin=ORIGIN)
    assert done == DONE
    assert [change.subject for change in house.applied] == [claims(pair)["sid"]]
    assert house.events.kept[-1].attributes == {"all": True, "sessions": [claims(pair)["sid"]]}


async def test_logging_out_twice_is_no_mistake(house: House) -> None:
    await register(house)
    pair = await login(house)
    for _ in range(2):
        assert await house.accounts.sessions.logout(principal(pair), LogoutBody(), origin=ORIGIN) == DONE


async def test_a_session_has_ended_even_when_that_cannot_be_recorded(house: House) -> None:
    await register(house)
    pair = await login(house)
    house.events.away = True
    with pytest.raises(AuditUnavailable):
        await house.accounts.sessions.logout(principal(pair), LogoutBody(), origin=ORIGIN)
    house.events.away = False
    assert len(house.applied) == 1
    assert isinstance(await refresh(house, pair.refresh_token), AccountRefusal)


async def test_a_key_cannot_log_out_or_look_at_an_account(house: House) -> None:
    key = Principal(id="key_1", kind=PrincipalKind.API_KEY, name="k", authn="keys", authn_kind="api_key")
    for refused in (
        await house.accounts.sessions.logout(key, LogoutBody(), origin=ORIGIN),
        await house.accounts.sessions.me(key),
        await house.accounts.sessions.list(key, rules=RULES),
        await house.accounts.sessions.end(key, "ses_1", origin=ORIGIN),
    ):
        assert isinstance(refused, AccountRefusal)
        assert refused.reason is Reason.DENIED


async def test_one_sees_ones_own_live_sessions_the_newest_first(house: House) -> None:
    await register(house)
    await register(house, "bob")
    idle = await login(house)
    house.clock.time += RULES.refresh_idle - 100
    first = await login(house)
    await login(house, "bob")
    house.clock.time += 100
    ended = await login(house)
    await house.accounts.sessions.logout(principal(ended), LogoutBody(), origin=ORIGIN)
    second = await login(house)
    await house.session_store.note_factor(claims(first)["sid"], amr=("otp", "pwd"), mfa_at=house.clock.time)
    now = house.clock.time
    listed = await house.accounts.sessions.list(principal(second), rules=RULES)
    assert claims(idle)["sid"] not in {session.id for session in listed}  # type: ignore[union-attr] # no refusal
    assert listed == [
        OwnSession(
            id=claims(second)["sid"],
            created_at=now,
            last_used_at=now,
            expires_at=now + RULES.refresh_idle,
            source_ip="203.0.113.7",
            user_agent="agent",
            client_id=None,
            mfa=False,
            current=True,
        ),
        OwnSession(
            id=claims(first)["sid"],
            created_at=now - 100,
            last_used_at=now - 100,
            expires_at=now - 100 + RULES.refresh_idle,
            source_ip="203.0.113.7",
            user_agent="agent",
            client_id=None,
            mfa=True,
            current=False,
        ),
    ]


async def test_one_of_ones_own_sessions_is_ended_here_at_once(house: House) -> None:
    await register(house)
    one, other = await login(house), await login(house)
    ended = claims(other)["sid"]
    assert await house.accounts.sessions.end(principal(one), ended, origin=ORIGIN) == DONE
    assert [change.subject for change in house.applied] == [ended]
    event = house.events.kept[-1]
    assert (event.kind, event.session) == (EventKind.LOGOUT, claims(one)["sid"])
    assert event.attributes == {"all": False, "sessions": [ended]}
    assert isinstance(await refresh(house, other.refresh_token), AccountRefusal)
    assert isinstance(await refresh(house, one.refresh_token), TokenPair)


async def test_a_session_that_is_not_ones_own_is_as_one_that_never_was(house: House) -> None:
    await register(house)
    await register(house, "bob")
    one, other, stranger = await login(house), await login(house), await login(house, "bob")
    await house.accounts.sessions.end(principal(one), claims(other)["sid"], origin=ORIGIN)
    before = len(house.events.kept)
    answers = [
        await house.accounts.sessions.end(principal(one), id_, origin=ORIGIN)
        for id_ in (claims(stranger)["sid"], claims(other)["sid"], "ses_" + "0" * 32, "x", "")
    ]
    assert answers == [AccountRefusal(reason=Reason.NOT_FOUND, detail="There is no such session.")] * 5
    assert len(house.events.kept) == before
    assert isinstance(await refresh(house, stranger.refresh_token), TokenPair)


async def test_one_sees_ones_own_account(house: House) -> None:
    account = await register(house)
    assert await house.accounts.sessions.me(principal(await login(house))) == account


async def test_what_was_seen_is_written_every_second_until_the_task_ends(house: House) -> None:
    await register(house)
    pair = await login(house)
    house.accounts.sessions.seen(claims(pair)["sid"], 0)
    pauses: list[float] = []
    turn = asyncio.Event()

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            turn.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(house.accounts.sessions.flush_confirmations(pause=pause))
    await turn.wait()
    task.cancel()
    stored = await house.session_store.find(claims(pair)["sid"])
    assert stored is not None
    assert stored.confirmed
    assert pauses == [1.0, 1.0]
